// Containers, whose layers Python gives one by one.
#include "handgrad/containers/concat.hpp"
#include "handgrad/containers/repeat.hpp"
#include "handgrad/containers/residual.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/containers/split.hpp"
#include "handgrad/containers/tie.hpp"
#include "handgrad/layers/activations.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

template <class T>
std::vector<std::shared_ptr<Layer<T>>> layers_from(const nb::args& given) {
  std::vector<std::shared_ptr<Layer<T>>> layers;
  for (const nb::handle layer : given) layers.push_back(layer_from<T>(layer));
  return layers;
}

template <class T>
void push_back_all(Sequential<T>& net, const std::vector<std::shared_ptr<Layer<T>>>& layers) {
  for (const auto& layer : layers) net.push_back(layer);
}

/// One layer as it is, several as a Sequential.
template <class T>
std::shared_ptr<Layer<T>> as_one(const std::vector<std::shared_ptr<Layer<T>>>& layers) {
  if (layers.size() == 1) return layers[0];
  auto all = std::make_shared<Sequential<T>>();
  push_back_all(*all, layers);
  return all;
}

/// Layer i of a container, a negative i from the end.
template <class C>
auto item(const C& container, std::ptrdiff_t i) {
  const auto n = static_cast<std::ptrdiff_t>(container.size());
  if (i < -n || i >= n) throw nb::index_error(("layer " + std::to_string(i) + " of " + std::to_string(n)).c_str());
  return container.children()[static_cast<std::size_t>(i < 0 ? i + n : i)].second;
}

template <class T>
void bind_one_after_the_other(nb::module_& m) {
  using S = Sequential<T>;
  nb::class_<S, Layer<T>>(m, "Sequential",
                          "Layers one after the other: Sequential(Linear(2, 4), Tanh(), Linear(4, 1)).")
      .def(
          "__init__",
          [](S* self, const nb::args& layers) {
            const auto all = layers_from<T>(layers);
            new (self) S();
            push_back_all(*self, all);
          },
          nb::arg("layers"))
      .def(
          "append", [](S& self, nb::handle layer) { self.push_back(layer_from<T>(layer)); }, nb::arg("layer"),
          "One more layer, at the end.")
      .def("__len__", &S::size)
      .def("__getitem__", &item<S>, nb::arg("i"));
  using R = Repeat<T>;
  nb::class_<R, S>(
      m, "Repeat",
      "n layers of the same construction, one after the other: Repeat(3, lambda: Linear(4, 4)); shared: with "
      "one layer's weights, whose gradients add.")
      .def(
          "__init__",
          [](R* self, std::size_t n, const nb::callable& make, bool shared) {
            std::vector<std::shared_ptr<Layer<T>>> layers;
            for (std::size_t i = 0; i < n; ++i) layers.push_back(layer_from<T>(make()));
            new (self) R(0, [] { return Identity<T>(); });
            push_back_all(*self, layers);
            for (std::size_t i = 1; shared && i < n; ++i) tie(*layers[i], *layers[0]);
          },
          nb::arg("n"), nb::arg("make"), nb::arg("shared") = false);
}

}  // namespace

template <class T>
void bind_containers(nb::module_& m) {
  bind_one_after_the_other<T>(m);
  nb::class_<Residual<T>, Layer<T>>(
      m, "Residual",
      "y = x + f(x), f one layer or several in a row; with a shortcut s, y = s(x) + f(x). Names "
      "in files: f.…, shortcut.…")
      .def(
          "__init__",
          [](Residual<T>* self, const nb::args& layers, nb::object shortcut) {
            const auto all = layers_from<T>(layers);
            if (all.empty()) throw nb::type_error("Residual: a layer is expected");
            const auto s = shortcut.is_none() ? nullptr : layer_from<T>(shortcut);
            new (self) Residual<T>(as_one(all));
            if (s) self->set_shortcut(s);
          },
          nb::arg("layers"), nb::arg("shortcut") = nb::none());
  nb::class_<Concat<T>, Layer<T>>(m, "Concat", "y = [f₁(x), f₂(x), …], the outputs side by side along dim.")
      .def(
          "__init__",
          [](Concat<T>* self, const nb::args& branches, int dim) {
            const auto all = layers_from<T>(branches);
            new (self) Concat<T>();
            for (const auto& branch : all) self->push_back(branch);
            std::move(*self).dim(dim);
          },
          nb::arg("branches"), nb::arg("dim") = 1)
      .def("__len__", &Concat<T>::size)
      .def("__getitem__", &item<Concat<T>>, nb::arg("i"));
  nb::class_<Split<T>, Layer<T>>(m, "Split", "x = [x₁, x₂, …] of these sizes along dim, and y = [f₁(x₁), f₂(x₂), …].")
      .def(
          "__init__",
          [](Split<T>* self, std::vector<std::size_t> sizes, const nb::args& branches, int dim) {
            new (self) Split<T>(std::move(sizes), layers_from<T>(branches));
            std::move(*self).dim(dim);
          },
          nb::arg("sizes"), nb::arg("branches"), nb::arg("dim") = 1)
      .def("__len__", &Split<T>::size)
      .def("__getitem__", &item<Split<T>>, nb::arg("i"));
  m.def(
      "tie", [](Parameter<T>& parameter, const Parameter<T>& other) { tie(parameter, other); }, nb::arg("parameter"),
      nb::arg("other"), "One parameter in two places: from now on parameter is other, and the gradients of both add.");
  m.def(
      "tie", [](Layer<T>& layer, const Layer<T>& other) { tie(layer, other); }, nb::arg("layer"), nb::arg("other"),
      "All parameters of a layer, to those of the same names.");
}

HANDGRAD_BIND_BOTH(bind_containers)

}  // namespace handgrad::python
