// Convolution and pooling.
#include "handgrad/layers/convolution.hpp"
#include "handgrad/layers/pooling.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

using One = std::optional<std::size_t>;
using Two = std::optional<Both>;

std::optional<Size2d> size_if(const Two& given) { return given ? std::optional(size_of(*given)) : std::nullopt; }

Padding2d padding_of(const std::variant<Both, std::string>& given) {
  if (const auto* word = std::get_if<std::string>(&given)) return Padding2d(*word);
  Padding2d padding = 0;
  padding.size = size_of(std::get<Both>(given));
  return padding;
}

template <class T>
void bind_convolutions(nb::module_& m) {
  using nb::arg;
  bind<Conv1d<T>>(m, "Conv1d",
                  "(N, C, L), or (C, L): filters that slide over it; padding a number, \"same\" or \"valid\".")
      .def(
          "__init__",
          [](Conv1d<T>* self, std::size_t in, std::size_t out, std::size_t kernel, std::size_t stride,
             const std::variant<std::size_t, std::string>& padding, std::size_t dilation, std::size_t groups,
             bool bias) {
            const auto* word = std::get_if<std::string>(&padding);
            new (self) Conv1d<T>(in, out, kernel,
                                 {.stride = stride,
                                  .padding = word ? Padding2d(*word) : Padding2d(std::get<std::size_t>(padding)),
                                  .dilation = dilation,
                                  .groups = groups,
                                  .bias = bias});
          },
          arg("in_channels"), arg("out_channels"), arg("kernel_size"), arg("stride") = 1, arg("padding") = 0,
          arg("dilation") = 1, arg("groups") = 1, arg("bias") = true);
  bind<Conv2d<T>>(
      m, "Conv2d",
      "(N, C, H, W), or (C, H, W): filters that slide over it; padding a number, a pair, \"same\" or \"valid\".")
      .def(
          "__init__",
          [](Conv2d<T>* self, std::size_t in, std::size_t out, const Both& kernel, const Both& stride,
             const std::variant<Both, std::string>& padding, const Both& dilation, std::size_t groups, bool bias) {
            new (self) Conv2d<T>(in, out, size_of(kernel),
                                 {.stride = size_of(stride),
                                  .padding = padding_of(padding),
                                  .dilation = size_of(dilation),
                                  .groups = groups,
                                  .bias = bias});
          },
          arg("in_channels"), arg("out_channels"), arg("kernel_size"), arg("stride") = 1, arg("padding") = 0,
          arg("dilation") = 1, arg("groups") = 1, arg("bias") = true);
  bind<ConvTranspose2d<T>>(m, "ConvTranspose2d",
                           "The transposed map of a Conv2d, from its output's shape to its input's.")
      .def(
          "__init__",
          [](ConvTranspose2d<T>* self, std::size_t in, std::size_t out, const Both& kernel, const Both& stride,
             const Both& padding, const Both& output_padding, std::size_t groups, bool bias, const Both& dilation) {
            new (self) ConvTranspose2d<T>(in, out, size_of(kernel),
                                          {.stride = size_of(stride),
                                           .padding = size_of(padding),
                                           .output_padding = size_of(output_padding),
                                           .groups = groups,
                                           .bias = bias,
                                           .dilation = size_of(dilation)});
          },
          arg("in_channels"), arg("out_channels"), arg("kernel_size"), arg("stride") = 1, arg("padding") = 0,
          arg("output_padding") = 0, arg("groups") = 1, arg("bias") = true, arg("dilation") = 1);
}

template <class T>
void bind_pools(nb::module_& m) {
  using nb::arg;
  bind<MaxPool1d<T>>(m, "MaxPool1d", "The maximum of each window of (N, C, L); stride None: the window's size.")
      .def(
          "__init__",
          [](MaxPool1d<T>* self, std::size_t kernel, One stride, std::size_t padding, std::size_t dilation, bool ceil) {
            new (self)
                MaxPool1d<T>(kernel, {.stride = stride, .padding = padding, .dilation = dilation, .ceil_mode = ceil});
          },
          arg("kernel_size"), arg("stride") = nb::none(), arg("padding") = 0, arg("dilation") = 1,
          arg("ceil_mode") = false);
  bind<MaxPool2d<T>>(m, "MaxPool2d", "The maximum of each window of (N, C, H, W); stride None: the window's size.")
      .def(
          "__init__",
          [](MaxPool2d<T>* self, const Both& kernel, const Two& stride, const Both& padding, const Both& dilation,
             bool ceil) {
            new (self) MaxPool2d<T>(size_of(kernel), {.stride = size_if(stride),
                                                      .padding = size_of(padding),
                                                      .dilation = size_of(dilation),
                                                      .ceil_mode = ceil});
          },
          arg("kernel_size"), arg("stride") = nb::none(), arg("padding") = 0, arg("dilation") = 1,
          arg("ceil_mode") = false);
  bind<AvgPool1d<T>>(m, "AvgPool1d", "The mean of each window of (N, C, L); stride None: the window's size.")
      .def(
          "__init__",
          [](AvgPool1d<T>* self, std::size_t kernel, One stride, std::size_t padding, bool ceil, bool include) {
            new (self) AvgPool1d<T>(
                kernel, {.stride = stride, .padding = padding, .ceil_mode = ceil, .count_include_pad = include});
          },
          arg("kernel_size"), arg("stride") = nb::none(), arg("padding") = 0, arg("ceil_mode") = false,
          arg("count_include_pad") = true);
  bind<AvgPool2d<T>>(m, "AvgPool2d", "The mean of each window of (N, C, H, W); stride None: the window's size.")
      .def(
          "__init__",
          [](AvgPool2d<T>* self, const Both& kernel, const Two& stride, const Both& padding, bool ceil, bool include,
             One divisor) {
            new (self) AvgPool2d<T>(size_of(kernel), {.stride = size_if(stride),
                                                      .padding = size_of(padding),
                                                      .ceil_mode = ceil,
                                                      .count_include_pad = include,
                                                      .divisor_override = divisor});
          },
          arg("kernel_size"), arg("stride") = nb::none(), arg("padding") = 0, arg("ceil_mode") = false,
          arg("count_include_pad") = true, arg("divisor_override") = nb::none());
  bind<AdaptiveAvgPool2d<T>>(m, "AdaptiveAvgPool2d", "As many means as output_size says, whatever the plane's size.")
      .def(
          "__init__",
          [](AdaptiveAvgPool2d<T>* self, const Both& size) { new (self) AdaptiveAvgPool2d<T>(size_of(size)); },
          arg("output_size"));
}

}  // namespace

template <class T>
void bind_windows(nb::module_& m) {
  bind_convolutions<T>(m);
  bind_pools<T>(m);
}

HANDGRAD_BIND_BOTH(bind_windows)

}  // namespace handgrad::python
