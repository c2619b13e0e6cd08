#include "handgrad/layers/convolution.hpp"

#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/layers/window_trace.hpp"

namespace handgrad {

namespace {

formulas::Axis axis(std::size_t in, std::size_t out, std::size_t kernel, std::size_t stride, std::size_t padding,
                    std::size_t dilation) {
  return {in, out, kernel, stride, padding, dilation};
}

/// The sizes of a convolution from x to y.
kernels::ConvolutionShape sizes_of(const detail::Planes& x, const detail::Planes& y, const Size2d& kernel,
                                   const Size2d& stride, const Size2d& padding, const Size2d& dilation,
                                   std::size_t groups) {
  return {x.batch,
          x.channels,
          y.channels,
          groups,
          axis(x.height, y.height, kernel.height, stride.height, padding.height, dilation.height),
          axis(x.width, y.width, kernel.width, stride.width, padding.width, dilation.width)};
}

/// Zeros before the first row and column: the smaller half of an odd number.
Size2d padding_before(const Padding2d& padding, const Size2d& kernel, const Size2d& dilation) {
  if (!padding.same) return padding.size;
  return {dilation.height * (kernel.height - 1) / 2, dilation.width * (kernel.width - 1) / 2};
}

}  // namespace

template <class T>
void ConvolutionLayer<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  // y = W ⋆ x + b
  backend<T>(x.device())
      .convolution.forward(sizes(x.shape(), y.shape()), x.data(), view::vector(weight).data, view::vector(bias).data,
                           nullptr, y.data());
}

template <class T>
void ConvolutionLayer<T>::backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) {
  auto& k = backend<T>(x.device()).convolution;
  const auto shape = sizes(x.shape(), y.shape());
  // dW = δ ⋆ x,  db = Σ δ
  if (const auto dW = view::gradient(weight)) k.backward_weight(shape, x.data(), dy.data(), dW);
  if (const auto db = view::gradient(bias))
    k.backward_bias(shape.batch, shape.filters, shape.out_plane(), dy.data(), db);
  // dx = δ correlated with the turned W
  if (this->requires_input_grad()) k.backward_input(shape, dy.data(), view::vector(weight).data, nullptr, dx.data());
}

// The two exchanged: y here is the convolution's x.
template <class T>
void ConvTranspose2d<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  const auto shape = sizes_of({y.shape(), 2}, {x.shape(), 2}, kernel_, options_.stride, options_.padding,
                              options_.dilation, options_.groups);
  backend<T>(x.device())
      .convolution.backward_input(shape, x.data(), view::vector(weight).data, view::vector(bias).data, y.data());
}

template <class T>
void ConvTranspose2d<T>::backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) {
  auto& k = backend<T>(x.device()).convolution;
  const auto shape = sizes_of({y.shape(), 2}, {x.shape(), 2}, kernel_, options_.stride, options_.padding,
                              options_.dilation, options_.groups);
  // dW = x ⋆ δ,  db = Σ δ
  if (const auto dW = view::gradient(weight)) k.backward_weight(shape, dy.data(), x.data(), dW);
  if (const auto db = view::gradient(bias))
    k.backward_bias(shape.batch, shape.channels, shape.in_plane(), dy.data(), db);
  // dx = W ⋆ δ
  if (this->requires_input_grad()) k.forward(shape, dy.data(), view::vector(weight).data, nullptr, nullptr, dx.data());
}

namespace {

void check_channels(const std::string& name, std::size_t in, std::size_t out, std::size_t groups) {
  if (in == 0 || out == 0)
    throw ValueError(name + "(" + std::to_string(in) + " → " + std::to_string(out) +
                     "): at least one channel on each side expected");
  if (groups == 0 || in % groups != 0 || out % groups != 0)
    throw ValueError(name + "(" + std::to_string(in) + " → " + std::to_string(out) +
                     "): groups = " + std::to_string(groups) + " does not divide both numbers of channels");
}

/// W and b as in PyTorch: kaiming_uniform_ with a = √5, which is 1/√fan up to the last bit.
template <class T>
Tensor<T> drawn(const Shape& shape, double bound) {
  Tensor<T> x = Tensor<T>::empty(shape);
  return uniform_(x, -bound, bound);
}
double weight_bound(std::size_t fan) {
  const double a = std::sqrt(5.0), gain = std::sqrt(2 / (1 + a * a));
  return std::sqrt(3.0) * (gain / std::sqrt(static_cast<double>(fan)));
}

/// `, padding=(1, 1)` and so on: whatever differs from the default.
std::string unusual(const Size2d& stride, const std::string& padding, const Size2d& output_padding,
                    const Size2d& dilation, std::size_t groups, bool bias, std::size_t spatial) {
  std::string text = ", stride=" + detail::tuple_text(stride, spatial) + padding;
  const auto differs = [&](const Size2d& size, std::size_t usual) {
    return size.width != usual || (spatial == 2 && size.height != usual);
  };
  if (differs(dilation, 1)) text += ", dilation=" + detail::tuple_text(dilation, spatial);
  if (differs(output_padding, 0)) text += ", output_padding=" + detail::tuple_text(output_padding, spatial);
  if (groups != 1) text += ", groups=" + std::to_string(groups);
  if (!bias) text += ", bias=False";
  return text;
}
std::string padding_text(const Size2d& padding, std::size_t spatial) {
  const bool none = padding.width == 0 && (spatial == 1 || padding.height == 0);
  return none ? "" : ", padding=" + detail::tuple_text(padding, spatial);
}

void check_input_channels(const Shape& input, const detail::Planes& x, std::size_t expected) {
  if (x.channels != expected)
    throw ShapeError("input has " + std::to_string(x.channels) + " channels, " + std::to_string(expected) +
                     " expected (shape " + input.str() + ")");
}

}  // namespace

template <class T>
ConvolutionLayer<T>::ConvolutionLayer(const char* name, std::size_t spatial, std::size_t in, std::size_t out,
                                      Size2d kernel, const Conv2dOptions& options)
    : spatial_(spatial), in_(in), kernel_(kernel), options_(options) {
  check_channels(name, in, out, options.groups);
  detail::require_positive(name, "kernel_size", kernel);
  detail::require_positive(name, "stride", options.stride);
  detail::require_positive(name, "dilation", options.dilation);
  if (options.padding_mode != "zeros")
    throw ValueError(std::string(name) + ": padding_mode = \"" + options.padding_mode + "\", \"zeros\" expected");
  if (options.padding.same && !(options.stride == Size2d(1)))
    throw ValueError(std::string(name) + ": padding \"same\" goes with a stride of 1, one of " +
                     detail::short_text(options.stride) + " came");
  const std::size_t fan = in / options.groups * kernel.height * kernel.width;
  Shape shape{out, in / options.groups};
  if (spatial == 2) shape.push_back(kernel.height);
  shape.push_back(kernel.width);
  weight = this->register_parameter("weight", drawn<T>(shape, weight_bound(fan)));
  if (options.bias) bias = this->register_parameter("bias", drawn<T>({out}, 1 / std::sqrt(static_cast<double>(fan))));
}

template <class T>
Conv1d<T>::Conv1d(std::size_t in, std::size_t out, std::size_t kernel, const Conv1dOptions& o)
    : ConvolutionLayer<T>("Conv1d", 1, in, out, {1, kernel},
                          {.stride = {1, o.stride},
                           .padding = o.padding.same ? Padding2d("same") : Padding2d(0, o.padding.size.width),
                           .dilation = {1, o.dilation},
                           .groups = o.groups,
                           .bias = o.bias,
                           .padding_mode = o.padding_mode}) {
  detail::require_positive("Conv1d", "kernel_size", kernel);
}

template <class T>
kernels::ConvolutionShape ConvolutionLayer<T>::sizes(const Shape& x, const Shape& y) const {
  return sizes_of({x, spatial_}, {y, spatial_}, kernel_, options_.stride,
                  padding_before(options_.padding, kernel_, options_.dilation), options_.dilation, options_.groups);
}

template <class T>
Shape ConvolutionLayer<T>::output_shape(const Shape& input) const {
  const detail::Planes x(input, spatial_);
  check_input_channels(input, x, in_);
  const auto length = [&](std::size_t in, std::size_t kernel, std::size_t stride, std::size_t padding,
                          std::size_t dilation, const char* what) {
    if (options_.padding.same) return in;
    const std::size_t reach = dilation * (kernel - 1) + 1;
    if (in + 2 * padding < reach)
      throw ShapeError("the kernel reaches over " + std::to_string(reach) + " " + what + ", the input has " +
                       std::to_string(in) + (padding ? " + 2·" + std::to_string(padding) : "") + " (shape " +
                       input.str() + ")");
    return (in + 2 * padding - reach) / stride + 1;
  };
  const Size2d &p = options_.padding.size, &s = options_.stride, &d = options_.dilation;
  return detail::with_planes(input, spatial_, out_channels(),
                             {length(x.height, kernel_.height, s.height, p.height, d.height, "rows"),
                              length(x.width, kernel_.width, s.width, p.width, d.width, "columns")});
}

template <class T>
std::string ConvolutionLayer<T>::extra_repr() const {
  const std::string padding = options_.padding.same ? ", padding=same" : padding_text(options_.padding.size, spatial_);
  return std::to_string(in_) + ", " + std::to_string(out_channels()) +
         ", kernel_size=" + detail::tuple_text(kernel_, spatial_) +
         unusual(options_.stride, padding, 0, options_.dilation, options_.groups, has_bias(), spatial_);
}

template <class T>
std::string ConvolutionLayer<T>::label() const {
  return this->name() + "(" + std::to_string(in_) + " → " + std::to_string(out_channels()) + ")";
}

namespace {

using trace::Why;

/// "n,i,j" for x (N, C, H, W), without n and i if x lacks them.
std::string place_of(bool batched, std::size_t spatial) {
  return std::string(batched ? "n," : "") + (spatial == 2 ? "i," : "") + "j";
}
/// sum(n: sum(i: sum(j: text)))
std::string over(const std::string& place, std::string text) {
  for (const char* index : {"j", "i", "n"})
    if (place.find(index) != std::string::npos) text = std::string("sum(") + index + ": " + text + ")";
  return text;
}
/// The places of weight (rows, C/G, kh, kw) in a matrix with the same rows and a column for each channel and tap of the
/// other side, −1 outside a row's group. With one group it is the weight itself.
trace::Array places_in_groups(const Shape& weight, std::size_t groups) {
  const std::size_t rows = weight[0], terms = weight.numel() / rows, per_group = rows / groups;
  trace::Array places{{rows, groups * terms}, std::vector<double>(groups * weight.numel(), -1)};
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t k = 0; k < terms; ++k)
      places.numbers[row * groups * terms + row / per_group * terms + k] = static_cast<double>(row * terms + k);
  return places;
}
/// Ŵ, that matrix: the weight, or made from it.
template <class T>
void add_matrix(trace::Derivation& d, const Parameter<T>& weight, std::size_t groups, const char* row) {
  const Shape& shape = weight.shape();
  if (groups == 1) {
    d.link("Ŵ", weight.value().reshape({shape[0], shape.numel() / shape[0]}));
    return;
  }
  d.known.emplace_back("Q", places_in_groups(shape, groups));
  const std::string at = std::string("[") + row + ",k]";
  d.forward.emplace_back("Ŵ = W by groups", "Ŵ" + at + " = sum(a: [Q" + at + " = a]·W[a])",
                         Why{"Each filter becomes a row, its numbers in the order in which a window has them."});
}
trace::Equation back_from_matrix(std::size_t groups) {
  const Why back{"The numbers of the rows, back in the filters from which they came."};
  if (groups == 1) return {"dW = dŴ", back};
  return {"dW = dŴ by groups", "dW[a] = sum(b: [Q[b] = a]·dŴ[b])", back};
}

// Why, for a convolution and the one that goes the other way.
const char* const over_windows =
    "The same small weights at every place: each number of y is a sum over the window of x that lies under them.";
const char* const spread = "Each number of x gives a whole window of numbers, in the proportions of the filter.";
const char* const used_everywhere =
    "A weight is used at every place, each time with another number of x: so every place adds its δ times that number.";
const char* const in_each_place =
    "A channel's bias is in each of its places, with the factor 1: so each of them adds its δ.";
const char* const in_several_windows =
    "A number of x lies in several windows, each time under another weight: each of them sends its δ back over it.";
const char* const from_its_window =
    "A number of x gave something to a whole window of y, each time with another weight: their δ come back over them.";

}  // namespace

// A small one with every number: its windows are the rows of a matrix of patches X̂, which is multiplied by the matrix
// of filters; a larger one in symbols.
template <class T>
trace::Derivation ConvolutionLayer<T>::derivation(const Shape& input) const {
  using trace::Equation;
  trace::Derivation d{.rename = {{"weight", "W"}, {"bias", "b"}}};
  const bool batched = input.rank() == spatial_ + 2;
  const auto shape = sizes(input, output_shape(input));
  const detail::WindowPlaces P = detail::patches({input, spatial_}, batched, spatial_, shape.rows, shape.columns);
  if (!P.small) {
    d.forward = {Equation::symbols(has_bias() ? "y = W ⋆ x + b" : "y = W ⋆ x", Why{over_windows})};
    d.backward = {Equation::symbols("dW = δ ⋆ x", Why{used_everywhere})};
    if (has_bias()) d.backward.push_back(Equation::symbols("db = Σ δ", Why{in_each_place}));
    d.backward.push_back(Equation::symbols("dx = δ ∗ W", Why{in_several_windows}));
    return d;
  }
  const std::string at = place_of(batched, spatial_), n = batched ? "n," : "", ij = at.substr(n.size());
  const std::string X = "X̂[" + at + ",k]", y = "[" + n + "o," + ij + "]";
  d.known = {{"P", P.places}};
  add_matrix(d, weight, options_.groups, "o");
  d.forward.emplace_back(
      "X̂ = patches(x)", X + " = sum(a: [P[" + at + ",k] = a]·x[a])",
      Why{"Each window of x becomes a row, so that the sums over windows are one product of matrices."});
  d.forward.emplace_back(has_bias() ? "y = X̂·Ŵᵀ + b" : "y = X̂·Ŵᵀ",
                         "y" + y + " = sum(k: " + X + "·Ŵ[o,k])" + (has_bias() ? " + b[o]" : ""), Why{over_windows});
  if (weight.requires_grad()) {
    d.backward.emplace_back("dŴ = δᵀ·X̂", "dŴ[o,k] = " + over(at, "δ" + y + "·" + X), Why{used_everywhere});
    d.backward.push_back(back_from_matrix(options_.groups));
  }
  if (has_bias()) d.backward.emplace_back("db = Σ δ", "db[o] = " + over(at, "δ" + y), Why{in_each_place});
  if (this->requires_input_grad()) {
    d.backward.emplace_back(
        "dX̂ = δ·Ŵ", "d" + X + " = sum(o: δ" + y + "·Ŵ[o,k])",
        Why{"A number of a window is in every output channel, with that channel's weight as factor."});
    d.backward.emplace_back("dx = Σ dX̂", "dx[a] = sum(b: [P[b] = a]·dX̂[b])", Why{in_several_windows});
  }
  return d;
}

template <class T>
ConvTranspose2d<T>::ConvTranspose2d(std::size_t in, std::size_t out, Size2d kernel,
                                    const ConvTranspose2dOptions& options)
    : out_(out), kernel_(kernel), options_(options) {
  const std::string name = "ConvTranspose2d";
  check_channels(name, in, out, options.groups);
  detail::require_positive(name, "kernel_size", kernel);
  detail::require_positive(name, "stride", options.stride);
  detail::require_positive(name, "dilation", options.dilation);
  const Size2d &more = options.output_padding, &s = options.stride, &d = options.dilation;
  if (more.height >= std::max(s.height, d.height) || more.width >= std::max(s.width, d.width))
    throw ValueError(name + ": output_padding = " + detail::short_text(more) +
                     ", fewer than the stride or the dilation expected");
  const std::size_t fan = out / options.groups * kernel.height * kernel.width;
  weight = this->register_parameter(
      "weight", drawn<T>({in, out / options.groups, kernel.height, kernel.width}, weight_bound(fan)));
  if (options.bias) bias = this->register_parameter("bias", drawn<T>({out}, 1 / std::sqrt(static_cast<double>(fan))));
}

template <class T>
Shape ConvTranspose2d<T>::output_shape(const Shape& input) const {
  const detail::Planes x(input, 2);
  check_input_channels(input, x, in_channels());
  const auto length = [&](std::size_t in, std::size_t kernel, std::size_t stride, std::size_t padding,
                          std::size_t dilation, std::size_t more, const char* what) {
    const std::size_t all = (in - 1) * stride + dilation * (kernel - 1) + more + 1;
    if (in == 0 || all <= 2 * padding)
      throw ShapeError("of " + std::to_string(in) + " " + what + " nothing is left after a padding of " +
                       std::to_string(padding) + " (shape " + input.str() + ")");
    return all - 2 * padding;
  };
  const Size2d &p = options_.padding, &s = options_.stride, &d = options_.dilation, &more = options_.output_padding;
  return detail::with_planes(input, 2, out_,
                             {length(x.height, kernel_.height, s.height, p.height, d.height, more.height, "rows"),
                              length(x.width, kernel_.width, s.width, p.width, d.width, more.width, "columns")});
}

template <class T>
std::string ConvTranspose2d<T>::extra_repr() const {
  return std::to_string(in_channels()) + ", " + std::to_string(out_) +
         ", kernel_size=" + detail::tuple_text(kernel_, 2) +
         unusual(options_.stride, padding_text(options_.padding, 2), options_.output_padding, options_.dilation,
                 options_.groups, bias.defined(), 2);
}

template <class T>
std::string ConvTranspose2d<T>::label() const {
  return "ConvTranspose2d(" + std::to_string(in_channels()) + " → " + std::to_string(out_) + ")";
}

// A small one with every number: each x gives a patch Ŷ, and the patches add up where they overlap.
template <class T>
trace::Derivation ConvTranspose2d<T>::derivation(const Shape& input) const {
  using trace::Equation;
  trace::Derivation d{.rename = {{"weight", "W"}, {"bias", "b"}}};
  const bool batched = input.rank() == 4, biased = bias.defined();
  const Shape output = output_shape(input);
  const auto shape =
      sizes_of({output, 2}, {input, 2}, kernel_, options_.stride, options_.padding, options_.dilation, options_.groups);
  const detail::WindowPlaces P = detail::patches({output, 2}, batched, 2, shape.rows, shape.columns);
  if (!P.small) {
    d.forward = {Equation::symbols(biased ? "y = x ∗ W + b" : "y = x ∗ W", Why{spread})};
    d.backward = {Equation::symbols("dW = x ⋆ δ", Why{used_everywhere})};
    if (biased) d.backward.push_back(Equation::symbols("db = Σ δ", Why{in_each_place}));
    d.backward.push_back(Equation::symbols("dx = W ⋆ δ", Why{from_its_window}));
    return d;
  }
  const std::string n = batched ? "n," : "", patch = "[" + n + "i,j,k]", x = "[" + n + "c,i,j]", y = "[" + n + "o,h,w]";
  trace::Array numbers{output, {}};
  for (std::size_t a = 0; a < output.numel(); ++a) numbers.numbers.push_back(static_cast<double>(a));
  d.known = {{"P", P.places}, {"A", numbers}};
  add_matrix(d, weight, options_.groups, "c");
  d.forward.emplace_back("Ŷ = x·Ŵ", "Ŷ" + patch + " = sum(c: x" + x + "·Ŵ[c,k])", Why{spread});
  d.forward.emplace_back(
      biased ? "y = Σ Ŷ + b" : "y = Σ Ŷ",
      "y" + y + " = sum(i: sum(j: sum(k: [P" + patch + " = A" + y + "]·Ŷ" + patch + ")))" + (biased ? " + b[o]" : ""),
      Why{"Where windows overlap, what lies on one place adds up."});
  const bool weighted = weight.requires_grad(), asked = this->requires_input_grad();
  if (weighted || asked)
    d.backward.emplace_back("D = patches(δ)", "D" + patch + " = sum(a: [P" + patch + " = a]·δ[a])",
                            Why{"The window of δ that each number of x had given its numbers to."});
  if (weighted) {
    d.backward.emplace_back("dŴ = xᵀ·D", "dŴ[c,k] = " + over(batched ? "n,i,j" : "i,j", "x" + x + "·D" + patch),
                            Why{used_everywhere});
    d.backward.push_back(back_from_matrix(options_.groups));
  }
  if (biased) {
    std::string sum = "sum(h: sum(w: δ" + y + "))";
    d.backward.emplace_back("db = Σ δ", "db[o] = " + (batched ? "sum(n: " + sum + ")" : sum), Why{in_each_place});
  }
  if (asked) d.backward.emplace_back("dx = D·Ŵᵀ", "dx" + x + " = sum(k: D" + patch + "·Ŵ[c,k])", Why{from_its_window});
  return d;
}

#define HANDGRAD_INSTANTIATE(T)       \
  template class ConvolutionLayer<T>; \
  template class Conv2d<T>;           \
  template class Conv1d<T>;           \
  template class ConvTranspose2d<T>;
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
