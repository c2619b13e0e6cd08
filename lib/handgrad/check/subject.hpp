#pragma once
// Inside check/: a layer under check. What the check needs of a layer beyond forward and backward is in subject.cpp.
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
/// Fills the buffers that a backward must overwrite.
void fill_buffers(Layer<double>& layer, double content);
void fill_buffers(Loss<double>& loss, double content);
/// False if the layer says that its input (indices) has no gradient.
bool differentiable_input(const Layer<double>& layer);

/// Restores a layer: state, requires_grad, random draws.
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

/// The values of x in another order with one row more; with `rows`, whole rows in another order.
Tensor<double> other_batch(const Tensor<double>& x, bool rows);

/// Forwards of the same x must agree, or differences mean nothing. Returns the fault, if any.
std::optional<Diagnosis> compare_forwards(const Tensor<double>& first, const Tensor<double>& second);
GradientReport not_repeatable(const std::string& subject, double tolerance, const Tensor<double>& y,
                              const Diagnosis& found);

/// A training step as the check sees it.
struct Step {
  std::function<void()> forward;
  /// ∂S/∂y after that forward; the check owns it.
  std::function<Tensor<double>()> delta;
  Terms terms;
  /// ∂S/∂(each of the layer's side outputs).
  std::vector<Tensor<double>> side_deltas = {};
};

/// The gradients of all parameters and the input by the layer's own backward, in backward order and with poisoned
/// buffers; also whether the backward adds to existing gradients, is repeatable, is linear in δ, leaves x and δ
/// unchanged, and accepts its own output as δ.
std::vector<Variable> collect(Layer<double>& layer, const Tensor<double>& x, bool with_input,
                              const GradcheckOptions& options, const Step& step);

/// Measures the noise on first use.
std::function<const Noise&()> lazy_noise(const std::vector<Tensor<double>>& tensors,
                                         const std::function<Evaluation()>& evaluate, std::uint64_t seed);

}  // namespace handgrad::detail
