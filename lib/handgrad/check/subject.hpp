#pragma once
// Inside check/: a layer under check. All that the check asks of a layer beyond forward and backward is in subject.cpp.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "handgrad/check/verdict.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"

namespace handgrad::detail {

void append_kink_sides(const Layer<double>& layer, std::vector<bool>& sides);
void append_kink_sides(const Loss<double>& loss, std::vector<bool>& sides);
/// Fills the buffers that a backward is to overwrite.
void fill_buffers(Layer<double>& layer, double content);
void fill_buffers(Loss<double>& loss, double content);
/// False where a layer says that its input has no gradient: indices.
bool differentiable_input(const Layer<double>& layer);

/// Keeps a layer as it was: state, what it asks for, its random draws.
class Restore {
 public:
  explicit Restore(Layer<double>& layer);
  ~Restore();
  Restore(const Restore&) = delete;
  bool differentiable_input() const { return differentiable_input_; }

 private:
  Layer<double>& layer_;
  std::vector<NamedTensor<double>> state_;
  bool input_grad_, differentiable_input_;
};

/// Values of x in another order and one row more; with `rows` whole rows in another order.
Tensor<double> other_batch(const Tensor<double>& x, bool rows);

/// Forwards of the same x must not differ: nothing could be differenced. What is wrong, if something is.
std::optional<Diagnosis> compare_forwards(const Tensor<double>& first, const Tensor<double>& second);
/// A report that says so.
GradientReport not_repeatable(const std::string& subject, double tolerance, const Tensor<double>& y,
                              const Diagnosis& found);

/// One training step, as the check takes it.
struct Step {
  std::function<void()> forward;
  /// ∂S/∂y after that forward, which belongs to the check.
  std::function<Tensor<double>()> delta;
  Terms terms;
  /// ∂S/∂(each of the layer's side outputs).
  std::vector<Tensor<double>> side_deltas = {};
};

/// The gradients of all parameters and of the input by the layer's own backward, in backward order, with poisoned
/// buffers; and what the backward does besides: whether it adds to what was there, can be repeated, is linear in δ,
/// leaves x and δ alone, and takes a δ that is its own output.
std::vector<Variable> collect(Layer<double>& layer, const Tensor<double>& x, bool with_input,
                              const GradcheckOptions& options, const Step& step);

/// Noise measured when first asked for.
std::function<const Noise&()> lazy_noise(std::vector<Tensor<double>> tensors, std::function<Evaluation()> evaluate,
                                         std::uint64_t seed);

}  // namespace handgrad::detail
