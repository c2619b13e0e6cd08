#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// One parameter in two places: from now on `parameter` is `other`, with one value and one gradient.
///
///     Linear encoder(8, 8), decoder(8, 8);
///     tie(decoder.weight, encoder.weight);
///
/// L depends on a shared θ along each of its uses, and the gradients of all uses add: dθ = Σᵢ dθᵢ. Each layer's
/// backward accumulates into its own parameter as usual; since they are one, this is the sum.
///
/// Call before making an optimizer, which would otherwise hold the parameter twice. As in PyTorch, `parameters()` and
/// `named_parameters()` list it once, under its first name, and `state_dict()` under each. Throws ShapeError if the
/// shapes differ.
template <class T>
void tie(Parameter<T>& parameter, const Parameter<T>& other);

/// Ties all parameters of a layer and of those below to those of the same names in another layer of the same structure.
/// Throws ValueError if the names differ.
template <class T>
void tie(Layer<T>& layer, const Layer<T>& other);

}  // namespace handgrad
