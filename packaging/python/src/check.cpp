// The gradient check and what it reports.
#include "handgrad/check/gradcheck.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <sstream>

#include "bind.hpp"
#include "function.hpp"

namespace handgrad::python {

namespace {

template <class X>
std::string printed(const X& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

/// A gradient of another shape than its tensor: what came stands in the report, and not the NaN in its place.
void report_misfit(TensorReport& tensor, const Tensor<double>* gradient) {
  if (!gradient) return;
  tensor.analytic = gradient->clone();
  tensor.worst.clear();
  tensor.reason = "has shape " + gradient->shape().str() + ", the shape " + tensor.shape.str() +
                  " of what it is the gradient of expected";
}

GradientReport check_function(Function& layer, const ConstArray<double>& x, const GradcheckOptions& options) {
  const Tensor<double> input = copied(x);
  GradientReport report = check_gradients(layer, input, options);
  for (TensorReport& tensor : report.tensors) {
    if (!layer.misfit(tensor.name) || !tensor.step.dy.defined()) continue;
    layer.forward(input);
    layer.backward(tensor.step.dy);
    report_misfit(tensor, layer.misfit(tensor.name));
  }
  layer.zero_grad();
  return report;
}

GradientReport check_function_loss(FunctionLoss& loss, const ConstArray<double>& p, const ConstArray<double>& t,
                                   const GradcheckOptions& options) {
  const Tensor<double> prediction = copied(p), target = copied(t);
  GradientReport report = check_gradients(loss, prediction, target, options);
  if (loss.misfit()) {
    loss.forward(prediction, target);
    loss.backward();
    report_misfit(report.tensors.at(0), loss.misfit());
  }
  return report;
}

void bind_report(nb::module_& m) {
  nb::class_<Diagnosis>(m, "Diagnosis", "What is wrong with a backward, in three lines.")
      .def_prop_ro(
          "cause", [](const Diagnosis& d) { return to_string(d.cause); }, "\"wrong sign\", \"transposed\", …")
      .def_ro("tensor", &Diagnosis::tensor, "Whose gradient fails first.")
      .def_ro("what", &Diagnosis::what, "What is wrong.")
      .def_ro("evidence", &Diagnosis::evidence, "How that is known, with numbers.")
      .def_ro("where", &Diagnosis::where, "Where to look.")
      .def_prop_ro("named", &Diagnosis::named, "Whether a cause has been named.")
      .def("__str__", &printed<Diagnosis>)
      .def("__repr__", &printed<Diagnosis>);
  nb::class_<GradientEntry>(m, "GradientEntry", "One entry of a gradient beside its difference quotient.")
      .def_ro("index", &GradientEntry::index, "In row-major order.")
      .def_ro("analytic", &GradientEntry::analytic, "What the backward says.")
      .def_ro("numeric", &GradientEntry::numeric, "What differences of the forward say.")
      .def_ro("error", &GradientEntry::error, "|a − n| / (|a| + |n|), less what the differences cannot tell.");
  nb::class_<TensorReport>(m, "TensorReport", "What was found of one gradient.")
      .def_ro("name", &TensorReport::name)
      .def_prop_ro("shape", [](const TensorReport& t) { return tuple_of(t.shape); })
      .def_prop_ro(
          "verdict", [](const TensorReport& t) { return printed(t.verdict); },
          "\"pass\", \"FAIL\" or \"inconclusive\".")
      .def_prop_ro("passed", [](const TensorReport& t) { return t.verdict == Verdict::Pass; })
      .def_ro("reason", &TensorReport::reason, "Why, where the numbers alone do not say it.")
      .def_ro("checked", &TensorReport::checked, "Entries compared.")
      .def_ro("skipped", &TensorReport::skipped, "Entries left out because a kink is near.")
      .def_ro("outside", &TensorReport::outside, "Entries left out at the end of the forward's domain.")
      .def_prop_ro("worst_error", &TensorReport::worst_error)
      .def_ro("worst", &TensorReport::worst, "The worst entries, the worst first.")
      .def_prop_ro(
          "analytic", [](const TensorReport& t) { return viewed(t.analytic); }, nb::rv_policy::automatic,
          "The gradient that the backward gave.")
      .def_prop_ro(
          "numeric", [](const TensorReport& t) { return viewed(t.numeric); }, nb::rv_policy::automatic,
          "By differences; NaN where nothing was compared.");
  nb::class_<GradientReport>(m, "GradientReport", "What a check found, as the C++ library has it.")
      .def_ro("subject", &GradientReport::subject)
      .def_ro("tolerance", &GradientReport::tolerance)
      .def_ro("tensors", &GradientReport::tensors, nb::rv_policy::reference_internal)
      .def_ro("parts", &GradientReport::parts, nb::rv_policy::reference_internal)
      .def_ro("note", &GradientReport::note)
      .def_prop_ro("verdict", [](const GradientReport& r) { return printed(r.verdict()); })
      .def_prop_ro("passed", &GradientReport::passed)
      .def("diagnose", &GradientReport::diagnose, "What is wrong, as far as can be told.")
      .def("__str__", &printed<GradientReport>);
}

}  // namespace

void bind_check(nb::module_& m) {
  bind_report(m);
  nb::class_<GradcheckOptions>(m, "GradcheckOptions")
      .def(
          "__init__",
          [](GradcheckOptions* options, std::optional<double> tolerance, double step, std::uint64_t seed,
             std::size_t max_entries, double max_skipped,
             bool input) { new (options) GradcheckOptions{tolerance, step, seed, max_entries, max_skipped, input}; },
          nb::arg("tolerance") = nb::none(), nb::arg("step") = 1e-5, nb::arg("seed") = 1, nb::arg("max_entries") = 500,
          nb::arg("max_skipped") = 0.2, nb::arg("input") = true);
  nb::class_<FunctionLoss>(m, "FunctionLoss", "A loss whose mathematics are Python functions.")
      .def(
          "__init__",
          [](FunctionLoss* loss, std::string name, nb::callable forward, nb::callable backward, nb::object kink_sides,
             bool mean) {
            new (loss) FunctionLoss({std::move(name), std::move(forward), std::move(backward), std::move(kink_sides)},
                                    mean ? Reduction::Mean : Reduction::Sum);
          },
          nb::arg("name"), nb::arg("forward"), nb::arg("backward"), nb::arg("kink_sides").none(), nb::arg("mean"));
  m.def(
      "check_function",
      [](Function& layer, const ConstArray<double>& x, const GradcheckOptions& options) {
        return uninterrupted([&] { return check_function(layer, x, options); });
      },
      nb::arg("layer"), nb::arg("x"), nb::arg("options"));
  m.def(
      "check_function_loss",
      [](FunctionLoss& loss, const ConstArray<double>& p, const ConstArray<double>& t,
         const GradcheckOptions& options) {
        return uninterrupted([&] { return check_function_loss(loss, p, t, options); });
      },
      nb::arg("loss"), nb::arg("prediction"), nb::arg("target"), nb::arg("options"));
  m.def(
      "check_layer",
      [](Layer<double>& layer, const ConstArray<double>& x, const GradcheckOptions& options) {
        return uninterrupted([&] { return check_gradients(layer, copied(x), options); });
      },
      nb::arg("layer"), nb::arg("x"), nb::arg("options"));
}

}  // namespace handgrad::python
