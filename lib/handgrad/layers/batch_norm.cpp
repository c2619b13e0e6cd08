#include "handgrad/layers/batch_norm.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void BatchNorm<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  of_batch_ = this->is_training() || !options_.track_running_stats;
  if (of_batch_ && x.numel() == num_features_)
    throw ShapeError(label() +
                     (x.rank() == 2 ? ": one row has no variance: in training at least 2 rows expected (shape "
                                    : ": one element of a channel has no variance: at least 2 expected (shape ") +
                     x.shape().str() + "); eval() takes the running statistics instead");
  mean_.reserve({2, num_features_}, x.device());
  inv_std_.reserve({num_features_}, x.device());
  const kernels::RunningStatistics<T> running{running_mean.value().data(), running_var.value().data(),
                                              num_batches_tracked.value().data(),
                                              static_cast<T>(options_.momentum.value_or(0)), !options_.momentum};
  // y = γ·x̂ + β,  x̂ = (x − µ)·s
  auto& norms = backend<T>(x.device()).norms;
  if (x.rank() > 2)
    norms.channel_norm_forward(view::lines(x, 1), 0, view::vector(weight), view::vector(bias),
                               static_cast<T>(options_.eps), running, of_batch_, view::matrix(mean_),
                               view::vector(inv_std_), view::vector(y));
  else
    norms.batch_norm_forward(view::matrix(x), view::vector(weight), view::vector(bias), static_cast<T>(options_.eps),
                             running, of_batch_, view::matrix(mean_), view::vector(inv_std_), view::matrix(y));
}

template <class T>
void BatchNorm<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  sums_.reserve({2, num_features_}, x.device());
  // dβ = Σₙ δ,  dγ = Σₙ δ∘x̂,  dx = γ·s·(δ − dβ/N − x̂·dγ/N)
  auto& norms = backend<T>(x.device()).norms;
  if (x.rank() > 2)
    norms.channel_norm_backward(view::lines(x, 1), 0, view::vector(dy), view::vector(weight), view::matrix(mean_),
                                view::vector(inv_std_), of_batch_, view::gradient(weight), view::gradient(bias),
                                this->requires_input_grad() ? view::vector(dx) : kernels::Vector<T>{});
  else
    norms.batch_norm_backward(view::matrix(x), view::matrix(dy), view::vector(weight), view::matrix(mean_),
                              view::vector(inv_std_), of_batch_, view::matrix(sums_), view::gradient(weight),
                              view::gradient(bias),
                              this->requires_input_grad() ? view::matrix(dx) : kernels::Matrix<T>{});
}

template <class T>
BatchNorm<T>::BatchNorm(const char* name, std::size_t num_features, BatchNormOptions options)
    : num_features_(num_features), options_(options) {
  if (num_features == 0) throw ValueError(std::string(name) + "(0): at least one feature expected");
  if (!(options.eps >= 0))
    throw ValueError(std::string(name) + ": eps = " + format_number(options.eps) + ", ≥ 0 expected");
  if (options.momentum && !(*options.momentum >= 0 && *options.momentum <= 1))
    throw ValueError(std::string(name) + ": momentum = " + format_number(*options.momentum) +
                     ", a number in [0, 1] expected");
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
Shape BatchNorm<T>::output_shape(const Shape& input) const {
  if (!takes(input.rank()))
    throw ShapeError("an input of shape " + expected_shape() + " expected, one of shape " + input.str() + " came");
  if (input[1] != num_features_)
    throw ShapeError("input has " + std::to_string(input[1]) + (input.rank() == 2 ? " columns, " : " channels, ") +
                     std::to_string(num_features_) + " expected (shape " + input.str() + ")");
  return input;
}

template <class T>
std::string BatchNorm<T>::extra_repr() const {
  return std::to_string(num_features_) + ", eps=" + format_number(options_.eps) +
         ", momentum=" + (options_.momentum ? format_number(*options_.momentum) : "None") +
         ", affine=" + (options_.affine ? "True" : "False") +
         ", track_running_stats=" + (options_.track_running_stats ? "True" : "False");
}

template <class T>
std::string BatchNorm<T>::label() const {
  return this->name() + "(" + std::to_string(num_features_) + ")";
}

template <class T>
trace::Derivation BatchNorm<T>::derivation(const Shape& input) const {
  // An element x[n,j], x[n,j,k] or x[n,j,k,l]; the sum over all elements of channel j uses other names for its indices.
  const char* const places[] = {"[n,j]", "[n,j,k]", "[n,j,k,l]"};
  const char* const others[] = {"[m,j]", "[m,j,p]", "[m,j,p,q]"};
  const std::string at = places[input.rank() - 2], other = others[input.rank() - 2];
  using trace::Why;
  const auto sum = [&](std::string text) {
    for (const char* index : {"q", "p", "m"})
      if (other.find(index) != std::string::npos) text = std::string("sum(") + index + ": " + text + ")";
    return text;
  };
  trace::Derivation d{.rename = {{"weight", "γ"}, {"bias", "β"}}, .known = {{"ε", trace::constant(options_.eps)}}};
  if (of_batch_) {
    d.known.emplace_back("N", trace::constant(static_cast<double>(input.numel() / num_features_)));
    d.forward.emplace_back("µ = mean(x)", "µ[j] = " + sum("x" + other) + "/N",
                           Why{"The mean of a feature over the examples of the batch."});
    d.forward.emplace_back("v = mean((x − µ)²)", "v[j] = " + sum("(x" + other + " − µ[j])²") + "/N",
                           Why{"How far the examples lie from it, squared, on average."});
  } else {
    d.known.emplace_back("µ", trace::array(running_mean.value()));
    d.known.emplace_back("v", trace::array(running_var.value()));
  }
  d.forward.emplace_back("s = 1/sqrt(v + ε)",
                         Why{"One over the spread; ε keeps it finite where all examples are alike."});
  d.forward.emplace_back(
      "x̂ = (x − µ)·s", "x̂" + at + " = (x" + at + " − µ[j])·s[j]",
      Why{of_batch_ ? "Each feature with mean 0 and spread 1 over the batch."
                    : "Each feature with the mean and the spread that were seen in training taken off."});
  const std::string gamma = options_.affine ? "γ[j]·" : "", gamma_whole = options_.affine ? "γ·" : "";
  d.forward.emplace_back(
      "y = " + gamma_whole + "x̂" + (options_.affine ? " + β" : ""),
      "y" + at + " = " + gamma + "x̂" + at + (options_.affine ? " + β[j]" : ""),
      Why{options_.affine ? "γ and β let the layer have any spread and mean that it needs, learnt instead of inherited."
                          : "The normalized numbers, as they are."});
  if (options_.affine) {
    d.backward.emplace_back("dγ = Σₙ δₙ∘x̂ₙ", "dγ[j] = " + sum("δ" + other + "·x̂" + other),
                            Why{"γ is in y of every example, with the factor x̂: so each adds δ·x̂."});
    d.backward.emplace_back("dβ = Σₙ δₙ", "dβ[j] = " + sum("δ" + other),
                            Why{"β is in y of every example, with the factor 1: so each adds its δ."});
  }
  if (of_batch_)
    d.backward.emplace_back("dx = " + gamma_whole + "s·(δ − mean(δ) − x̂·mean(δ∘x̂))",
                            "dx" + at + " = " + gamma + "s[j]·(δ" + at + " − " + sum("δ" + other) + "/N − x̂" + at +
                                "·" + sum("δ" + other + "·x̂" + other) + "/N)",
                            Why{"xₙ moves its own x̂ₙ, and with mean and spread those of all: what δ has in common, and "
                                "what goes along x̂, is taken off."});
  else
    d.backward.emplace_back("dx = " + gamma_whole + "s·δ", "dx" + at + " = " + gamma + "s[j]·δ" + at,
                            Why{"Mean and spread are constants here, so each x moves its own y alone."});
  return d;
}

template class BatchNorm<float>;
template class BatchNorm<double>;

}  // namespace handgrad
