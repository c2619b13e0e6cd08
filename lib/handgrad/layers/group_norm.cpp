#include "handgrad/layers/group_norm.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void GroupNorm<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  mean_.reserve({2, x.size(0) * groups_}, x.device());
  inv_std_.reserve({x.size(0) * groups_}, x.device());
  // y = γ_c·x̂ + β_c,  x̂ = (x − µ)·s
  backend<T>(x.device())
      .norms.channel_norm_forward(view::lines(x, 1), groups_, view::vector(weight), view::vector(bias),
                                  static_cast<T>(options_.eps), {}, true, view::matrix(mean_), view::vector(inv_std_),
                                  view::vector(y));
}

template <class T>
void GroupNorm<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  // dβ_c = Σ δ,  dγ_c = Σ δ∘x̂;  with g = γ_c·δ:  dx = s·(g − mean(g) − x̂·mean(g∘x̂))
  backend<T>(x.device())
      .norms.channel_norm_backward(view::lines(x, 1), groups_, view::vector(dy), view::vector(weight),
                                   view::matrix(mean_), view::vector(inv_std_), true, view::gradient(weight),
                                   view::gradient(bias),
                                   this->requires_input_grad() ? view::vector(dx) : kernels::Vector<T>{});
}

template <class T>
GroupNorm<T>::GroupNorm(std::size_t num_groups, std::size_t num_channels, GroupNormOptions options)
    : groups_(num_groups), channels_(num_channels), options_(options) {
  if (num_groups == 0 || num_channels == 0 || num_channels % num_groups != 0)
    throw ValueError("GroupNorm: num_channels = " + std::to_string(num_channels) + " in num_groups = " +
                     std::to_string(num_groups) + " groups; a number of groups that divides the channels expected");
  if (!(options.eps >= 0)) throw ValueError("GroupNorm: eps = " + format_number(options.eps) + ", ≥ 0 expected");
  if (!options.affine) return;
  weight = this->register_parameter("weight", ones<T>({num_channels}));
  bias = this->register_parameter("bias", zeros<T>({num_channels}));
}

template <class T>
Shape GroupNorm<T>::output_shape(const Shape& input) const {
  if (input.rank() < 2 || input[1] != channels_)
    throw ShapeError("an input of shape (N, " + std::to_string(channels_) + ", …) expected, one of shape " +
                     input.str() + " came");
  return input;
}

template <class T>
std::string GroupNorm<T>::extra_repr() const {
  return std::to_string(groups_) + ", " + std::to_string(channels_) + ", eps=" + format_number(options_.eps) +
         ", affine=" + (options_.affine ? "True" : "False");
}

template <class T>
std::string GroupNorm<T>::label() const {
  return "GroupNorm(" + std::to_string(groups_) + ", " + std::to_string(channels_) + ")";
}

template <class T>
trace::Derivation GroupNorm<T>::derivation(const Shape& input) const {
  // An element x[n,c], x[n,c,k] or x[n,c,k,l]. The mean over c's group is one over all channels b of the example, with
  // the factor A[c,b]: 1 for two channels of one group, else 0.
  const char* const places[] = {"[n,c]", "[n,c,k]", "[n,c,k,l]"};
  const char* const of_group[] = {"[n,b]", "[n,b,p]", "[n,b,p,q]"};
  const char* const of_channel[] = {"[m,c]", "[m,c,p]", "[m,c,p,q]"};
  const std::string at = places[input.rank() - 2], b = of_group[input.rank() - 2], m = of_channel[input.rank() - 2];
  const auto sum = [](std::string text, const std::string& place, std::initializer_list<const char*> indices) {
    for (const char* index : indices)
      if (place.find(index) != std::string::npos) text = std::string("sum(") + index + ": " + text + ")";
    return text;
  };
  const auto mean = [&](const std::string& text) { return sum("A[c,b]·" + text, b, {"q", "p", "b"}) + "/D"; };
  const auto over_channel = [&](const std::string& text) { return sum(text, m, {"q", "p", "m"}); };
  Tensor<double> same = zeros<double>({channels_, channels_});
  const std::size_t width = channels_ / groups_;
  for (std::size_t i = 0; i < channels_ * channels_; ++i)
    same.data()[i] = i / channels_ / width == i % channels_ / width ? 1 : 0;
  using trace::Why;
  const bool scaled = options_.affine;
  trace::Derivation d{
      .forward = {{"µ = mean(x)", "µ[n,c] = " + mean("x" + b), Why{"The mean of a group of channels of one example."}},
                  {"v = mean((x − µ)²)", "v[n,c] = " + mean("(x" + b + " − µ[n,c])²"),
                   Why{"How far the group's elements lie from it, squared, on average."}},
                  {"s = 1/sqrt(v + ε)", Why{"One over the spread; ε keeps it finite where all elements are alike."}},
                  {"x̂ = (x − µ)·s", "x̂" + at + " = (x" + at + " − µ[n,c])·s[n,c]",
                   Why{"Each group with mean 0 and spread 1; no example has looked at another."}},
                  {scaled ? "y = γ∘x̂ + β" : "y = x̂",
                   "y" + at + " = " + (scaled ? "γ[c]·" : "") + "x̂" + at + (scaled ? " + β[c]" : ""),
                   Why{scaled ? "γ and β let each channel have the spread and mean that it needs."
                              : "The normalized numbers, as they are."}}},
      .backward = {{scaled ? "g = γ∘δ" : "g = δ", "g" + at + " = " + (scaled ? "γ[c]·" : "") + "δ" + at,
                    Why{"∂L/∂x̂: what comes back to the normalized number."}}},
      .rename = {{"weight", "γ"}, {"bias", "β"}},
      .known = {{"A", trace::array(same)},
                {"D", trace::constant(static_cast<double>(input.numel() / input[0] / groups_))},
                {"ε", trace::constant(options_.eps)}}};
  if (scaled) {
    d.backward.emplace_back("dγ = Σₙ δₙ∘x̂ₙ", "dγ[c] = " + over_channel("δ" + m + "·x̂" + m),
                            Why{"γ is in y of every example and place, with the factor x̂: so each adds δ·x̂."});
    d.backward.emplace_back("dβ = Σₙ δₙ", "dβ[c] = " + over_channel("δ" + m),
                            Why{"β is in y of every example and place, with the factor 1: so each adds its δ."});
  }
  d.backward.emplace_back(
      "dx = s·(g − mean(g) − x̂·mean(g∘x̂))",
      "dx" + at + " = s[n,c]·(g" + at + " − " + mean("g" + b) + " − x̂" + at + "·" + mean("g" + b + "·x̂" + b) + ")",
      Why{"An element moves its own x̂, and with mean and spread those of its whole group: what g has in common, and "
          "what goes along x̂, is taken off."});
  return d;
}

template class GroupNorm<float>;
template class GroupNorm<double>;

}  // namespace handgrad
