#pragma once
// Activation functions y = f(z), element by element, for tensors of any shape, with backward dz = δ ∘ f′(z). The
// formulas and their derivations are in kernels/formulas/activations.hpp, shared by CPU and GPU.
#include "handgrad/contract/layer.hpp"

namespace handgrad {

namespace formulas {
struct Activation;
}

/// Forward and backward of all activation functions, for any formula.
template <class T>
class ActivationLayer : public Layer<T> {
 public:
  /// Which of the formulas in kernels/formulas it is.
  virtual formulas::Activation formula() const = 0;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& z, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) override;
  void kink_sides(const Tensor<T>& z, std::vector<bool>& sides) const override;
};

/// f(z) = z,  f′(z) = 1
template <class T = float>
class Identity : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// The step: f(z) = 1 if z > 0, else 0, Rosenblatt's perceptron of 1957.
///
/// Its derivative is 0 wherever it exists, so dz = 0: the layers before it never learn by gradient descent. It is here
/// for study, and for networks with known weights; train with Sigmoid, the smooth step. A gradient check calls it
/// inconclusive: 0 = 0 proves nothing.
template <class T = float>
class Threshold : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = σ(z) = 1/(1+e⁻ᶻ),  f′(z) = y(1−y)
template <class T = float>
class Sigmoid : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = tanh z,  f′(z) = 1−y²
template <class T = float>
class Tanh : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = max(z, 0),  f′(z) = 1 if z > 0, else 0
template <class T = float>
class ReLU : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = z if z > 0, else a·z,  f′(z) = 1 or a;  a = negative_slope
template <class T = float>
class LeakyReLU : public ActivationLayer<T> {
 public:
  explicit LeakyReLU(double negative_slope = 0.01) : negative_slope_(negative_slope) {}
  formulas::Activation formula() const override;
  std::string extra_repr() const override;

 private:
  double negative_slope_;
};

/// f(z) = z if z > 0, else α(eᶻ−1),  f′(z) = 1 or αeᶻ
template <class T = float>
class ELU : public ActivationLayer<T> {
 public:
  explicit ELU(double alpha = 1) : alpha_(alpha) {}
  formulas::Activation formula() const override;
  std::string extra_repr() const override;

 private:
  double alpha_;
};

/// f(z) = z·Φ(z) with the normal distribution function Φ,  f′(z) = Φ(z) + z·φ(z); or, as `GELU("tanh")`, the
/// approximation ½z(1 + tanh(√(2/π)(z + 0.044715z³))). Throws ValueError for any name but "none" and "tanh".
template <class T = float>
class GELU : public ActivationLayer<T> {
 public:
  explicit GELU(const std::string& approximate = "none");
  formulas::Activation formula() const override;
  std::string extra_repr() const override;

 private:
  bool tanh_;
};

/// f(z) = z·σ(z),  f′(z) = σ(z) + z·σ(z)(1−σ(z))
template <class T = float>
class SiLU : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = log(1+e^(βz))/β,  f′(z) = σ(βz); for βz > threshold f(z) = z. Throws ValueError for β = 0.
template <class T = float>
class Softplus : public ActivationLayer<T> {
 public:
  explicit Softplus(double beta = 1, double threshold = 20);
  formulas::Activation formula() const override;
  std::string extra_repr() const override;

 private:
  double beta_, threshold_;
};

/// f(z) = z clamped to [min_val, max_val],  f′(z) = 1 inside, else 0. Throws ValueError unless min_val < max_val.
template <class T = float>
class Hardtanh : public ActivationLayer<T> {
 public:
  explicit Hardtanh(double min_val = -1, double max_val = 1);
  formulas::Activation formula() const override;
  std::string extra_repr() const override;

 private:
  double min_val_, max_val_;
};

/// f(z) = min(max(z + 3, 0), 6)/6,  f′(z) = 1/6 for −3 < z < 3, else 0
template <class T = float>
class Hardsigmoid : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = z·min(max(z + 3, 0), 6)/6,  f′(z) = z/3 + ½ for −3 < z < 3, 0 below, 1 above
template <class T = float>
class Hardswish : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = log σ(z),  f′(z) = σ(−z)
template <class T = float>
class LogSigmoid : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = z/(1 + |z|),  f′(z) = 1/(1 + |z|)²
template <class T = float>
class Softsign : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

/// f(z) = z·t with t = tanh(log(1 + eᶻ)),  f′(z) = t + z·(1 − t²)·σ(z)
template <class T = float>
class Mish : public ActivationLayer<T> {
 public:
  formulas::Activation formula() const override;
};

}  // namespace handgrad
