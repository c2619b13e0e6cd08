#pragma once
/// Reading and writing weights and arrays.
#include "handgrad/io/npy.hpp"
#include "handgrad/io/npz.hpp"
#include "handgrad/io/safetensors.hpp"
