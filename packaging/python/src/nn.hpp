#pragma once
// What the bindings of layers share. Each function below binds one number type: T = float into handgrad.nn, T = double
// into handgrad.nn.float64.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "arrays.hpp"
#include "bind.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/layers/window.hpp"

namespace handgrad::python {

template <class T>
void bind_layer(nb::module_& m);  // Parameter, Layer: first
template <class T>
void bind_containers(nb::module_& m);
template <class T>
void bind_activations(nb::module_& m);
template <class T>
void bind_dense(nb::module_& m);
template <class T>
void bind_norms(nb::module_& m);
template <class T>
void bind_windows(nb::module_& m);
template <class T>
void bind_sequences(nb::module_& m);
template <class T>
void bind_losses(nb::module_& m);
template <class T>
void bind_optimizers(nb::module_& m);

/// A layer's class. What the layer has of weight, bias, running_mean, running_var becomes an attribute.
template <class L>
auto bind(nb::module_& m, const char* name, const char* doc) {
  using T = typename L::value_type;
  nb::class_<L, Layer<T>> bound(m, name, doc);
  const auto defined = [](const Parameter<T>& p) { return p.defined() ? std::optional(p) : std::nullopt; };
  if constexpr (requires(L & layer) { layer.weight; })
    bound.def_prop_ro(
        "weight", [defined](L& layer) { return defined(layer.weight); }, "None where there is none.");
  if constexpr (requires(L & layer) { layer.bias; })
    bound.def_prop_ro(
        "bias", [defined](L& layer) { return defined(layer.bias); }, "None where there is none.");
  if constexpr (requires(L & layer) { layer.running_mean; }) {
    bound.def_prop_ro(
        "running_mean", [](L& layer) { return viewed_if_defined(layer.running_mean.value()); },
        "An array that may be written to; None where there is none.");
    bound.def_prop_ro(
        "running_var", [](L& layer) { return viewed_if_defined(layer.running_var.value()); },
        "An array that may be written to; None where there is none.");
  }
  return bound;
}

/// A layer that Python gave, or a TypeError that says what was expected.
template <class T>
std::shared_ptr<Layer<T>> layer_from(nb::handle given) {
  std::shared_ptr<Layer<T>> layer;
  if (!nb::try_cast(given, layer) || !layer)
    throw nb::type_error(("a layer of " + std::string(sizeof(T) == 4 ? "float32" : "float64") + " is expected, " +
                          nb::cast<std::string>(nb::repr(given.type())) + " came")
                             .c_str());
  return layer;
}

/// Rows and columns: one number for both, or a pair.
using Both = std::variant<std::size_t, std::pair<std::size_t, std::size_t>>;
inline Size2d size_of(const Both& both) {
  if (const auto* one = std::get_if<std::size_t>(&both)) return *one;
  const auto& [rows, columns] = std::get<1>(both);
  return {rows, columns};
}

/// The sizes of the last dimensions: one number, or several.
using NormalizedShape = std::variant<std::size_t, std::vector<std::size_t>>;
inline Shape shape_of_sizes(const NormalizedShape& sizes) {
  if (const auto* one = std::get_if<std::size_t>(&sizes)) return Shape{*one};
  const auto& several = std::get<1>(sizes);
  return Shape(several.begin(), several.end());
}

}  // namespace handgrad::python

/// At the end of a file that defines `bind_SUBJECT`.
#define HANDGRAD_BIND_BOTH(function)              \
  template void function<float>(nb::module_ & m); \
  template void function<double>(nb::module_ & m);
