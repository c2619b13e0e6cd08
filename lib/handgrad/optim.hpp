#pragma once
/// Optimizers, schedules, clipping.
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/rmsprop.hpp"
#include "handgrad/optim/schedulers.hpp"
#include "handgrad/optim/sgd.hpp"
