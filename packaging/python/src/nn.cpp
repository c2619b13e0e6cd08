// The modules nn (float32) and nn.float64, and layers whose mathematics are Python functions.
#include "nn.hpp"

#include "function.hpp"
#include "handgrad/base/random.hpp"

namespace handgrad::python {

namespace {

template <class T>
void bind_all(nb::module_ m) {
  bind_layer<T>(m);
  bind_containers<T>(m);
  bind_activations<T>(m);
  bind_dense<T>(m);
  bind_norms<T>(m);
  bind_windows<T>(m);
  bind_sequences<T>(m);
  bind_losses<T>(m);
  bind_optimizers<T>(m);
}

std::optional<trace::Derivation> derivation_of(const nb::object& given) {
  if (given.is_none()) return {};
  trace::Derivation derivation;
  for (const char* direction : {"forward", "backward"}) {
    if (!nb::cast<bool>(given.attr("__contains__")(direction))) continue;
    auto& equations = std::string(direction) == "forward" ? derivation.forward : derivation.backward;
    for (const nb::handle equation : given[direction]) {
      if (nb::isinstance<nb::str>(equation))
        equations.push_back(trace::Equation::symbols(nb::cast<std::string>(equation)));
      else
        equations.emplace_back(nb::cast<std::string>(equation[0]), nb::cast<std::string>(equation[1]),
                               trace::Why{nb::len(equation) > 2 ? nb::cast<std::string>(equation[2]) : ""});
    }
  }
  return derivation;
}

void bind_function(nb::module_& m) {
  nb::class_<Function, Layer<double>>(m, "Function", "A layer whose mathematics are Python functions.")
      .def(
          "__init__",
          [](Function* self, std::string name, nb::callable forward, nb::callable backward,
             const std::vector<std::pair<std::string, ConstArray<double>>>& parameters, std::vector<std::string> sides,
             nb::object kink_sides, bool differentiable_input, nb::object derivation) {
            std::vector<NamedTensor<double>> tensors;
            for (const auto& [key, array] : parameters) tensors.emplace_back(key, borrowed(array));
            new (self) Function({std::move(name), std::move(forward), std::move(backward), std::move(kink_sides)},
                                tensors, std::move(sides), differentiable_input, derivation_of(derivation));
          },
          nb::arg("name"), nb::arg("forward"), nb::arg("backward"), nb::arg("parameters"), nb::arg("sides"),
          nb::arg("kink_sides").none(), nb::arg("differentiable_input"), nb::arg("derivation") = nb::none());
}

}  // namespace

void bind_layers(nb::module_& m) {
  nb::module_ nn = m.def_submodule("nn", "Layers, losses and optimizers in float32.");
  bind_all<float>(nn);
  bind_all<double>(nn.def_submodule("float64", "Layers, losses and optimizers in float64."));
  bind_function(m);
  m.def(
      "manual_seed", [](std::uint64_t seed) { manual_seed(seed); }, nb::arg("seed"),
      "Seeds the generator that initial weights are drawn from, which is PyTorch's.");
}

}  // namespace handgrad::python
