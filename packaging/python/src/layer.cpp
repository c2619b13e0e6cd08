// Parameters, and what all layers have.
#include <sstream>

#include "function.hpp"
#include "handgrad/contract/counter.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

template <class T>
using State = nb::typed<nb::dict, nb::str, Array<T>>;

template <class T>
State<T> state_dict(const Layer<T>& layer) {
  State<T> state;
  for (const auto& [name, tensor] : layer.state_dict()) {
    if (handgrad::detail::is_counter(name))
      state[name.c_str()] =
          nb::module_::import_("numpy").attr("int64")(static_cast<std::int64_t>(handgrad::detail::count_of(tensor)));
    else
      state[name.c_str()] = viewed(tensor);
  }
  return state;
}

template <class T>
void load_state_dict(Layer<T>& layer, const nb::dict& given, bool strict) {
  const nb::object to_array = nb::module_::import_("numpy").attr("ascontiguousarray");
  std::vector<NamedTensor<T>> state;
  for (const auto& [key, value] : given) {
    const std::string name = nb::cast<std::string>(key);
    if (handgrad::detail::is_counter(name)) {
      state.emplace_back(name, handgrad::detail::count_tensor<T>(nb::cast<double>(nb::float_(value))));
      continue;
    }
    const nb::object array = to_array(value, nb::arg("dtype") = sizeof(T) == 4 ? "float32" : "float64");
    // NumPy makes a row of a single number.
    Tensor<T> tensor = copied(nb::cast<ConstArray<T>>(array));
    if (nb::cast<int>(nb::module_::import_("numpy").attr("ndim")(value)) == 0) tensor = tensor.reshape({});
    state.emplace_back(name, std::move(tensor));
  }
  layer.load_state_dict(state, strict);
}

template <class T>
std::string printed(const Layer<T>& layer) {
  std::ostringstream out;
  out << layer;
  return out.str();
}

template <class T>
void bind_parameter(nb::module_& m) {
  using P = Parameter<T>;
  nb::class_<P>(m, "Parameter", "A trainable array and its gradient.")
      .def_prop_ro(
          "value", [](P& p) { return viewed(p.value()); }, nb::rv_policy::automatic,
          "Its numbers, which may be written to.")
      .def_prop_ro(
          "grad", [](P& p) { return viewed(p.grad()); }, nb::rv_policy::automatic,
          "Its gradient; zeros where no backward has written since zero_grad().")
      .def_prop_ro("has_grad", &P::has_grad, "Whether a backward has written the gradient since zero_grad().")
      .def_prop_ro(
          "shape", [](const P& p) { return tuple_of(p.shape()); }, "Of the value.")
      .def_prop_rw(
          "requires_grad", [](const P& p) { return p.requires_grad(); }, [](P& p, bool on) { p.requires_grad(on); },
          "Whether a backward computes the gradient; if not, optimizers leave the parameter as it is.")
      .def("zero_grad", &P::zero_grad, "The next backward overwrites the gradient; later ones add to it.");
}

}  // namespace

template <class T>
void bind_layer(nb::module_& m) {
  bind_parameter<T>(m);
  using L = Layer<T>;
  const auto run = [](L& layer, const ConstArray<T>& x) {
    return uninterrupted([&] { return viewed(layer.forward(borrowed(x))); });
  };
  nb::class_<L>(m, "Layer", "y = f(x), and dx and the parameters' gradients from dy, derived by hand.")
      .def("__call__", run, nb::arg("x"), "y = f(x). x is not copied, and must not be changed before the backward.")
      .def("forward", run, nb::arg("x"), "As layer(x).")
      .def(
          "backward",
          [](L& layer, const ConstArray<T>& dy) {
            return uninterrupted([&] { return viewed_if_defined(layer.backward(borrowed(dy))); });
          },
          nb::arg("dy"), "Adds to the parameters' gradients and gives dx; None where it was not asked for.")
      .def(
          "requires_input_grad", [](L& layer, bool on) { layer.requires_input_grad(on); }, nb::arg("on") = true,
          "Whether backward computes dx; a Sequential does only when told.")
      .def(
          "train",
          [](nb::object self, bool on) {
            nb::cast<L&>(self).train(on);
            return self;
          },
          nb::arg("on") = true, nb::sig("def train(self, on: bool = True) -> typing_extensions.Self"),
          "Training mode, here and below: Dropout drops, BatchNorm uses the batch's statistics.")
      .def(
          "eval",
          [](nb::object self) {
            nb::cast<L&>(self).eval();
            return self;
          },
          nb::sig("def eval(self) -> typing_extensions.Self"), "Evaluation mode, here and below.")
      .def_prop_ro("training", &L::is_training, "Whether it is in training mode.")
      .def("zero_grad", &L::zero_grad, "The next backward overwrites the gradients; later ones add to them.")
      .def("freeze", &L::freeze, "No gradient is computed for its parameters, and optimizers leave them as they are.")
      .def("parameters", &L::parameters, "All parameters, in PyTorch's order.")
      .def("named_parameters", &L::named_parameters, "With PyTorch's names, \"0.weight\".")
      .def("parameter_count", &L::parameter_count, "The number of trainable numbers.")
      .def("state_dict", &state_dict<T>, "Copies of all parameters and buffers by name, as PyTorch names them.")
      .def("load_state_dict", &load_state_dict<T>, nb::arg("state"), nb::arg("strict") = true,
           "Copies the arrays (or tensors of PyTorch) into parameters and buffers. Raises ValueError naming what is "
           "missing or unexpected (strict), ShapeError for another shape, and changes nothing then.")
      .def(
          "children", [](const L& layer) { return layer.children(); }, "The layers directly below, by name.")
      .def("__repr__", &printed<T>);
}

HANDGRAD_BIND_BOTH(bind_layer)

}  // namespace handgrad::python
