// Activation functions, element by element, and softmax.
#include "handgrad/layers/activations.hpp"

#include "handgrad/layers/prelu.hpp"
#include "handgrad/layers/softmax.hpp"
#include "nn.hpp"

namespace handgrad::python {

template <class T>
void bind_activations(nb::module_& m) {
  using nb::arg;
  bind<Identity<T>>(m, "Identity", "y = z").def(nb::init<>());
  bind<Threshold<T>>(m, "Threshold", "y = 1 if z > 0, else 0. Its derivative is 0: nothing before it learns.")
      .def(nb::init<>());
  bind<Sigmoid<T>>(m, "Sigmoid", "y = σ(z) = 1/(1 + e⁻ᶻ), dz = δ∘y∘(1 − y)").def(nb::init<>());
  bind<Tanh<T>>(m, "Tanh", "y = tanh z, dz = δ∘(1 − y²)").def(nb::init<>());
  bind<ReLU<T>>(m, "ReLU", "y = max(z, 0)").def(nb::init<>());
  bind<SiLU<T>>(m, "SiLU", "y = z·σ(z)").def(nb::init<>());
  bind<Mish<T>>(m, "Mish", "y = z·tanh(log(1 + eᶻ))").def(nb::init<>());
  bind<Softsign<T>>(m, "Softsign", "y = z/(1 + |z|)").def(nb::init<>());
  bind<LogSigmoid<T>>(m, "LogSigmoid", "y = log σ(z)").def(nb::init<>());
  bind<Hardsigmoid<T>>(m, "Hardsigmoid", "y = min(max(z + 3, 0), 6)/6").def(nb::init<>());
  bind<Hardswish<T>>(m, "Hardswish", "y = z·min(max(z + 3, 0), 6)/6").def(nb::init<>());
  bind<LeakyReLU<T>>(m, "LeakyReLU", "y = z if z > 0, else negative_slope·z")
      .def(nb::init<double>(), arg("negative_slope") = 0.01);
  bind<ELU<T>>(m, "ELU", "y = z if z > 0, else alpha·(eᶻ − 1)").def(nb::init<double>(), arg("alpha") = 1.0);
  bind<GELU<T>>(m, "GELU", "y = z·Φ(z); approximate: \"none\" or \"tanh\"")
      .def(nb::init<const std::string&>(), arg("approximate") = "none");
  bind<Softplus<T>>(m, "Softplus", "y = log(1 + e^(beta·z))/beta; z where beta·z > threshold")
      .def(nb::init<double, double>(), arg("beta") = 1.0, arg("threshold") = 20.0);
  bind<Hardtanh<T>>(m, "Hardtanh", "y = z clamped to [min_val, max_val]")
      .def(nb::init<double, double>(), arg("min_val") = -1.0, arg("max_val") = 1.0);
  bind<PReLU<T>>(m, "PReLU", "y = z if z > 0, else weight·z: a slope for all, or one for each channel")
      .def(nb::init<std::size_t, double>(), arg("num_parameters") = 1, arg("init") = 0.25);
  bind<Softmax<T>>(m, "Softmax", "yⱼ = e^zⱼ/Σ e^zₖ along dim").def(nb::init<int>(), arg("dim") = -1);
  bind<LogSoftmax<T>>(m, "LogSoftmax", "yⱼ = zⱼ − log Σ e^zₖ along dim").def(nb::init<int>(), arg("dim") = -1);
}

HANDGRAD_BIND_BOTH(bind_activations)

}  // namespace handgrad::python
