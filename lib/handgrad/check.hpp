#pragma once
/// The gradient check.
#include "handgrad/check/gradcheck.hpp"
#include "handgrad/check/ranks.hpp"
