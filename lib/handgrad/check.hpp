#pragma once
/// The gradient check.
#include "handgrad/check/gradcheck.hpp"
