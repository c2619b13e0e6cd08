#pragma once
// Tells when a parameter's gradient is final: for reductions over processes that begin while the backward still runs,
// for logging, for clipping.
#include <cstddef>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

template <class T>
class Layer;
template <class T>
class Loss;

/// While it lives, hears of every gradient that a backward in this thread finishes:
///
///     struct Print : GradientListener<float> {
///       void ready(Parameter<float>& w) override { std::cout << w.shape().str() << '\n'; }
///     } print;
///     net.backward(loss.backward());
///
/// `ready` is called once for each parameter that received a gradient from the outermost `backward`, as soon as that
/// backward will add no more to it: from the last layer to the first, and after the last use of a parameter with
/// several. On a GPU, "final" refers to the order of the device's operations. A frozen parameter is never reported. The
/// listener made last hears first. `ready` must not run a forward or a backward.
template <class T>
class GradientListener {
 public:
  GradientListener();
  virtual ~GradientListener();
  GradientListener(const GradientListener&) = delete;
  GradientListener& operator=(const GradientListener&) = delete;

  /// Called with each parameter whose gradient is final.
  virtual void ready(Parameter<T>& parameter) = 0;
  /// The outermost backward, of `root`, begins, and is over with every gradient final. If it throws, there is no end.
  virtual void begin(const Layer<T>& root) { (void)root; }
  virtual void end(const Layer<T>& root) { (void)root; }
  /// A loss has computed the δ for a following backward.
  virtual void loss(const Loss<T>& loss) { (void)loss; }

 private:
  template <class>
  friend struct GradientUses;
  GradientListener* outer_;
};

/// For layers and fused paths: which gradients of a running backward are still to come.
template <class T>
struct GradientUses {
  /// Whether anybody listens in this thread. If not, this look at a pointer is the hook's only cost.
  static bool heard();
  /// A layer has added its share to the parameter's gradient. Does nothing outside a backward that is heard.
  static void done(Parameter<T>& parameter);

  /// A loss has computed its δ. Call only if `heard()`.
  static void lost(const Loss<T>& loss);

  /// For the outermost backward, of `root`: counts the layers that use each parameter.
  explicit GradientUses(const Layer<T>& root);
  ~GradientUses();
  GradientUses(const GradientUses&) = delete;
  /// Reports the rest: parameters of which only some uses took part.
  void finish();

 private:
  template <class F>
  static void for_each(const Layer<T>& layer, const F& f);
  static void tell(Parameter<T>& parameter);
  const Layer<T>& root_;
  bool outermost_;
};

}  // namespace handgrad
