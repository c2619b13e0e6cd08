#include "handgrad/optim/muon.hpp"

#include <algorithm>
#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

namespace {

double ratio(const MuonOptions& o, const Shape& shape) {
  const auto rows = static_cast<double>(shape[0]), columns = static_cast<double>(shape[1]);
  if (o.adjust_lr_fn == MuonOptions::AdjustLr::MatchRmsAdamW) return 0.2 * std::sqrt(std::max(rows, columns));
  return std::sqrt(std::max(1.0, rows / columns));
}

}  // namespace

template <class T>
const Tensor<T>& Muon<T>::direction(std::size_t i) {
  const MuonOptions& o = this->options(this->group_of(i));
  const Tensor<T>& g = this->parameters()[i].grad();
  const Device device = g.device();
  const auto& k = backend<T>(device);
  const T mu = static_cast<T>(o.momentum);
  const auto [a, b, c] = o.ns_coefficients;

  // m ← µ·m + (1−µ)·g,  u = µ·m + (1−µ)·g
  Tensor<T>& m = this->make_state(i, 0);
  k.elements.scale(view::vector(m), mu);
  k.elements.add(view::vector(m), T(1) - mu, view::vector(g));
  auto& [x, next, gram, polynomial, norm] = buffers_[i];
  x.reserve(g.shape(), device);
  x.copy_from(m);
  if (o.nesterov) {
    k.elements.scale(view::vector(x), mu);
    k.elements.add(view::vector(x), T(1) - mu, view::vector(g));
  }

  // X ← u/‖u‖
  const bool tall = g.size(0) > g.size(1);
  const std::size_t side = tall ? g.size(1) : g.size(0);
  next.reserve(g.shape(), device);
  gram.reserve({side, side}, device);
  polynomial.reserve({side, side}, device);
  norm.reserve({}, device);
  k.optimizers.normalize(view::vector(x), static_cast<T>(o.eps), norm.data());
  const auto product = [&](const Tensor<T>& p, bool transpose_p, const Tensor<T>& q, bool transpose_q, Tensor<T>& to) {
    k.products.matmul(view::matrix(p), transpose_p, view::matrix(q), transpose_q, T(0), view::matrix(to));
  };
  for (int step = 0; step < o.ns_steps; ++step) {
    // G = X·Xᵀ, or Xᵀ·X;  P = b·G + c·G²;  X ← a·X + P·X, or a·X + X·P
    product(x, tall, x, !tall, gram);
    product(gram, false, gram, false, polynomial);
    k.elements.scale(view::vector(polynomial), static_cast<T>(c));
    k.elements.add(view::vector(polynomial), static_cast<T>(b), view::vector(gram));
    product(tall ? x : polynomial, false, tall ? polynomial : x, false, next);
    k.elements.add(view::vector(next), static_cast<T>(a), view::vector(x));
    std::swap(x, next);
  }
  k.elements.scale(view::vector(x), static_cast<T>(ratio(o, g.shape())));
  return x;
}

template <class T>
Muon<T>::Muon(std::vector<ParameterGroup<T, MuonOptions>> groups)
    : GroupOptimizer<T, MuonOptions>(std::move(groups)), buffers_(this->parameters().size()) {
  for (const Parameter<T>& parameter : this->parameters())
    if (parameter.shape().rank() != 2)
      throw ValueError("Muon: matrices expected, a parameter of shape " + parameter.shape().str() +
                       " came; give biases and norms to AdamW");
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const MuonOptions& o = this->options(g);
    detail::require_rates("Muon", {{"lr", o.lr, INFINITY},
                                   {"weight_decay", o.weight_decay, INFINITY},
                                   {"momentum", o.momentum, 1},
                                   {"eps", o.eps, INFINITY}});
    if (o.ns_steps < 0 || o.ns_steps >= 100)
      throw ValueError("Muon: ns_steps = " + std::to_string(o.ns_steps) + ", a number from 0 to 99 expected");
  }
}

template <class T>
formulas::UpdateRule Muon<T>::rule(std::size_t group, std::int64_t) const {
  const MuonOptions& o = this->options(group);
  return formulas::Muon{o.lr, o.lr * o.weight_decay};
}

template <class T>
std::vector<std::string> Muon<T>::state_names(std::size_t) const {
  return {"momentum_buffer"};
}

template <class T>
trace::Derivation Muon<T>::derivation(std::size_t i) const {
  const MuonOptions& o = this->options(this->group_of(i));
  const Shape& shape = this->parameters()[i].shape();
  const Tensor<T>& m = this->state_of(i, 0);
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)},
                                {"µ", trace::constant(o.momentum)},
                                {"ε", trace::constant(o.eps)},
                                {"r", trace::constant(ratio(o, shape))},
                                {"a", trace::constant(o.ns_coefficients[0])},
                                {"b", trace::constant(o.ns_coefficients[1])},
                                {"c", trace::constant(o.ns_coefficients[2])},
                                {"m", m.defined() ? trace::array(m) : trace::array(zeros<T>(shape))}}};
  d.forward = {{"m = µ·m + (1 − µ)·g", Why{"The mean of the gradients, of late: the direction."}}};
  d.forward.emplace_back(o.nesterov ? "X = µ·m + (1 − µ)·g" : "X = m",
                         Why{o.nesterov ? "The direction as it will be: the gradient at hand counts once more."
                                        : "The direction, to be straightened."});
  d.forward.emplace_back("q = ‖X‖", "q = sqrt(sum(i: X[i]²))", Why{"The length of the direction."});
  d.forward.emplace_back("X = X/max(q, ε)", Why{"Over its length, no singular value is above 1."});
  const bool tall = shape[0] > shape[1];
  for (int step = 0; step < o.ns_steps; ++step) {
    d.forward.emplace_back(tall ? "G = Xᵀ·X" : "G = X·Xᵀ",
                           tall ? "G[i,j] = sum(k: X[k,i]·X[k,j])" : "G[i,j] = sum(k: X[i,k]·X[j,k])",
                           Why{"The products of X's rows, or columns, with each other: X's singular values, squared."});
    d.forward.emplace_back("P = b·G + c·G·G", "P[i,j] = b·G[i,j] + c·sum(k: G[i,k]·G[k,j])",
                           Why{"A polynomial in G bends all singular values at once, and turns no direction."});
    d.forward.emplace_back(
        tall ? "X = a·X + X·P" : "X = a·X + P·X",
        tall ? "X[i,j] = a·X[i,j] + sum(k: X[i,k]·P[k,j])" : "X[i,j] = a·X[i,j] + sum(k: P[i,k]·X[k,j])",
        Why{"One step towards the matrix that has X's directions, all equally long."});
  }
  if (o.weight_decay != 0) d.known.emplace_back("λ", trace::constant(o.weight_decay));
  d.forward.emplace_back(o.weight_decay != 0 ? "w = w − η·λ·w − η·r·X" : "w = w − η·r·X",
                         Why{"A step against the direction, equally long in all of its singular directions" +
                             std::string(o.weight_decay != 0 ? "; weight decay draws each weight to 0." : ".")});
  return d;
}

template class Muon<float>;
template class Muon<double>;

}  // namespace handgrad
