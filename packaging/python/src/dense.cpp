// Linear layers, tables, dropout, and layers that change shapes.
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/embedding.hpp"
#include "handgrad/layers/flatten.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/neuron.hpp"
#include "nn.hpp"

namespace handgrad::python {

template <class T>
void bind_dense(nb::module_& m) {
  using nb::arg;
  bind<Linear<T>>(m, "Linear", "y = x·Wᵀ + b; dW = δᵀ·x, db = Σ δ, dx = δ·W")
      .def(nb::init<std::size_t, std::size_t, bool>(), arg("in_features"), arg("out_features"), arg("bias") = true);
  bind<Neuron<T>>(m, "Neuron", "y = Σᵢ wᵢ·xᵢ + b, one number for each row of x")
      .def(nb::init<std::size_t>(), arg("in_features"));
  bind<Embedding<T>>(m, "Embedding", "A table of vectors: yₜ = weight[xₜ], for whole numbers x.")
      .def(
          "__init__",
          [](Embedding<T>* self, std::size_t count, std::size_t dim, std::optional<std::int64_t> padding) {
            new (self) Embedding<T>(count, dim, {.padding_idx = padding});
          },
          arg("num_embeddings"), arg("embedding_dim"), arg("padding_idx") = nb::none());
  bind<Dropout<T>>(m, "Dropout", "In training 0 with probability p, else x/(1 − p); in evaluation x.")
      .def(nb::init<double>(), arg("p") = 0.5);
  bind<Dropout2d<T>>(m, "Dropout2d", "Dropout of whole channels.").def(nb::init<double>(), arg("p") = 0.5);
  bind<Flatten<T>>(m, "Flatten", "Dimensions start_dim to end_dim as one.")
      .def(nb::init<int, int>(), arg("start_dim") = 1, arg("end_dim") = -1);
  bind<Unflatten<T>>(m, "Unflatten", "One dimension as several.")
      .def(
          "__init__",
          [](Unflatten<T>* self, int dim, const std::vector<std::size_t>& sizes) {
            new (self) Unflatten<T>(dim, shape_of_sizes(sizes));
          },
          arg("dim"), arg("unflattened_size"));
}

HANDGRAD_BIND_BOTH(bind_dense)

}  // namespace handgrad::python
