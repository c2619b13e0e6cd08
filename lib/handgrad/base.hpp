#pragma once
/// Tensors, devices, random numbers, errors.
#include "handgrad/base/device.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/products.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/base/xtensor.hpp"
