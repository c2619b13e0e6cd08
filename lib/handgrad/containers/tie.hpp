#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// One parameter in two places: from now on `parameter` is `other`, with one value and one gradient.
///
///     Linear encoder(8, 8), decoder(8, 8);
///     tie(decoder.weight, encoder.weight);
///
/// L depends on a shared θ along each of its uses, and the gradients of all uses add: dθ = Σᵢ dθᵢ. Each layer's
/// backward accumulates into its own parameter as ever; that they are one makes the sum.
///
/// To be done before an optimizer is made, which would otherwise hold the one parameter twice. As in PyTorch,
/// `parameters()` and `named_parameters()` have it once, under its first name, and `state_dict()` under each.
/// Throws ShapeError when the shapes differ.
template <class T>
void tie(Parameter<T>& parameter, const Parameter<T>& other);

/// All parameters of a layer, and of those below, tied to the ones of the same names in another of the same build.
/// Throws ValueError when their names differ.
template <class T>
void tie(Layer<T>& layer, const Layer<T>& other);

}  // namespace handgrad
