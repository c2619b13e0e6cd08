#pragma once
#include <cstddef>
#include <handgrad/handgrad.hpp>
#include <memory>
#include <string>
#include <vector>

namespace handgrad::labs {

/// A model small enough to step through, with its data and training, for the stepper and the page. Data and initial
/// weights are floats, as in the labs; it computes in double, so that the page's own computations can be compared with
/// it.
struct Lesson {
  enum class Picture {
    Boundary,  // two inputs: the plane, with the probability of class 1, or of the most probable class
    Curve,     // one input: the fitted curve
    Rows,      // more inputs: each row's prediction beside its target
  };
  std::string name, title, summary;
  Sequential<double> net;
  std::unique_ptr<Loss<double>> loss;
  std::unique_ptr<Optimizer<double>> optimizer;
  Tensor<double> x, y;
  std::size_t batch;   // rows per step
  std::size_t epochs;  // shown on the page
  Picture picture;
  bool logits = false;  // outputs are logits; pictures show their sigmoid, of several classes their softmax
};

/// All lessons: logistic, network, gabor, xor, classes, from_scratch.
const std::vector<std::string>& lesson_names();
/// From a fixed seed, so that everybody sees the same numbers. Throws ValueError for an unknown name.
Lesson make_lesson(const std::string& name);

/// A lesson's training, step by step. Each step takes the next `batch` rows in order.
class Training {
 public:
  explicit Training(Lesson lesson);

  const Lesson& lesson() const { return lesson_; }
  /// The number of steps made, and the epoch and batch (from 0) of the next.
  std::size_t steps() const { return steps_; }
  std::size_t epoch() const { return steps_ / batches(); }
  std::size_t batch() const { return steps_ % batches(); }
  std::size_t batches() const;

  /// Makes one step: forward, loss, zero_grad, backward, update. Returns the loss.
  double step();
  /// The same, recorded.
  trace::Trace record();
  /// The largest |gradient| of the last step; NaN if any is.
  double largest_gradient() const;
  /// The loss over all data with the current parameters.
  double loss();
  /// The network's predictions: probabilities if its outputs are logits.
  Tensor<double> predict(const Tensor<double>& x);

  /// The parameters and the number of steps, to return to.
  struct State {
    std::vector<NamedTensor<double>> parameters;
    std::size_t steps;
  };
  State state() const { return {lesson_.net.state_dict(), steps_}; }
  void restore(const State& state);

 private:
  Lesson lesson_;
  std::size_t steps_ = 0;
};

}  // namespace handgrad::labs
