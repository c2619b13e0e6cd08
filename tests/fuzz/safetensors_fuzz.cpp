#include "handgrad/io/safetensors.hpp"

#include "fuzz/fuzz.hpp"

HANDGRAD_FUZZ_READER(handgrad::read_safetensors<float>)
