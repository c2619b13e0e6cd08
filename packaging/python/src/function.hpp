#pragma once
// Layers and losses whose mathematics are Python functions.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad::python {

/// KeyboardInterrupt and SystemExit on their way through C++, where an exception of a forward may mean no more than
/// that its domain ends there: no std::exception, so that nobody takes it for that.
struct Interrupted {
  nb::python_error error;
};

/// Ends the way through C++.
template <class F>
auto uninterrupted(F&& f) {
  try {
    return f();
  } catch (Interrupted& interrupted) {
    throw std::move(interrupted.error);
  }
}

/// What a Function is told of the Python side. Both functions get arrays that share memory with the tensors, and
/// `poison`: what memory holds that they were given to write to.
struct Functions {
  std::string name;
  nb::callable forward;   // ([x, parameters…], poison) → [y, further outputs…]
  nb::callable backward;  // ([δ of y, δ of the others…], poison) → [dx, gradients…], None for what has none
  nb::object kink_sides;  // [x, parameters…] → booleans; or None
};

class Function : public Layer<double> {
 public:
  Function(Functions functions, const std::vector<NamedTensor<double>>& parameters, std::vector<std::string> sides,
           bool differentiable_input, std::optional<trace::Derivation> derivation);

  std::string name() const override { return functions_.name; }
  std::string label() const override { return functions_.name; }
  bool differentiable_input() const override { return differentiable_input_; }
  /// Known after a forward only.
  Shape output_shape(const Shape& input) const override;
  std::vector<SideTensor<double>> side_outputs() override;
  trace::Derivation derivation(const Shape& input) const override;

  /// The gradient that the last backward gave for the input (-1) or a parameter, where its shape is not that of what it
  /// is the gradient of; NaN stands in its place then.
  const Tensor<double>* misfit(const std::string& tensor) const;

 protected:
  const Tensor<double>& propagate(const Tensor<double>& x) override;
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override;
  void backward_into(const Tensor<double>& x, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dx) override;
  void kink_sides(const Tensor<double>& x, std::vector<bool>& sides) const override;

 private:
  nb::list arguments(const Tensor<double>& x) const;

  struct Side {
    std::string name;
    Tensor<double> value, gradient;
  };
  Functions functions_;
  bool differentiable_input_;
  std::optional<trace::Derivation> derivation_;
  std::vector<Parameter<double>> parameters_;
  std::vector<Side> sides_;
  std::vector<Tensor<double>> made_;  // by a forward that is under way
  std::vector<NamedTensor<double>> misfits_;
};

/// L(p, t), one number; gradients of p alone.
class FunctionLoss : public Loss<double> {
 public:
  FunctionLoss(Functions functions, Reduction reduction) : Loss(reduction), functions_(std::move(functions)) {}
  std::string name() const override { return functions_.name; }
  const Tensor<double>* misfit() const { return misfit_.defined() ? &misfit_ : nullptr; }

 protected:
  Shape losses_shape(const Shape& prediction, const Shape&) const override { return prediction; }
  void forward_into(const Tensor<double>& p, const Tensor<double>& t, Tensor<double>& value) override;
  void backward_into(const Tensor<double>& p, const Tensor<double>& t, Tensor<double>& dp) override;
  void kink_sides(const Tensor<double>& p, const Tensor<double>& t, std::vector<bool>& sides) const override;

 private:
  Functions functions_;
  Tensor<double> misfit_;
};

}  // namespace handgrad::python
