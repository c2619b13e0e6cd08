// One head of attention in plain loops, forward and backward, against differences and the library's layer.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

#include "attention/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using Matrix = hg::Tensor<double>;

namespace {

constexpr std::size_t length = 4, width = 2;  // T, d

Matrix product(const Matrix& a, const Matrix& b) { return hg::matmul(a, b); }
Matrix transposed(const Matrix& a) {
  Matrix t = Matrix::empty({a.size(1), a.size(0)});
  for (std::size_t i = 0; i < a.size(0); ++i)
    for (std::size_t j = 0; j < a.size(1); ++j) t.data()[j * a.size(0) + i] = a.item(i, j);
  return t;
}

/// S = τ·Q·Kᵀ, −∞ above the diagonal;  P = softmax(S);  O = P·V
struct Head {
  Matrix Q, K, V, P, O;
  double tau = 1 / std::sqrt(static_cast<double>(width));

  Head(Matrix q, Matrix k, Matrix v) : Q(std::move(q)), K(std::move(k)), V(std::move(v)) {
    P = product(Q, transposed(K));
    for (std::size_t i = 0; i < length; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < length; ++j) {
        double& p = P.data()[i * length + j];
        p = j > i ? 0 : std::exp(tau * p);
        sum += p;
      }
      for (std::size_t j = 0; j < length; ++j) P.data()[i * length + j] /= sum;
    }
    O = product(P, V);
  }

  struct Gradients {
    Matrix dQ, dK, dV, dS;
  };
  Gradients backward(const Matrix& delta) const {
    const Matrix dV = product(transposed(P), delta);
    Matrix dS = product(delta, transposed(V));  // first dP
    for (std::size_t i = 0; i < length; ++i) {
      double D = 0;  // Σⱼ Pᵢⱼ·dPᵢⱼ = Σ_c δᵢ·Oᵢ
      for (std::size_t c = 0; c < width; ++c) D += delta.item(i, c) * O.item(i, c);
      for (std::size_t j = 0; j < length; ++j) {
        double& s = dS.data()[i * length + j];
        s = P.item(i, j) * (s - D);
      }
    }
    Matrix dQ = product(dS, K), dK = product(transposed(dS), Q);
    for (Matrix* d : {&dQ, &dK})
      for (std::size_t e = 0; e < d->numel(); ++e) d->data()[e] *= tau;
    return {dQ, dK, dV, dS};
  }
};

}  // namespace

void attention_by_hand(Lab& lab) {
  lab.section("1  One head by hand", "2");
  hg::manual_seed(1);
  const Matrix Q = hg::randn<double>({length, width}), K = hg::randn<double>({length, width}),
               V = hg::randn<double>({length, width}), delta = hg::randn<double>({length, width});
  const Head head(Q, K, V);
  std::cout << "T = 4 positions, d = 2. Position i sees the positions j ≤ i. How much it takes of each, P:\n"
            << head.P << "\nand the mixtures that come of it, O = P·V:\n"
            << head.O << "\n\nFrom δ = ∂L/∂O:\n";
  const auto [dQ, dK, dV, dS] = head.backward(delta);
  std::cout << "dS = P∘(dP − D), whose rows add up to 0:\n" << dS << "\ndQ = τ·dS·K:\n" << dQ << '\n';

  // L = Σ δ∘O, by central differences.
  double worst = 0;
  const auto compare = [&](const Matrix& gradient, std::size_t which) {
    for (std::size_t i = 0; i < gradient.numel(); ++i) {
      double slope = 0;
      for (const double side : {1e-5, -1e-5}) {
        Matrix moved[3] = {Q.clone(), K.clone(), V.clone()};
        moved[which].data()[i] += side;
        const Matrix O = Head(moved[0], moved[1], moved[2]).O;
        for (std::size_t e = 0; e < O.numel(); ++e) slope += delta.data()[e] * O.data()[e] / (2 * side);
      }
      worst = std::max(worst, std::abs(slope - gradient.data()[i]));
    }
  };
  compare(dQ, 0);
  compare(dK, 1);
  compare(dV, 2);
  std::cout << std::scientific << std::setprecision(1) << "\nAgainst differences of the forward: at most " << worst
            << " apart.\n";
  lab.figures.exact("attention.differences", worst, within(1, "0"), worst < 1e-8);

  // The library's layer on x = [Q K V] with projections that separate them.
  hg::MultiheadAttention<double> layer(3 * width, 3, {.bias = false, .is_causal = true});
  layer.in_proj_weight.value().fill(0);
  layer.out_proj().weight.value().fill(0);
  for (std::size_t c = 0; c < width; ++c) {
    for (std::size_t part = 0; part < 3; ++part)
      layer.in_proj_weight.value().data()[(part * 3 * width + c) * 3 * width + part * width + c] = 1;
    layer.out_proj().weight.value().data()[c * 3 * width + c] = 1;
  }
  Matrix x = hg::zeros<double>({length, 3 * width}), dy = x.clone();
  for (std::size_t t = 0; t < length; ++t)
    for (std::size_t c = 0; c < width; ++c) {
      x.data()[t * 3 * width + c] = Q.item(t, c);
      x.data()[t * 3 * width + width + c] = K.item(t, c);
      x.data()[t * 3 * width + 2 * width + c] = V.item(t, c);
      dy.data()[t * 3 * width + c] = delta.item(t, c);
    }
  layer.forward(x);
  const Matrix dx = layer.backward(dy);
  double apart = 0;
  for (std::size_t t = 0; t < length; ++t)
    for (std::size_t c = 0; c < width; ++c)
      apart = std::max({apart, std::abs(dx.item(t, c) - dQ.item(t, c)), std::abs(dx.item(t, width + c) - dK.item(t, c)),
                        std::abs(dx.item(t, 2 * width + c) - dV.item(t, c))});
  std::cout << "Against the library's MultiheadAttention: at most " << apart << " apart.\n" << std::defaultfloat;
  lab.figures.exact("attention.layer", apart, within(1, "0"), apart < 1e-12);
}
