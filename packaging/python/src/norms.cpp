// Normalisation.
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/group_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/rms_norm.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

template <class B>
void bind_batch_norm(nb::module_& m, const char* name, const char* doc) {
  bind<B>(m, name, doc)
      .def(
          "__init__",
          [](B* self, std::size_t features, double eps, std::optional<double> momentum, bool affine, bool track) {
            new (self) B(features, {.eps = eps, .momentum = momentum, .affine = affine, .track_running_stats = track});
          },
          nb::arg("num_features"), nb::arg("eps") = 1e-5, nb::arg("momentum").none() = 0.1, nb::arg("affine") = true,
          nb::arg("track_running_stats") = true);
}

}  // namespace

template <class T>
void bind_norms(nb::module_& m) {
  using nb::arg;
  bind_batch_norm<BatchNorm1d<T>>(m, "BatchNorm1d", "Each column, or channel of (N, C, L), over the batch.");
  bind_batch_norm<BatchNorm2d<T>>(m, "BatchNorm2d", "Each channel of (N, C, H, W) over batch and places.");
  bind<LayerNorm<T>>(m, "LayerNorm", "Each row, the last dimensions, by itself: y = weight∘x̂ + bias")
      .def(
          "__init__",
          [](LayerNorm<T>* self, const NormalizedShape& sizes, double eps, bool affine, bool bias) {
            new (self) LayerNorm<T>(shape_of_sizes(sizes), {.eps = eps, .elementwise_affine = affine, .bias = bias});
          },
          arg("normalized_shape"), arg("eps") = 1e-5, arg("elementwise_affine") = true, arg("bias") = true);
  bind<GroupNorm<T>>(m, "GroupNorm", "Groups of neighbouring channels of each example of (N, C, …).")
      .def(
          "__init__",
          [](GroupNorm<T>* self, std::size_t groups, std::size_t channels, double eps, bool affine) {
            new (self) GroupNorm<T>(groups, channels, {.eps = eps, .affine = affine});
          },
          arg("num_groups"), arg("num_channels"), arg("eps") = 1e-5, arg("affine") = true);
  bind<RMSNorm<T>>(m, "RMSNorm", "Each row divided by its root mean square; eps None: the type's machine epsilon.")
      .def(
          "__init__",
          [](RMSNorm<T>* self, const NormalizedShape& sizes, std::optional<double> eps, bool affine) {
            new (self) RMSNorm<T>(shape_of_sizes(sizes), {.eps = eps, .elementwise_affine = affine});
          },
          arg("normalized_shape"), arg("eps") = nb::none(), arg("elementwise_affine") = true);
}

HANDGRAD_BIND_BOTH(bind_norms)

}  // namespace handgrad::python
