#include "handgrad/io/npy.hpp"

#include "fuzz/fuzz.hpp"

HANDGRAD_FUZZ_READER(handgrad::read_npy<float>)
