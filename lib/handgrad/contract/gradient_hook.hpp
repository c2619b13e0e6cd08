#pragma once
// Told when a parameter's gradient is final: for sums over processes that begin while the backward still runs, for
// logging, for clipping.
#include <cstddef>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

template <class T>
class Layer;
template <class T>
class Loss;

/// Hears of every gradient that a backward in this thread finishes, from its construction to its end:
///
///     struct Print : GradientListener<float> {
///       void ready(Parameter<float>& w) override { std::cout << w.shape().str() << '\n'; }
///     } print;
///     net.backward(loss.backward());
///
/// `ready` is called once for each parameter that the outermost `backward` gave a gradient, as soon as that backward
/// will not add to it any more: from the last layer to the first, and for a parameter with several uses after the last
/// of them. On a GPU "final" is meant in the order of the device's operations. A frozen parameter is never named.
/// Several listeners hear in the reverse order of their making. `ready` must not run a forward or a backward.
template <class T>
class GradientListener {
 public:
  GradientListener();
  virtual ~GradientListener();
  GradientListener(const GradientListener&) = delete;
  GradientListener& operator=(const GradientListener&) = delete;

  /// Called with each parameter whose gradient is final.
  virtual void ready(Parameter<T>& parameter) = 0;
  /// The outermost backward, of `root`, begins; it is over, and every gradient final. There is no end to one that
  /// throws.
  virtual void begin(const Layer<T>& root) { (void)root; }
  virtual void end(const Layer<T>& root) { (void)root; }
  /// A loss has given the δ that a backward is about to take up.
  virtual void loss(const Loss<T>& loss) { (void)loss; }

 private:
  template <class>
  friend struct GradientUses;
  GradientListener* outer_;
};

/// For layers and fused paths: which of a running backward's gradients are still to come.
template <class T>
struct GradientUses {
  /// Does anybody listen in this thread? One look at a pointer is all that the hook costs when nobody does.
  static bool heard();
  /// A layer has done its part of the parameter's gradient. Nothing happens outside a backward that is heard.
  static void done(Parameter<T>& parameter);

  /// A loss has made its δ. To be asked for where somebody listens.
  static void lost(const Loss<T>& loss);

  /// The outermost backward, of `root`: counts in how many layers each parameter is used.
  explicit GradientUses(const Layer<T>& root);
  ~GradientUses();
  GradientUses(const GradientUses&) = delete;
  /// Names what is left: parameters of which only some uses took part.
  void finish();

 private:
  template <class F>
  static void for_each(const Layer<T>& layer, const F& f);
  static void tell(Parameter<T>& parameter);
  const Layer<T>& root_;
  bool outermost_;
};

}  // namespace handgrad
