#pragma once
/// Weights and arrays in files.
#include "handgrad/io/npy.hpp"
#include "handgrad/io/npz.hpp"
#include "handgrad/io/safetensors.hpp"
