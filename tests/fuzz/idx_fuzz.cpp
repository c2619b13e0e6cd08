#include "handgrad/data/idx.hpp"

#include "fuzz/fuzz.hpp"

HANDGRAD_FUZZ_READER(handgrad::read_idx<float>)
