// What a step records.
#include "handgrad/trace.hpp"

#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "bind.hpp"
#include "function.hpp"

namespace handgrad::python {

namespace {

using trace::Trace;

Array<double> numbers(const trace::Value& value) {
  return viewed(Tensor<double>(value.array.shape, value.array.numbers));
}

}  // namespace

void bind_trace(nb::module_& m) {
  nb::class_<trace::Value>(m, "TraceValue", "An array as it was when an assignment read or wrote it.")
      .def_ro("name", &trace::Value::name)
      .def_prop_ro("array", &numbers, nb::rv_policy::automatic);
  nb::class_<trace::Assignment>(m, "TraceAssignment", "target = formula, as it happened.")
      .def_prop_ro("phase", [](const trace::Assignment& a) { return std::string(trace::name(a.phase)); })
      .def_ro("layer", &trace::Assignment::layer)
      .def_ro("label", &trace::Assignment::label)
      .def_ro("target", &trace::Assignment::target)
      .def_ro("why", &trace::Assignment::why, "Why it is so, in a sentence; empty where nobody has said.")
      .def_ro("value", &trace::Assignment::value, "The number of the value that came out.")
      .def_ro("inputs", &trace::Assignment::inputs, "Symbols and the numbers of their values.");
  nb::class_<Trace>(m, "Trace", "What happened between the start and the end of a recording, in that order.")
      .def_ro("values", &Trace::values, nb::rv_policy::reference_internal)
      .def_ro("assignments", &Trace::assignments, nb::rv_policy::reference_internal)
      .def("uses", &Trace::uses, nb::arg("assignment"))
      .def("formula", &Trace::formula_text, nb::arg("assignment"), "\"dW = δᵀ·x\"")
      .def("element", &Trace::element_text, nb::arg("assignment"),
           "The formula of one element; empty where none is known.")
      .def(
          "numbers",
          [](const Trace& step, std::size_t assignment, std::size_t flat) {
            return step.numbers_text(assignment, flat, 6, 4);
          },
          nb::arg("assignment"), nb::arg("flat"), "The right-hand side with numbers put in.")
      .def("to_json", [](const Trace& step) { return trace::to_json(step); });

  nb::class_<trace::Recorder>(m, "Recorder", "Records what layers, losses and optimizers do, until stop().")
      .def(nb::init<>())
      .def("stop", &trace::Recorder::stop);
}

}  // namespace handgrad::python
