#include "handgrad/layers/batch_norm.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void BatchNorm1d<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  of_batch_ = least_rows() > 1;
  if (of_batch_ && x.size(0) < 2)
    throw ShapeError(label() + ": one row has no variance: in training at least 2 rows expected (shape " +
                     x.shape().str() + "); eval() takes the running statistics instead");
  mean_.reserve({2, num_features_}, x.device());
  inv_std_.reserve({num_features_}, x.device());
  const kernels::RunningStatistics<T> running{running_mean.value().data(), running_var.value().data(),
                                              num_batches_tracked.value().data(),
                                              static_cast<T>(options_.momentum.value_or(0)), !options_.momentum};
  // y = γ·x̂ + β,  x̂ = (x − µ)·s
  backend<T>(x.device())
      .norms.batch_norm_forward(view::matrix(x), view::vector(weight), view::vector(bias), static_cast<T>(options_.eps),
                                running, of_batch_, view::matrix(mean_), view::vector(inv_std_), view::matrix(y));
}

template <class T>
void BatchNorm1d<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  sums_.reserve({2, num_features_}, x.device());
  // dβ = Σₙ δ,  dγ = Σₙ δ∘x̂,  dx = γ·s·(δ − dβ/N − x̂·dγ/N)
  backend<T>(x.device())
      .norms.batch_norm_backward(view::matrix(x), view::matrix(dy), view::vector(weight), view::matrix(mean_),
                                 view::vector(inv_std_), of_batch_, view::matrix(sums_), view::gradient(weight),
                                 view::gradient(bias),
                                 this->requires_input_grad() ? view::matrix(dx) : kernels::Matrix<T>{});
}

template <class T>
BatchNorm1d<T>::BatchNorm1d(std::size_t num_features, BatchNormOptions options)
    : num_features_(num_features), options_(options) {
  if (num_features == 0) throw ValueError("BatchNorm1d(0): at least one feature expected");
  if (!(options.eps >= 0)) throw ValueError("BatchNorm1d: eps = " + format_number(options.eps) + ", ≥ 0 expected");
  if (options.momentum && !(*options.momentum >= 0 && *options.momentum <= 1))
    throw ValueError("BatchNorm1d: momentum = " + format_number(*options.momentum) + ", a number in [0, 1] expected");
  if (options.affine) {
    weight = this->register_parameter("weight", ones<T>({num_features}));
    bias = this->register_parameter("bias", zeros<T>({num_features}));
  }
  if (options.track_running_stats) {
    running_mean = this->register_buffer("running_mean", zeros<T>({num_features}));
    running_var = this->register_buffer("running_var", ones<T>({num_features}));
    num_batches_tracked = this->register_counter("num_batches_tracked");
  }
}

template <class T>
Shape BatchNorm1d<T>::output_shape(const Shape& input) const {
  if (input.rank() != 2)
    throw ShapeError("an input of shape (rows, columns) expected, one of shape " + input.str() + " came" +
                     (input.rank() == 3 ? "; (N, C, L) is not implemented, bring it to (N·L, C)" : ""));
  if (input.columns() != num_features_)
    throw ShapeError("input has " + std::to_string(input.columns()) + " columns, " + std::to_string(num_features_) +
                     " expected (shape " + input.str() + ")");
  return input;
}

template <class T>
std::size_t BatchNorm1d<T>::least_rows() const {
  return this->is_training() || !options_.track_running_stats ? 2 : 1;
}

template <class T>
std::string BatchNorm1d<T>::extra_repr() const {
  return std::to_string(num_features_) + ", eps=" + format_number(options_.eps) +
         ", momentum=" + (options_.momentum ? format_number(*options_.momentum) : "None") +
         ", affine=" + (options_.affine ? "True" : "False") +
         ", track_running_stats=" + (options_.track_running_stats ? "True" : "False");
}

template <class T>
std::string BatchNorm1d<T>::label() const {
  return "BatchNorm1d(" + std::to_string(num_features_) + ")";
}

template <class T>
trace::Derivation BatchNorm1d<T>::derivation(const Shape& input) const {
  trace::Derivation d{.rename = {{"weight", "γ"}, {"bias", "β"}}, .known = {{"ε", trace::constant(options_.eps)}}};
  if (of_batch_) {
    d.known.emplace_back("N", trace::constant(static_cast<double>(input.rows())));
    d.forward.emplace_back("µ = mean(x)", "µ[j] = sum(n: x[n,j])/N");
    d.forward.emplace_back("v = mean((x − µ)²)", "v[j] = sum(n: (x[n,j] − µ[j])²)/N");
  } else {
    d.known.emplace_back("µ", trace::array(running_mean.value()));
    d.known.emplace_back("v", trace::array(running_var.value()));
  }
  d.forward.emplace_back("s = 1/sqrt(v + ε)");
  d.forward.emplace_back("x̂ = (x − µ)·s", "x̂[n,j] = (x[n,j] − µ[j])·s[j]");
  const std::string gamma = options_.affine ? "γ[j]·" : "", gamma_whole = options_.affine ? "γ·" : "";
  d.forward.emplace_back("y = " + gamma_whole + "x̂" + (options_.affine ? " + β" : ""),
                         "y[n,j] = " + gamma + "x̂[n,j]" + (options_.affine ? " + β[j]" : ""));
  if (options_.affine) {
    d.backward.emplace_back("dγ = Σₙ δₙ∘x̂ₙ", "dγ[j] = sum(n: δ[n,j]·x̂[n,j])");
    d.backward.emplace_back("dβ = Σₙ δₙ", "dβ[j] = sum(n: δ[n,j])");
  }
  if (of_batch_)
    d.backward.emplace_back("dx = " + gamma_whole + "s·(δ − mean(δ) − x̂·mean(δ∘x̂))",
                            "dx[n,j] = " + gamma + "s[j]·(δ[n,j] − sum(k: δ[k,j])/N − x̂[n,j]·sum(k: δ[k,j]·x̂[k,j])/N)");
  else
    d.backward.emplace_back("dx = " + gamma_whole + "s·δ", "dx[n,j] = " + gamma + "s[j]·δ[n,j]");
  return d;
}

template class BatchNorm1d<float>;
template class BatchNorm1d<double>;

}  // namespace handgrad
