#include "handgrad/layers/pooling.hpp"

#include <algorithm>
#include <bit>

#include "handgrad/base/backend.hpp"
#include "handgrad/layers/window_trace.hpp"

namespace handgrad {

namespace {

/// The planes of x, and how windows move over them to give y.
kernels::PoolingShape sizes_of(const Shape& x_shape, const Shape& y_shape, std::size_t spatial, const Size2d& kernel,
                               const Size2d& stride, const Size2d& padding, const Size2d& dilation) {
  const detail::Planes x(x_shape, spatial), y(y_shape, spatial);
  return {x.batch * x.channels,
          {x.height, y.height, kernel.height, stride.height, padding.height, dilation.height},
          {x.width, y.width, kernel.width, stride.width, padding.width, dilation.width}};
}

}  // namespace

template <class T>
void MaxPoolLayer<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  // y = max over the window, at = its place
  at_.reserve(y.shape(), x.device());
  backend<T>(x.device()).pooling.max_forward(sizes(x.shape(), y.shape()), x.data(), y.data(), at_.data());
}

template <class T>
void MaxPoolLayer<T>::backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) {
  // dx = Σ δ over the windows whose maximum it is
  if (!this->requires_input_grad()) return;
  backend<T>(x.device())
      .pooling.max_backward(sizes(x.shape(), y.shape()), dy.data(), std::as_const(at_).data(), dx.data());
}

template <class T>
void AveragePoolLayer<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  // y = Σ x over the window / |R|
  const Windows w = windows();
  backend<T>(x.device())
      .pooling.average_forward(sizes_of(x.shape(), y.shape(), spatial_, w.kernel, w.stride, w.padding, 1),
                               {w.adaptive, w.count_include_pad, w.divisor_override}, x.data(), y.data());
}

template <class T>
void AveragePoolLayer<T>::backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) {
  // dx = Σ δ/|R| over the windows that contain it
  if (!this->requires_input_grad()) return;
  const Windows w = windows();
  backend<T>(x.device())
      .pooling.average_backward(sizes_of(x.shape(), y.shape(), spatial_, w.kernel, w.stride, w.padding, 1),
                                {w.adaptive, w.count_include_pad, w.divisor_override}, dy.data(), dx.data());
}

template <class T>
kernels::PoolingShape MaxPoolLayer<T>::sizes(const Shape& x, const Shape& y) const {
  return sizes_of(x, y, spatial_, kernel_, stride_, options_.padding, options_.dilation);
}

template <class T>
void MaxPoolLayer<T>::kink_sides(const Tensor<T>&, std::vector<bool>& sides) const {
  const auto bits = static_cast<std::size_t>(std::bit_width(kernel_.height * kernel_.width - 1));
  for (const T at : at_.to_vector())
    for (std::size_t bit = 0; bit < bits; ++bit) sides.push_back(static_cast<std::size_t>(at) >> bit & 1);
}

namespace {

void check_windows(const std::string& name, const Size2d& kernel, const Size2d& stride, const Size2d& padding,
                   const Size2d& dilation) {
  detail::require_positive(name, "kernel_size", kernel);
  detail::require_positive(name, "stride", stride);
  detail::require_positive(name, "dilation", dilation);
  if (2 * padding.height > dilation.height * (kernel.height - 1) + 1 ||
      2 * padding.width > dilation.width * (kernel.width - 1) + 1)
    throw ValueError(name + ": padding = " + detail::short_text(padding) + ", at most half of the window expected");
}

/// Counts windows as PyTorch does: `ceil_mode` adds partial ones that begin in the input or the padding before it.
std::size_t windows_in(const Shape& input, std::size_t in, std::size_t kernel, std::size_t stride, std::size_t padding,
                       std::size_t dilation, bool ceil_mode, const char* what) {
  const std::size_t reach = dilation * (kernel - 1) + 1, room = in + 2 * padding;
  if (room < reach && !(ceil_mode && room + stride > reach))
    throw ShapeError("the window reaches over " + std::to_string(reach) + " " + what + ", the input has " +
                     std::to_string(in) + (padding ? " + 2·" + std::to_string(padding) : "") + " (shape " +
                     input.str() + ")");
  if (!ceil_mode) return (room - reach) / stride + 1;
  const std::size_t count = (room + stride - 1 - reach) / stride + 1;
  return (count - 1) * stride >= in + padding ? count - 1 : count;
}

Shape pooled(const Shape& input, std::size_t spatial, const Size2d& k, const Size2d& s, const Size2d& p,
             const Size2d& d, bool ceil_mode) {
  const detail::Planes x(input, spatial);
  return detail::with_planes(
      input, spatial, x.channels,
      {spatial == 1 ? 1 : windows_in(input, x.height, k.height, s.height, p.height, d.height, ceil_mode, "rows"),
       windows_in(input, x.width, k.width, s.width, p.width, d.width, ceil_mode, "columns")});
}

/// In one dimension, only the width.
std::string number(const Size2d& size, std::size_t spatial) {
  return spatial == 1 ? std::to_string(size.width) : detail::short_text(size);
}

}  // namespace

template <class T>
MaxPoolLayer<T>::MaxPoolLayer(const char* name, std::size_t spatial, Size2d kernel, const MaxPool2dOptions& options)
    : spatial_(spatial), kernel_(kernel), stride_(options.stride.value_or(kernel)), options_(options) {
  check_windows(name, kernel_, stride_, options_.padding, options_.dilation);
}

template <class T>
MaxPool1d<T>::MaxPool1d(std::size_t kernel, const MaxPool1dOptions& o)
    : MaxPoolLayer<T>("MaxPool1d", 1, {1, kernel},
                      {.stride = Size2d(1, o.stride.value_or(kernel)),
                       .padding = {0, o.padding},
                       .dilation = {1, o.dilation},
                       .ceil_mode = o.ceil_mode}) {}

template <class T>
Shape MaxPoolLayer<T>::output_shape(const Shape& input) const {
  return pooled(input, spatial_, kernel_, stride_, options_.padding, options_.dilation, options_.ceil_mode);
}

template <class T>
std::string MaxPoolLayer<T>::extra_repr() const {
  return "kernel_size=" + number(kernel_, spatial_) + ", stride=" + number(stride_, spatial_) +
         ", padding=" + number(options_.padding, spatial_) + ", dilation=" + number(options_.dilation, spatial_) +
         ", ceil_mode=" + (options_.ceil_mode ? "True" : "False");
}

// A small one with every number, a larger one in symbols.
template <class T>
trace::Derivation MaxPoolLayer<T>::derivation(const Shape& input) const {
  using trace::Equation, trace::Why;
  const Why largest{"Of each window the largest number stays, wherever in it it was."};
  const Why only_it{
      "Only the largest number of a window moves y; where windows overlap, one number can be that of several: δ adds "
      "up."};
  const auto shape = sizes(input, output_shape(input));
  const detail::WindowPlaces P = detail::windows(shape.planes, shape.rows, shape.columns);
  if (!P.small || !at_.defined())
    return {.forward = {Equation::symbols("y = max x", largest)},
            .backward = {Equation::symbols("dx = Σ δ∘[x = y]", only_it)}};
  // M: the index of each window's maximum
  const std::vector<T> at = at_.to_vector();
  trace::Array M{{P.places.shape[0], P.places.shape[1]}, {}};
  const std::size_t taps = P.places.shape[2];
  for (std::size_t b = 0; b < at.size(); ++b)
    M.numbers.push_back(P.places.numbers[b * taps + static_cast<std::size_t>(at[b])]);
  const bool padded = std::count(P.places.numbers.begin(), P.places.numbers.end(), -1.0) > 0;
  const std::string of_x = "sum(a: [P[r,j,k] = a]·x[a])";
  return {.forward = {{"X̂ = windows(x)", "X̂[r,j,k] = " + (padded ? "if(P[r,j,k] < 0, −∞, " + of_x + ")" : of_x),
                       Why{"Each window of x becomes a row."}},
                      {"y = max X̂", "y[r,j] = max(k: X̂[r,j,k])", largest}},
          .backward = {{"dx = Σ δ∘[x = y]", "dx[a] = sum(b: [M[b] = a]·δ[b])", only_it}},
          .known = {{"P", P.places}, {"M", M}}};
}

template <class T>
trace::Derivation AveragePoolLayer<T>::derivation(const Shape& input) const {
  using trace::Equation, trace::Why;
  const Windows w = windows();
  const Why mean{w.adaptive ? "Means, over windows of such sizes that so many come out." : "Of each window the mean."};
  const Why share{"Each of the D numbers of a window moves its mean by 1/D; what several windows send adds up."};
  const formulas::Averaging how{w.adaptive, w.count_include_pad, w.divisor_override};
  const auto shape = sizes_of(input, this->output_shape(input), spatial_, w.kernel, w.stride, w.padding, 1);
  const detail::WindowPlaces P = detail::windows(shape.planes, shape.rows, shape.columns, &how);
  if (!P.small)
    return {.forward = {Equation::symbols("y = mean(x)", mean)}, .backward = {Equation::symbols("dx = Σ δ/D", share)}};
  trace::Array D{{P.places.shape[0], P.places.shape[1]}, {}};
  for (std::size_t r = 0; r < D.shape[0]; ++r)
    for (std::size_t j = 0; j < D.shape[1]; ++j)
      D.numbers.push_back(static_cast<double>(formulas::divisor(formulas::span(shape.rows, r % shape.rows.out, how),
                                                                formulas::span(shape.columns, j, how), how)));
  return {
      .forward = {{"X̂ = windows(x)", "X̂[r,j,k] = sum(a: [P[r,j,k] = a]·x[a])", Why{"Each window of x becomes a row."}},
                  {"y = Σ X̂/D", "y[r,j] = sum(k: X̂[r,j,k])/D[r,j]", mean}},
      .backward = {{"dx = Σ δ/D", "dx[a] = sum(r: sum(j: sum(k: [P[r,j,k] = a]·δ[r,j]/D[r,j])))", share}},
      .known = {{"P", P.places}, {"D", D}}};
}

template <class T>
AvgPoolLayer<T>::AvgPoolLayer(const char* name, std::size_t spatial, Size2d kernel, const AvgPool2dOptions& options)
    : AveragePoolLayer<T>(spatial), kernel_(kernel), stride_(options.stride.value_or(kernel)), options_(options) {
  check_windows(name, kernel_, stride_, options_.padding, 1);
  if (options.divisor_override == std::size_t{0})
    throw ValueError(std::string(name) + ": divisor_override = 0, at least 1 expected");
}

template <class T>
AvgPool1d<T>::AvgPool1d(std::size_t kernel, const AvgPool1dOptions& o)
    : AvgPoolLayer<T>("AvgPool1d", 1, {1, kernel},
                      {.stride = Size2d(1, o.stride.value_or(kernel)),
                       .padding = {0, o.padding},
                       .ceil_mode = o.ceil_mode,
                       .count_include_pad = o.count_include_pad}) {}

template <class T>
typename AveragePoolLayer<T>::Windows AvgPoolLayer<T>::windows() const {
  return {kernel_, stride_, options_.padding, false, options_.count_include_pad, options_.divisor_override.value_or(0)};
}

template <class T>
Shape AvgPoolLayer<T>::output_shape(const Shape& input) const {
  return pooled(input, this->spatial_, kernel_, stride_, options_.padding, 1, options_.ceil_mode);
}

template <class T>
std::string AvgPoolLayer<T>::extra_repr() const {
  const auto text = [&](const Size2d& size) {
    return this->spatial_ == 1 ? detail::tuple_text(size, 1) : detail::short_text(size);
  };
  return "kernel_size=" + text(kernel_) + ", stride=" + text(stride_) + ", padding=" + text(options_.padding);
}

template <class T>
AdaptiveAvgPool2d<T>::AdaptiveAvgPool2d(Size2d output_size) : AveragePoolLayer<T>(2), size_(output_size) {
  detail::require_positive("AdaptiveAvgPool2d", "output_size", output_size);
}

template <class T>
Shape AdaptiveAvgPool2d<T>::output_shape(const Shape& input) const {
  return detail::with_planes(input, 2, detail::Planes(input, 2).channels, size_);
}

template <class T>
std::string AdaptiveAvgPool2d<T>::extra_repr() const {
  return "output_size=" + detail::short_text(size_);
}

#define HANDGRAD_INSTANTIATE(T)       \
  template class MaxPoolLayer<T>;     \
  template class MaxPool2d<T>;        \
  template class MaxPool1d<T>;        \
  template class AveragePoolLayer<T>; \
  template class AvgPoolLayer<T>;     \
  template class AvgPool2d<T>;        \
  template class AvgPool1d<T>;        \
  template class AdaptiveAvgPool2d<T>;
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
