#pragma once
/// Layers and the containers that hold them.
#include "handgrad/containers/sequential.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/parameter.hpp"
#include "handgrad/init/init.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/neuron.hpp"
#include "handgrad/layers/softmax.hpp"
