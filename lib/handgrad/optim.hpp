#pragma once
/// Optimizers, schedules, clipping.
#include "handgrad/optim/adadelta.hpp"
#include "handgrad/optim/adagrad.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/ema.hpp"
#include "handgrad/optim/lion.hpp"
#include "handgrad/optim/muon.hpp"
#include "handgrad/optim/nadam.hpp"
#include "handgrad/optim/rmsprop.hpp"
#include "handgrad/optim/schedulers.hpp"
#include "handgrad/optim/sgd.hpp"
