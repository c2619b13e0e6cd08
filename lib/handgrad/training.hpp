#pragma once
/// Training: fit, checkpoints, early stopping, search.
#include "handgrad/training/checkpoint.hpp"
#include "handgrad/training/early_stopping.hpp"
#include "handgrad/training/fit.hpp"
#include "handgrad/training/training_step.hpp"
#include "handgrad/tuning/study.hpp"
