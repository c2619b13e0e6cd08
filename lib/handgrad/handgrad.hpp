#pragma once
/// All of handgrad: layers, losses and optimizers with gradients derived by hand, and the check that proves them.
#include "handgrad/base.hpp"
#include "handgrad/check.hpp"
#include "handgrad/data.hpp"
#include "handgrad/distributed.hpp"
#include "handgrad/io.hpp"
#include "handgrad/layers.hpp"
#include "handgrad/losses.hpp"
#include "handgrad/metrics.hpp"
#include "handgrad/optim.hpp"
#include "handgrad/trace.hpp"
#include "handgrad/training.hpp"
