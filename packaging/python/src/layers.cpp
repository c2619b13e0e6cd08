// Layers, losses and optimizers, in float32 (nn) and in float64 (nn.float64).
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <sstream>

#include "bind.hpp"
#include "function.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/containers/concat.hpp"
#include "handgrad/containers/residual.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/contract/counter.hpp"
#include "handgrad/layers.hpp"
#include "handgrad/losses.hpp"
#include "handgrad/optim.hpp"

namespace handgrad::python {

namespace {

using Pair = std::pair<std::size_t, std::size_t>;
/// One number for both, or a pair.
using Both = std::variant<std::size_t, Pair>;
Size2d size_of(const Both& both) {
  if (const auto* one = std::get_if<std::size_t>(&both)) return *one;
  const Pair& pair = std::get<Pair>(both);
  return {pair.first, pair.second};
}

Shape shape_from(const std::vector<std::size_t>& sizes) { return Shape(sizes.begin(), sizes.end()); }

template <class T>
nb::dict state_dict(const Layer<T>& layer) {
  nb::dict state;
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
      .def_prop_ro("has_grad", &P::has_grad)
      .def_prop_ro("shape", [](const P& p) { return tuple_of(p.shape()); })
      .def_prop_rw(
          "requires_grad", [](const P& p) { return p.requires_grad(); }, [](P& p, bool on) { p.requires_grad(on); })
      .def("zero_grad", &P::zero_grad);
}

template <class T>
void bind_layer(nb::module_& m) {
  using L = Layer<T>;
  const auto run = [](L& layer, const ConstArray<T>& x) {
    return uninterrupted([&] { return viewed(layer.forward(borrowed(x))); });
  };
  nb::class_<L>(m, "Layer", "y = f(x), and dx and the parameters' gradients from dy, derived by hand.")
      .def("__call__", run, nb::arg("x"), "y = f(x). x is not copied, and must not be changed before the backward.")
      .def("forward", run, nb::arg("x"))
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
          nb::arg("on") = true)
      .def("eval",
           [](nb::object self) {
             nb::cast<L&>(self).eval();
             return self;
           })
      .def_prop_ro("training", &L::is_training)
      .def("zero_grad", &L::zero_grad)
      .def("freeze", &L::freeze)
      .def("parameters", &L::parameters)
      .def("named_parameters", &L::named_parameters)
      .def("parameter_count", &L::parameter_count)
      .def("state_dict", &state_dict<T>, "Copies of all parameters and buffers by name, as PyTorch names them.")
      .def("load_state_dict", &load_state_dict<T>, nb::arg("state"), nb::arg("strict") = true)
      .def("children", [](const L& layer) { return layer.children(); })
      .def("__repr__", &printed<T>);
}

/// A layer without arguments.
template <template <class> class L, class T>
void plain(nb::module_& m, const char* name) {
  nb::class_<L<T>, Layer<T>>(m, name).def(nb::init<>());
}

template <class T>
void bind_containers(nb::module_& m) {
  using S = Sequential<T>;
  const auto add = [](auto& container, const nb::args& layers) {
    for (const nb::handle layer : layers) {
      std::shared_ptr<Layer<T>> own;
      if (!nb::try_cast(layer, own) || !own)
        throw nb::type_error(("a layer of " + std::string(sizeof(T) == 4 ? "float32" : "float64") + " is expected, " +
                              nb::cast<std::string>(nb::repr(layer.type())) + " came")
                                 .c_str());
      container.push_back(own);
    }
  };
  nb::class_<S, Layer<T>>(m, "Sequential",
                          "Layers one after the other: Sequential(Linear(2, 4), Tanh(), Linear(4, 1)).")
      .def(
          "__init__",
          [add](S* self, const nb::args& layers) {
            new (self) S();
            add(*self, layers);
          },
          nb::arg("layers"))
      .def("append", &S::push_back, nb::arg("layer"))
      .def("__len__", &S::size)
      .def(
          "__getitem__",
          [](const S& self, std::ptrdiff_t i) {
            const auto n = static_cast<std::ptrdiff_t>(self.size());
            if (i < -n || i >= n) throw nb::index_error();
            return self.children()[static_cast<std::size_t>(i < 0 ? i + n : i)].second;
          },
          nb::arg("i"));
}

template <class T>
void bind_layers_with_arguments(nb::module_& m) {
  using O = std::optional<Both>;
  nb::class_<Linear<T>, Layer<T>>(m, "Linear", "y = x·Wᵀ + b")
      .def(nb::init<std::size_t, std::size_t, bool>(), nb::arg("in_features"), nb::arg("out_features"),
           nb::arg("bias") = true)
      .def_prop_ro("weight", [](Linear<T>& l) { return l.weight; })
      .def_prop_ro("bias", [](Linear<T>& l) { return l.bias; });
  nb::class_<LeakyReLU<T>, Layer<T>>(m, "LeakyReLU").def(nb::init<double>(), nb::arg("negative_slope") = 0.01);
  nb::class_<ELU<T>, Layer<T>>(m, "ELU").def(nb::init<double>(), nb::arg("alpha") = 1.0);
  nb::class_<GELU<T>, Layer<T>>(m, "GELU").def(nb::init<const std::string&>(), nb::arg("approximate") = "none");
  nb::class_<Softplus<T>, Layer<T>>(m, "Softplus")
      .def(nb::init<double, double>(), nb::arg("beta") = 1.0, nb::arg("threshold") = 20.0);
  nb::class_<Hardtanh<T>, Layer<T>>(m, "Hardtanh")
      .def(nb::init<double, double>(), nb::arg("min_val") = -1.0, nb::arg("max_val") = 1.0);
  nb::class_<PReLU<T>, Layer<T>>(m, "PReLU")
      .def(nb::init<std::size_t, double>(), nb::arg("num_parameters") = 1, nb::arg("init") = 0.25);
  nb::class_<Softmax<T>, Layer<T>>(m, "Softmax").def(nb::init<int>(), nb::arg("dim") = -1);
  nb::class_<LogSoftmax<T>, Layer<T>>(m, "LogSoftmax").def(nb::init<int>(), nb::arg("dim") = -1);
  nb::class_<Dropout<T>, Layer<T>>(m, "Dropout").def(nb::init<double>(), nb::arg("p") = 0.5);
  nb::class_<Dropout2d<T>, Layer<T>>(m, "Dropout2d").def(nb::init<double>(), nb::arg("p") = 0.5);
  nb::class_<Flatten<T>, Layer<T>>(m, "Flatten")
      .def(nb::init<int, int>(), nb::arg("start_dim") = 1, nb::arg("end_dim") = -1);
  nb::class_<Unflatten<T>, Layer<T>>(m, "Unflatten")
      .def(
          "__init__",
          [](Unflatten<T>* self, int dim, const std::vector<std::size_t>& sizes) {
            new (self) Unflatten<T>(dim, shape_from(sizes));
          },
          nb::arg("dim"), nb::arg("unflattened_size"));
  nb::class_<Embedding<T>, Layer<T>>(m, "Embedding")
      .def(
          "__init__",
          [](Embedding<T>* self, std::size_t count, std::size_t dim, std::optional<std::int64_t> padding) {
            new (self) Embedding<T>(count, dim, {.padding_idx = padding});
          },
          nb::arg("num_embeddings"), nb::arg("embedding_dim"), nb::arg("padding_idx") = nb::none());
  const auto batch_norm = [&m]<class B>(const char* name, B*) {
    nb::class_<B, Layer<T>>(m, name).def(
        "__init__",
        [](B* self, std::size_t features, double eps, std::optional<double> momentum, bool affine, bool track) {
          new (self) B(features, {.eps = eps, .momentum = momentum, .affine = affine, .track_running_stats = track});
        },
        nb::arg("num_features"), nb::arg("eps") = 1e-5, nb::arg("momentum").none() = 0.1, nb::arg("affine") = true,
        nb::arg("track_running_stats") = true);
  };
  batch_norm("BatchNorm1d", static_cast<BatchNorm1d<T>*>(nullptr));
  batch_norm("BatchNorm2d", static_cast<BatchNorm2d<T>*>(nullptr));
  using Sizes = std::variant<std::size_t, std::vector<std::size_t>>;
  nb::class_<LayerNorm<T>, Layer<T>>(m, "LayerNorm")
      .def(
          "__init__",
          [](LayerNorm<T>* self, const Sizes& sizes, double eps, bool affine, bool bias) {
            const auto* one = std::get_if<std::size_t>(&sizes);
            const Shape shape = one ? Shape{*one} : shape_from(std::get<std::vector<std::size_t>>(sizes));
            new (self) LayerNorm<T>(shape, {.eps = eps, .elementwise_affine = affine, .bias = bias});
          },
          nb::arg("normalized_shape"), nb::arg("eps") = 1e-5, nb::arg("elementwise_affine") = true,
          nb::arg("bias") = true);
  nb::class_<Conv2d<T>, Layer<T>>(m, "Conv2d")
      .def(
          "__init__",
          [](Conv2d<T>* self, std::size_t in, std::size_t out, const Both& kernel, const Both& stride,
             const std::variant<Both, std::string>& padding, const Both& dilation, std::size_t groups, bool bias) {
            Conv2dOptions options{
                .stride = size_of(stride), .dilation = size_of(dilation), .groups = groups, .bias = bias};
            if (const auto* word = std::get_if<std::string>(&padding))
              options.padding = Padding2d(*word);
            else
              options.padding.size = size_of(std::get<Both>(padding));
            new (self) Conv2d<T>(in, out, size_of(kernel), options);
          },
          nb::arg("in_channels"), nb::arg("out_channels"), nb::arg("kernel_size"), nb::arg("stride") = 1,
          nb::arg("padding") = 0, nb::arg("dilation") = 1, nb::arg("groups") = 1, nb::arg("bias") = true);
  nb::class_<MaxPool2d<T>, Layer<T>>(m, "MaxPool2d")
      .def(
          "__init__",
          [](MaxPool2d<T>* self, const Both& kernel, const O& stride, const Both& padding) {
            new (self) MaxPool2d<T>(size_of(kernel),
                                    {.stride = size_of(stride.value_or(kernel)), .padding = size_of(padding)});
          },
          nb::arg("kernel_size"), nb::arg("stride") = nb::none(), nb::arg("padding") = 0);
  nb::class_<AvgPool2d<T>, Layer<T>>(m, "AvgPool2d")
      .def(
          "__init__",
          [](AvgPool2d<T>* self, const Both& kernel, const O& stride, const Both& padding) {
            new (self) AvgPool2d<T>(size_of(kernel),
                                    {.stride = size_of(stride.value_or(kernel)), .padding = size_of(padding)});
          },
          nb::arg("kernel_size"), nb::arg("stride") = nb::none(), nb::arg("padding") = 0);
  const auto recurrent = [&m]<class R>(const char* name, R*) {
    nb::class_<R, Layer<T>>(m, name).def(
        "__init__",
        [](R* self, std::size_t in, std::size_t hidden, std::size_t layers, bool bias, bool batch_first, double dropout,
           bool bidirectional) {
          new (self) R(in, hidden,
                       {.num_layers = layers,
                        .bias = bias,
                        .batch_first = batch_first,
                        .dropout = dropout,
                        .bidirectional = bidirectional});
        },
        nb::arg("input_size"), nb::arg("hidden_size"), nb::arg("num_layers") = 1, nb::arg("bias") = true,
        nb::arg("batch_first") = false, nb::arg("dropout") = 0.0, nb::arg("bidirectional") = false);
  };
  recurrent("RNN", static_cast<RNN<T>*>(nullptr));
  recurrent("LSTM", static_cast<LSTM<T>*>(nullptr));
  recurrent("GRU", static_cast<GRU<T>*>(nullptr));
}

Reduction reduction_of(const std::string& word) {
  if (word == "mean") return Reduction::Mean;
  if (word == "sum") return Reduction::Sum;
  throw ValueError("reduction: \"mean\" or \"sum\" expected, \"" + word + "\" came");
}

template <class T>
void bind_losses(nb::module_& m) {
  using L = Loss<T>;
  const auto run = [](L& loss, const ConstArray<T>& p, const ConstArray<T>& y) {
    return loss.forward(borrowed(p), borrowed(y)).item();
  };
  nb::class_<L>(m, "Loss", "L(p, y), one number, and dL/dp, derived by hand.")
      .def("__call__", run, nb::arg("prediction"), nb::arg("target"))
      .def("forward", run, nb::arg("prediction"), nb::arg("target"))
      .def("backward", [](L& loss) { return viewed(loss.backward()); });
  const auto loss = [&m]<class K>(const char* name, K*) {
    nb::class_<K, Loss<T>>(m, name).def(
        "__init__", [](K* self, const std::string& reduction) { new (self) K(reduction_of(reduction)); },
        nb::arg("reduction") = "mean");
  };
  loss("MSELoss", static_cast<MSELoss<T>*>(nullptr));
  loss("L1Loss", static_cast<L1Loss<T>*>(nullptr));
  loss("BCELoss", static_cast<BCELoss<T>*>(nullptr));
  loss("BCEWithLogitsLoss", static_cast<BCEWithLogitsLoss<T>*>(nullptr));
  loss("CrossEntropyLoss", static_cast<CrossEntropyLoss<T>*>(nullptr));
  loss("NLLLoss", static_cast<NLLLoss<T>*>(nullptr));
}

template <class T>
void bind_optimizers(nb::module_& m) {
  using O = Optimizer<T>;
  nb::class_<O>(m, "Optimizer").def("step", &O::step).def("zero_grad", &O::zero_grad);
  nb::class_<SGD<T>, O>(m, "SGD").def(
      "__init__",
      [](SGD<T>* self, std::vector<Parameter<T>> parameters, double lr, double momentum, double decay, bool nesterov) {
        new (self) SGD<T>(std::move(parameters),
                          {.lr = lr, .momentum = momentum, .weight_decay = decay, .nesterov = nesterov});
      },
      nb::arg("parameters"), nb::arg("lr") = 1e-3, nb::arg("momentum") = 0.0, nb::arg("weight_decay") = 0.0,
      nb::arg("nesterov") = false);
  nb::class_<Adam<T>, O>(m, "Adam").def(
      "__init__",
      [](Adam<T>* self, std::vector<Parameter<T>> parameters, double lr, double decay) {
        new (self) Adam<T>(std::move(parameters), {.lr = lr, .weight_decay = decay});
      },
      nb::arg("parameters"), nb::arg("lr") = 1e-3, nb::arg("weight_decay") = 0.0);
  nb::class_<AdamW<T>, O>(m, "AdamW")
      .def(
          "__init__",
          [](AdamW<T>* self, std::vector<Parameter<T>> parameters, double lr, double decay) {
            new (self) AdamW<T>(std::move(parameters), {.lr = lr, .weight_decay = decay});
          },
          nb::arg("parameters"), nb::arg("lr") = 1e-3, nb::arg("weight_decay") = 0.01);
}

template <class T>
void bind_all(nb::module_& m) {
  bind_parameter<T>(m);
  bind_layer<T>(m);
  bind_containers<T>(m);
  plain<Identity, T>(m, "Identity");
  plain<Sigmoid, T>(m, "Sigmoid");
  plain<Tanh, T>(m, "Tanh");
  plain<ReLU, T>(m, "ReLU");
  plain<SiLU, T>(m, "SiLU");
  plain<Mish, T>(m, "Mish");
  plain<Softsign, T>(m, "Softsign");
  plain<LogSigmoid, T>(m, "LogSigmoid");
  plain<Hardsigmoid, T>(m, "Hardsigmoid");
  plain<Hardswish, T>(m, "Hardswish");
  bind_layers_with_arguments<T>(m);
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
        equations.emplace_back(nb::cast<std::string>(equation[0]), nb::cast<std::string>(equation[1]));
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
  nb::module_ doubles = nn.def_submodule("float64", "The same in float64.");
  bind_all<float>(nn);
  bind_all<double>(doubles);
  bind_function(m);
  m.def(
      "manual_seed", [](std::uint64_t seed) { manual_seed(seed); }, nb::arg("seed"));
}

}  // namespace handgrad::python
