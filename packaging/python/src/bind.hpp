#pragma once
#include <nanobind/nanobind.h>

#include "handgrad/base/shape.hpp"

namespace handgrad::python {

namespace nb = nanobind;

using Sizes = nb::typed<nb::tuple, std::size_t, nb::ellipsis>;
inline Sizes tuple_of(const Shape& shape) {
  nb::list sizes;
  for (const std::size_t size : shape) sizes.append(size);
  return Sizes(nb::tuple(sizes));
}

// In this order: what comes later refers to what came before.
void bind_errors(nb::module_& m);
void bind_layers(nb::module_& m);
void bind_check(nb::module_& m);
void bind_files(nb::module_& m);
void bind_trace(nb::module_& m);

}  // namespace handgrad::python
