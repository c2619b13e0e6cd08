#pragma once
/// What a step records.
#include "handgrad/trace/derivation.hpp"
#include "handgrad/trace/recorder.hpp"
