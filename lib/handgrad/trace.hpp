#pragma once
/// Recording a training step.
#include "handgrad/trace/derivation.hpp"
#include "handgrad/trace/recorder.hpp"
