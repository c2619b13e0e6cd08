#pragma once
#include <cstddef>
#include <handgrad/handgrad.hpp>
#include <memory>
#include <string>
#include <vector>

namespace handgrad::labs {

/// A model small enough to be stepped through, with its data and its training: what the stepper and the page show. Its
/// data and its initial weights are floats, those that the labs see; it computes in double, so that what the page
/// computes from the formulas can be held against it.
struct Lesson {
  enum class Picture {
    Boundary,  // two inputs: the plane, with the probability of class 1
    Curve,     // one input: the fitted curve
    Rows,      // more inputs: each row's prediction beside its target
  };
  std::string name, title, summary;
  Sequential<double> net;
  std::unique_ptr<Loss<double>> loss;
  std::unique_ptr<Optimizer<double>> optimizer;
  Tensor<double> x, y;
  std::size_t batch;   // rows in a step
  std::size_t epochs;  // that the page shows
  Picture picture;
  bool logits = false;  // the network's outputs are logits: pictures show their sigmoid
};

/// Those there are: logistic, network, gabor, xor, from_scratch.
const std::vector<std::string>& lesson_names();
/// From a fixed seed, so that everybody sees the same numbers. Throws ValueError for a name that no lesson has.
Lesson make_lesson(const std::string& name);

/// A lesson's training, one step after the other. A step takes the next `batch` rows, in their order.
class Training {
 public:
  explicit Training(Lesson lesson);

  const Lesson& lesson() const { return lesson_; }
  /// Steps made, and where the next one stands: its epoch, and its batch there, both from 0.
  std::size_t steps() const { return steps_; }
  std::size_t epoch() const { return steps_ / batches(); }
  std::size_t batch() const { return steps_ % batches(); }
  std::size_t batches() const;

  /// Makes a step: forward, loss, zero_grad, backward, update. Returns the loss.
  double step();
  /// The same, recorded.
  trace::Trace record();
  /// The largest |gradient| of the last step; NaN if any is.
  double largest_gradient() const;
  /// The loss over all data with the parameters as they are.
  double loss();
  /// What the network makes of inputs: probabilities if its outputs are logits.
  Tensor<double> predict(const Tensor<double>& x);

  /// The parameters and the number of steps, to come back to.
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
