#pragma once
// Layers and losses whose backward makes mistakes on request, written as by a learner: plain loops.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/check/gradcheck.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/layers/activations.hpp"

namespace handgrad::test {

using Mistakes = std::set<std::string>;

/// The factor on a gradient, according to the mistakes.
inline double constant_of(const Mistakes& m, double N) {
  return (m.count("sign") ? -1 : 1) * (m.count("twice") ? 2 : 1) * (m.count("half") ? 0.5 : 1) *
         (m.count("averaged") ? 1 / N : 1);
}

/// y = φ(x·Wᵀ + b), φ one of the library's layers or none.
class MutantLinear : public Layer<double> {
 public:
  MutantLinear(std::size_t in, std::size_t out, Mistakes mistakes, std::shared_ptr<Layer<double>> phi = nullptr)
      : m(std::move(mistakes)), phi_(std::move(phi)), in_(in), out_(out) {
    Generator generator(in + 100 * out);
    weight = register_parameter("weight", randn<double>({out, in}, generator));
    bias = register_parameter("bias", randn<double>({out}, generator));
  }
  Shape output_shape(const Shape& x) const override { return {x[0], out_}; }
  std::string name() const override { return "MutantLinear"; }
  Mistakes m;
  Parameter<double> weight, bias;

 protected:
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t n = 0; n < x.size(0); ++n)
      for (std::size_t o = 0; o < out_; ++o) {
        double z = bias.value().data()[o];
        for (std::size_t i = 0; i < in_; ++i) z += x.data()[n * in_ + i] * weight.value().data()[o * in_ + i];
        y.data()[n * out_ + o] = z;
      }
    if (phi_) y.copy_from(phi_->forward(y.clone()));
  }

  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const std::size_t N = x.size(0);
    const double c = constant_of(m, static_cast<double>(N));
    Tensor<double> g = (m.count("δ ignored") ? ones<double>(dy.shape()) : dy).clone();
    if (phi_ && !m.count("φ′ missing")) g = phi_->backward(g).clone();
    std::vector<double> dW(out_ * in_), db(out_), down(N * in_);
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t o = 0; o < out_; ++o) {
        const double d = c * g.data()[n * out_ + o];
        db[o] = m.count("row") ? d : db[o] + d;
        for (std::size_t i = 0; i < in_; ++i) {
          dW[m.count("dW transposed") ? i * out_ + o : o * in_ + i] += d * x.data()[n * in_ + i];
          down[n * in_ + i] += d * weight.value().data()[m.count("W transposed") ? i * out_ + o : o * in_ + i];
        }
      }
    if (m.count("b averaged"))
      for (double& d : db) d /= static_cast<double>(N);
    if (m.count("W averaged"))
      for (double& d : dW) d /= static_cast<double>(N);
    if (m.count("dx averaged"))
      for (double& d : down) d /= static_cast<double>(N);
    if (m.count("sign of a column"))
      for (std::size_t o = 0; o < out_; ++o) dW[o * in_ + in_ - 1] *= -1;
    if (m.count("sign of an entry")) db[0] *= -1;
    write(weight, dW, "W");
    write(bias, db, "b");
    for (std::size_t i = 0; i < down.size(); ++i)
      if (!(m.count("dx unwritten") && i == 1)) dx.data()[i] = (m.count("dx added") ? dx.data()[i] : 0) + down[i];
  }

 private:
  void write(Parameter<double>& parameter, const std::vector<double>& d, const std::string& which) {
    auto [grad, beta] = parameter.accumulate();
    if (m.count(which + " overwritten")) beta = 0;
    if (m.count(which + " not zeroed")) beta = 1;
    for (std::size_t i = 0; i < d.size(); ++i) grad.data()[i] = (beta == 0 ? 0 : grad.data()[i]) + d[i];
  }
  std::shared_ptr<Layer<double>> phi_;
  std::size_t in_, out_;
};

/// y = φ(z), φ one of the library's layers.
class MutantActivation : public Layer<double> {
 public:
  MutantActivation(std::shared_ptr<Layer<double>> phi, Mistakes mistakes)
      : m(std::move(mistakes)), phi_(std::move(phi)) {}
  std::string name() const override { return "Mutant" + phi_->name(); }
  Mistakes m;

 protected:
  void forward_into(const Tensor<double>& z, Tensor<double>& y) override { y.copy_from(phi_->forward(z)); }
  void backward_into(const Tensor<double>& z, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dz) override {
    Tensor<double> g = m.count("δ ignored") ? ones<double>(dy.shape()) : dy.clone();
    if (m.count("φ′ at y")) {
      phi_->forward(y);
      g = phi_->backward(g).clone();
      phi_->forward(z);
    } else if (m.count("z(1−z)")) {
      for (std::size_t i = 0; i < g.numel(); ++i) g.data()[i] *= z.data()[i] * (1 - z.data()[i]);
    } else if (m.count("1−z²")) {
      for (std::size_t i = 0; i < g.numel(); ++i) g.data()[i] *= 1 - z.data()[i] * z.data()[i];
    } else if (!m.count("φ′ missing")) {
      for (int k = m.count("φ′ twice") ? 2 : 1; k > 0; --k) g = phi_->backward(g.clone()).clone();
    }
    const double c = constant_of(m, static_cast<double>(z.size(0)));
    for (std::size_t i = 0; i < g.numel(); ++i) dz.data()[i] = c * g.data()[i];
  }
  void kink_sides(const Tensor<double>&, std::vector<bool>& sides) const override { phi_->append_kink_sides(sides); }

 private:
  std::shared_ptr<Layer<double>> phi_;
};

/// A dropout with a fixed mask: y = x∘mask/keep.
class MutantDropout : public Layer<double> {
 public:
  explicit MutantDropout(Mistakes mistakes, double keep = 0.7) : m(std::move(mistakes)), keep_(keep) {}
  std::string name() const override { return "MutantDropout"; }
  Mistakes m;

 protected:
  double mask(std::size_t i) const { return (i * 7 + 3) % 10 < 7 ? 1 : 0; }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = x.data()[i] * mask(i) / keep_;
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const double c = constant_of(m, static_cast<double>(x.size(0)));
    for (std::size_t i = 0; i < dx.numel(); ++i)
      dx.data()[i] = c * dy.data()[i] * (m.count("no mask") ? 1 : mask(i)) / (m.count("no 1/keep") ? 1 : keep_);
  }

 private:
  double keep_;
};

/// One of the library's losses, with mistakes in its δ. `pairs`: takes targets (N) for predictions (N, 1) and averages
/// over all N×N pairs, as broadcasting does.
class MutantLoss : public Loss<double> {
 public:
  MutantLoss(std::shared_ptr<Loss<double>> right, Mistakes mistakes)
      : Loss<double>(right->reduction()), m(std::move(mistakes)), right_(std::move(right)) {}
  std::string name() const override { return "Mutant" + right_->name(); }
  Mistakes m;

 protected:
  Shape losses_shape(const Shape& p, const Shape&) const override { return p; }

  /// The mean over k of `f` with the targets rotated by k; without the mistake, only k = 0.
  template <class F>
  void over_pairs(bool all, const Tensor<double>& p, const Tensor<double>& y, F&& f) {
    const std::size_t N = all ? p.numel() : 1;
    for (std::size_t k = 0; k < N; ++k) {
      Tensor<double> target = all || y.numel() == p.numel() ? Tensor<double>::empty(p.shape()) : y;
      if (!target.shares_with(y))
        for (std::size_t i = 0; i < p.numel(); ++i) target.data()[i] = y.data()[(i + k) % y.numel()];
      f(right_->forward(p, target), 1 / static_cast<double>(N));
    }
  }
  void forward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& value) override {
    value.fill(0);
    over_pairs(m.count("pairs forward"), p, y,
               [&](const Tensor<double>& v, double share) { value.data()[0] += share * v.item(); });
    if (penalty) value.data()[0] += penalty();
  }
  void backward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& dp) override {
    dp.fill(0);
    over_pairs(m.count("pairs backward"), p, y, [&](const Tensor<double>&, double share) {
      const Tensor<double>& d = right_->backward();
      for (std::size_t i = 0; i < dp.numel(); ++i) dp.data()[i] += share * d.data()[i];
    });
    const double N = static_cast<double>(p.size(0)), C = static_cast<double>(p.numel()) / N;
    const double c = constant_of(m, N) * (m.count("not averaged") ? N : 1) * (m.count("not over columns") ? C : 1);
    for (std::size_t i = 0; i < dp.numel(); ++i) {
      const double z = p.data()[i], s = 1 / (1 + std::exp(-z));
      dp.data()[i] *= c * (m.count("σ′ on top") ? s * (1 - s) : 1) * (m.count("p(1−p) on top") ? z * (1 - z) : 1);
      if (m.count("right class alone")) dp.data()[i] = std::min(dp.data()[i], 0.0);  // of cross-entropy: p − 1 < 0 < p
    }
    if (m.count("softmax on top") || m.count("diagonal on top")) {
      const std::size_t columns = p.size(1);
      for (std::size_t n = 0; n < p.size(0); ++n) {
        std::vector<double> s(columns);
        double sum = 0, dot = 0;
        for (std::size_t j = 0; j < columns; ++j) sum += s[j] = std::exp(p.item(n, j));
        for (std::size_t j = 0; j < columns; ++j) dot += dp.item(n, j) * (s[j] /= sum);
        for (std::size_t j = 0; j < columns; ++j) {
          double& d = dp.data()[n * columns + j];
          d = m.count("softmax on top") ? s[j] * (d - dot) : d * s[j] * (1 - s[j]);
        }
      }
    }
  }

 public:
  std::function<double()> penalty;  // its gradient is added by nobody

 private:
  std::shared_ptr<Loss<double>> right_;
};

}  // namespace handgrad::test
