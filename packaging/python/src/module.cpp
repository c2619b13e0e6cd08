#include <nanobind/nanobind.h>

#include "bind.hpp"
#include "handgrad/base/errors.hpp"

namespace handgrad::python {

/// The library's errors, each also the one that Python has for such a thing.
void bind_errors(nb::module_& m) {
  const nb::exception<Error> base(m, "Error", PyExc_RuntimeError);
  const auto both = [&](PyObject* python) { return nb::make_tuple(base, nb::handle(python)); };
  nb::exception<ShapeError>(m, "ShapeError", both(PyExc_ValueError).ptr());
  nb::exception<DeviceError>(m, "DeviceError", base.ptr());
  nb::exception<ValueError>(m, "ValueError", both(PyExc_ValueError).ptr());
  nb::exception<StateError>(m, "StateError", base.ptr());
  nb::exception<ParseError>(m, "ParseError", both(PyExc_ValueError).ptr());
  nb::exception<IoError>(m, "IoError", both(PyExc_OSError).ptr());
}

}  // namespace handgrad::python

NB_MODULE(_core, m) {
  using namespace handgrad::python;
  namespace nb = nanobind;
  m.doc() = "The C++ library handgrad, as the Python package uses it.";
  nb::set_leak_warnings(false);  // arrays may be held by anybody when Python ends
  bind_errors(m);
  bind_layers(m);
  bind_check(m);
  bind_files(m);
  bind_trace(m);
}
