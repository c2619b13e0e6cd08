// Losses.
#include "handgrad/losses.hpp"

#include "function.hpp"
#include "nn.hpp"

namespace handgrad::python {

namespace {

Reduction reduction_of(const std::string& word) {
  if (word == "mean") return Reduction::Mean;
  if (word == "sum") return Reduction::Sum;
  if (word == "none") return Reduction::None;
  throw ValueError("reduction: \"mean\", \"sum\" or \"none\" expected, \"" + word + "\" came");
}

template <class T>
using Weights = std::optional<ConstArray<T>>;
template <class T>
Tensor<T> weights(const Weights<T>& given) {
  return given ? copied(*given) : Tensor<T>();
}

template <class T>
void bind_loss(nb::module_& m) {
  using L = Loss<T>;
  const auto run = [](L& loss, const ConstArray<T>& p, const ConstArray<T>& t) -> std::variant<T, Array<T>> {
    const Tensor<T>& value = loss.forward(borrowed(p), borrowed(t));
    if (loss.reduction() == Reduction::None) return viewed(value);
    return value.item();
  };
  nb::class_<L>(m, "Loss", "L(p, t), one number, and δ = ∂L/∂p, derived by hand.")
      .def("__call__", run, nb::arg("prediction"), nb::arg("target"),
           "The loss, a number; an array of one per element (or row) with reduction=\"none\".")
      .def("forward", run, nb::arg("prediction"), nb::arg("target"), "As loss(prediction, target).")
      .def(
          "backward",
          [](L& loss, const Weights<T>& upstream) {
            return viewed(upstream ? loss.backward(borrowed(*upstream)) : loss.backward());
          },
          nb::arg("upstream") = nb::none(), "δ = ∂L/∂p of the last forward; with reduction=\"none\" upstream∘∂ℓ/∂p.");
}

/// A loss whose only argument is the reduction.
template <class K>
void bind_plain(nb::module_& m, const char* name, const char* doc) {
  nb::class_<K, Loss<typename K::value_type>>(m, name, doc)
      .def(
          "__init__", [](K* self, const std::string& reduction) { new (self) K(reduction_of(reduction)); },
          nb::arg("reduction") = "mean");
}

/// Classes (N) or distributions (N, C) as targets.
template <class K>
void bind_of_classes(nb::module_& m, const char* name, const char* doc) {
  using T = typename K::value_type;
  nb::class_<K, Loss<T>>(m, name, doc)
      .def(
          "__init__",
          [](K* self, const Weights<T>& weight, std::int64_t ignored, const std::string& reduction) {
            new (self) K({.weight = weights<T>(weight), .ignore_index = ignored, .reduction = reduction_of(reduction)});
          },
          nb::arg("weight") = nb::none(), nb::arg("ignore_index") = -100, nb::arg("reduction") = "mean");
}

}  // namespace

template <class T>
void bind_losses(nb::module_& m) {
  using nb::arg;
  bind_loss<T>(m);
  bind_plain<MSELoss<T>>(m, "MSELoss", "ℓ = (p − t)²");
  bind_plain<L1Loss<T>>(m, "L1Loss", "ℓ = |p − t|");
  nb::class_<HuberLoss<T>, Loss<T>>(m, "HuberLoss", "ℓ = ½(p − t)² up to delta, then delta·(|p − t| − ½delta)")
      .def(
          "__init__",
          [](HuberLoss<T>* self, const std::string& reduction, double delta) {
            new (self) HuberLoss<T>({.delta = delta, .reduction = reduction_of(reduction)});
          },
          arg("reduction") = "mean", arg("delta") = 1.0);
  nb::class_<SmoothL1Loss<T>, Loss<T>>(m, "SmoothL1Loss", "ℓ = ½(p − t)²/beta up to beta, then |p − t| − ½beta")
      .def(
          "__init__",
          [](SmoothL1Loss<T>* self, const std::string& reduction, double beta) {
            new (self) SmoothL1Loss<T>({.reduction = reduction_of(reduction), .beta = beta});
          },
          arg("reduction") = "mean", arg("beta") = 1.0);
  bind_plain<BCELoss<T>>(m, "BCELoss", "ℓ = −t·log p − (1 − t)·log(1 − p), for probabilities p");
  nb::class_<BCEWithLogitsLoss<T>, Loss<T>>(m, "BCEWithLogitsLoss",
                                            "BCELoss of p = σ(z), for z; δ = σ(z) − t, over N for mean.")
      .def(
          "__init__",
          [](BCEWithLogitsLoss<T>* self, const Weights<T>& weight, const std::string& reduction,
             const Weights<T>& pos_weight) {
            new (self) BCEWithLogitsLoss<T>({.weight = weights<T>(weight),
                                             .pos_weight = weights<T>(pos_weight),
                                             .reduction = reduction_of(reduction)});
          },
          arg("weight") = nb::none(), arg("reduction") = "mean", arg("pos_weight") = nb::none());
  nb::class_<CrossEntropyLoss<T>, Loss<T>>(m, "CrossEntropyLoss",
                                           "ℓ = −log softmax(z)[t], for z (N, C) and classes t (N) or distributions t "
                                           "(N, C); δ = softmax(z) − t, over N for mean.")
      .def(
          "__init__",
          [](CrossEntropyLoss<T>* self, const Weights<T>& weight, std::int64_t ignored, const std::string& reduction,
             double smoothing) {
            new (self) CrossEntropyLoss<T>({.weight = weights<T>(weight),
                                            .ignore_index = ignored,
                                            .reduction = reduction_of(reduction),
                                            .label_smoothing = smoothing});
          },
          arg("weight") = nb::none(), arg("ignore_index") = -100, arg("reduction") = "mean",
          arg("label_smoothing") = 0.0);
  bind_of_classes<NLLLoss<T>>(m, "NLLLoss", "ℓ = −p[t], for logarithms of probabilities p (N, C)");
  bind_of_classes<CategoricalCrossEntropyLoss<T>>(m, "CategoricalCrossEntropyLoss",
                                                  "ℓ = −log p[t], for probabilities p (N, C); not in PyTorch.");
  nb::class_<KLDivLoss<T>, Loss<T>>(m, "KLDivLoss",
                                    "ℓ = t·(log t − p), for p = log q; \"batchmean\" divides by the rows.")
      .def(
          "__init__",
          [](KLDivLoss<T>* self, const std::string& reduction, bool log_target) {
            const bool rows = reduction == "batchmean";
            new (self) KLDivLoss<T>({.reduction = rows ? Reduction::Mean : reduction_of(reduction),
                                     .log_target = log_target,
                                     .batchmean = rows});
          },
          arg("reduction") = "mean", arg("log_target") = false);
}

HANDGRAD_BIND_BOTH(bind_losses)

}  // namespace handgrad::python
