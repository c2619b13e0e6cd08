// Optimizers, each with the arguments that PyTorch's has.
#include <nanobind/stl/array.h>

#include <array>

#include "handgrad/optim.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

using Betas = std::array<double, 2>;
template <class T>
using Parameters = std::vector<Parameter<T>>;

template <class T>
void bind_optimizer(nb::module_& m) {
  using O = Optimizer<T>;
  nb::class_<O>(m, "Optimizer", "Changes parameters by their gradients; one without a gradient stays as it is.")
      .def("step", &O::step, "One step of all parameters.")
      .def("zero_grad", &O::zero_grad, "The next backward overwrites the gradients; later ones add to them.")
      .def_prop_rw(
          "lr", [](const O& o) { return o.lr(); }, [](O& o, double lr) { static_cast<LearningRates&>(o).set_lr(lr); },
          "The learning rate.");
}

/// Adam's and AdamW's, which differ in weight_decay's default.
template <class O, class T>
void bind_adam(nb::module_& m, const char* name, const char* doc, double weight_decay) {
  nb::class_<O, Optimizer<T>>(m, name, doc)
      .def(
          "__init__",
          [](O* self, Parameters<T> p, double lr, Betas betas, double eps, double decay, bool amsgrad) {
            new (self)
                O(std::move(p), {.lr = lr, .betas = betas, .eps = eps, .weight_decay = decay, .amsgrad = amsgrad});
          },
          nb::arg("parameters"), nb::arg("lr") = 1e-3, nb::arg("betas") = Betas{0.9, 0.999}, nb::arg("eps") = 1e-8,
          nb::arg("weight_decay") = weight_decay, nb::arg("amsgrad") = false);
}

template <class T>
void bind_adaptive(nb::module_& m) {
  using nb::arg;
  bind_adam<Adam<T>, T>(m, "Adam", "w ← w − η·m̂/(√v̂ + ε), m and v running means of g and g²", 0.0);
  bind_adam<AdamW<T>, T>(m, "AdamW", "Adam with decoupled weight decay: first w ← w − η·λ·w", 1e-2);
  nb::class_<NAdam<T>, Optimizer<T>>(m, "NAdam", "Adam with Nesterov momentum")
      .def(
          "__init__",
          [](NAdam<T>* self, Parameters<T> p, double lr, Betas betas, double eps, double decay, double momentum_decay,
             bool decoupled) {
            new (self) NAdam<T>(std::move(p), {.lr = lr,
                                               .betas = betas,
                                               .eps = eps,
                                               .weight_decay = decay,
                                               .momentum_decay = momentum_decay,
                                               .decoupled_weight_decay = decoupled});
          },
          arg("parameters"), arg("lr") = 2e-3, arg("betas") = Betas{0.9, 0.999}, arg("eps") = 1e-8,
          arg("weight_decay") = 0.0, arg("momentum_decay") = 4e-3, arg("decoupled_weight_decay") = false);
  nb::class_<RMSprop<T>, Optimizer<T>>(m, "RMSprop", "w ← w − η·g/(√v + ε), v a running mean of g²")
      .def(
          "__init__",
          [](RMSprop<T>* self, Parameters<T> p, double lr, double alpha, double eps, double decay, double momentum,
             bool centered) {
            new (self) RMSprop<T>(std::move(p), {.lr = lr,
                                                 .alpha = alpha,
                                                 .eps = eps,
                                                 .weight_decay = decay,
                                                 .momentum = momentum,
                                                 .centered = centered});
          },
          arg("parameters"), arg("lr") = 1e-2, arg("alpha") = 0.99, arg("eps") = 1e-8, arg("weight_decay") = 0.0,
          arg("momentum") = 0.0, arg("centered") = false);
  nb::class_<Adagrad<T>, Optimizer<T>>(m, "Adagrad", "w ← w − η·g/(√v + ε), v the sum of all g²")
      .def(
          "__init__",
          [](Adagrad<T>* self, Parameters<T> p, double lr, double lr_decay, double decay, double initial, double eps) {
            new (self) Adagrad<T>(std::move(p), {.lr = lr,
                                                 .lr_decay = lr_decay,
                                                 .weight_decay = decay,
                                                 .initial_accumulator_value = initial,
                                                 .eps = eps});
          },
          arg("parameters"), arg("lr") = 1e-2, arg("lr_decay") = 0.0, arg("weight_decay") = 0.0,
          arg("initial_accumulator_value") = 0.0, arg("eps") = 1e-10);
  nb::class_<Adadelta<T>, Optimizer<T>>(m, "Adadelta",
                                        "w ← w − η·g·√(u + ε)/√(v + ε), u a running mean of the steps' squares")
      .def(
          "__init__",
          [](Adadelta<T>* self, Parameters<T> p, double lr, double rho, double eps, double decay) {
            new (self) Adadelta<T>(std::move(p), {.lr = lr, .rho = rho, .eps = eps, .weight_decay = decay});
          },
          arg("parameters"), arg("lr") = 1.0, arg("rho") = 0.9, arg("eps") = 1e-6, arg("weight_decay") = 0.0);
}

}  // namespace

template <class T>
void bind_optimizers(nb::module_& m) {
  using nb::arg;
  bind_optimizer<T>(m);
  nb::class_<SGD<T>, Optimizer<T>>(m, "SGD", "w ← w − η·g, with momentum w ← w − η·v, v ← µ·v + g")
      .def(
          "__init__",
          [](SGD<T>* self, Parameters<T> p, double lr, double momentum, double decay, bool nesterov) {
            new (self)
                SGD<T>(std::move(p), {.lr = lr, .momentum = momentum, .weight_decay = decay, .nesterov = nesterov});
          },
          arg("parameters"), arg("lr") = 1e-3, arg("momentum") = 0.0, arg("weight_decay") = 0.0,
          arg("nesterov") = false);
  bind_adaptive<T>(m);
  nb::class_<Lion<T>, Optimizer<T>>(m, "Lion", "w ← w − η·sign(β₁·m + (1 − β₁)·g); not in PyTorch")
      .def(
          "__init__",
          [](Lion<T>* self, Parameters<T> p, double lr, Betas betas, double decay) {
            new (self) Lion<T>(std::move(p), {.lr = lr, .betas = betas, .weight_decay = decay});
          },
          arg("parameters"), arg("lr") = 1e-4, arg("betas") = Betas{0.9, 0.99}, arg("weight_decay") = 0.0);
  nb::class_<Muon<T>, Optimizer<T>>(m, "Muon", "Momentum made nearly orthogonal, for matrices")
      .def(
          "__init__",
          [](Muon<T>* self, Parameters<T> p, double lr, double decay, double momentum, bool nesterov) {
            new (self)
                Muon<T>(std::move(p), {.lr = lr, .weight_decay = decay, .momentum = momentum, .nesterov = nesterov});
          },
          arg("parameters"), arg("lr") = 1e-3, arg("weight_decay") = 0.1, arg("momentum") = 0.95,
          arg("nesterov") = true);
}

HANDGRAD_BIND_BOTH(bind_optimizers)

}  // namespace handgrad::python
