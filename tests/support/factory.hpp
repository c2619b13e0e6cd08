#pragma once
// Layers, losses and optimizers from their description in a reference file.
#include <memory>
#include <string>
#include <vector>

#include "handgrad/containers/sequential.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/optim/optimizer.hpp"
#include "support/reference.hpp"

namespace handgrad::test {

/// The cases of all layers: those of layers.json and of the files for groups of layers.
std::vector<Reference> layer_cases();

/// The layer of {"layer": NAME, "args": {…}, "parameters": {…}}, on `device`; without parameters, as initialised.
template <class T>
std::shared_ptr<Layer<T>> make_layer(const Reference& description, Device device);

/// The loss of {"loss": NAME, "reduction": …, "weights": {…}}, its weights on `device`; by default Mean, no weights.
template <class T>
std::unique_ptr<Loss<T>> make_loss(const Reference& description, Device device);

/// The optimizer of {"optimizer": NAME, "options": {…}} over all parameters; with additional "bias_options", the last
/// of two parameters forms its own group.
template <class T>
std::unique_ptr<Optimizer<T>> make_optimizer(const Reference& description, std::vector<Parameter<T>> parameters);

}  // namespace handgrad::test
