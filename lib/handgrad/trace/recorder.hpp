#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/trace/derivation.hpp"
#include "handgrad/trace/trace.hpp"

namespace handgrad {

template <class T>
class Tensor;
template <class T>
class Layer;
template <class T>
class Loss;
template <class T>
class Optimizer;
template <class T>
class Parameter;

namespace trace {

class Recorder;
namespace detail {
extern constinit thread_local Recorder* current;
}
/// The recorder of this thread, or null: when tracing is off, it costs one pointer test. While recording, a Sequential
/// runs layer by layer, unfused.
inline Recorder* recorder() { return detail::current; }

/// Records what layers, losses and optimizers do in this thread, from construction until `stop()` or destruction.
///
///     trace::Recorder recorder;
///     loss.forward(net.forward(x), t);
///     sgd.zero_grad();
///     net.backward(loss.backward());
///     sgd.step();
///     trace::Trace step = recorder.stop();
///     std::cout << trace::to_json(step);
///
/// Every number read or written is copied: meant for one step on a small batch. A recorder made during another's
/// recording replaces it until it stops.
class Recorder {
 public:
  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// Ends the recording and returns it.
  Trace stop();
  const Trace& trace() const { return trace_; }

  // Called by Layer, Loss and Optimizer.

  /// Notes the places of a layer and its sublayers, for their names.
  template <class T>
  void enter(const Layer<T>& root);
  template <class T>
  void forward(const Layer<T>& layer, const Tensor<T>& x, const Tensor<T>& y);
  template <class T>
  void before_backward(const Layer<T>& layer);
  template <class T>
  void backward(const Layer<T>& layer, const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy,
                const Tensor<T>& dx);
  template <class T>
  void forward(const Loss<T>& loss, const Tensor<T>& p, const Tensor<T>& t, const Tensor<T>& value);
  template <class T>
  void backward(const Loss<T>& loss, const Tensor<T>& p, const Tensor<T>& t, const Tensor<T>& value,
                const Tensor<T>* upstream, const Tensor<T>& dp);
  /// Records λ·Σ W² over weights, and its gradient for one of them.
  template <class T>
  void penalty(const std::vector<Parameter<T>>& weights, double lambda, const Tensor<T>& value);
  template <class T>
  void before_penalty(const Parameter<T>& weight);
  template <class T>
  void penalty(const Parameter<T>& weight, double lambda);
  template <class T>
  void before_step(const Optimizer<T>& optimizer);
  template <class T>
  void step(const Optimizer<T>& optimizer);

 private:
  using Scope = std::map<std::string, std::size_t>;  // symbol → Trace::values
  /// A tensor's numbers, and the address that identifies it.
  struct Source {
    const void* address;
    Array array;
    bool single;
  };
  /// The equations of one call, and what is known of its symbols.
  struct Frame {
    Phase phase;
    std::string layer, label;
    std::map<std::string, Source> results;                  // targets computed by the library
    std::map<std::string, Assignment::Gradient> gradients;  // of parameters, by symbol
  };
  struct Owner {
    std::string layer, symbol;
  };

  Owner owner(const void* address, std::size_t i, const Derivation& update) const;
  template <class T>
  static Source source(const Tensor<T>& x);
  std::size_t value_of(const Source& source, const std::string& name, Value::Role role);
  void write(Scope& scope, const Frame& frame, const std::vector<Equation>& equations, bool reads_everything = false);
  void write(Scope& scope, const Frame& frame, const Equation& equation, bool reads_everything, bool last);

  Recorder* outer_;
  Trace trace_;
  std::map<const void*, std::size_t> at_;                    // address → the value last seen there
  std::map<const void*, std::string> places_;                // layer → "2.1"
  std::map<const void*, Owner> owners_;                      // a parameter's address → whose it is
  std::map<const void*, Scope> scopes_;                      // layer or loss → the symbols of its last forward
  std::map<std::string, std::size_t> before_;                // gradients or state before a call, by symbol
  std::vector<std::pair<std::size_t, Derivation>> updates_;  // parameter number → its update, before the step
  std::vector<Scope> update_scopes_;
};

}  // namespace trace
}  // namespace handgrad
