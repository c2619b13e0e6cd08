#include "handgrad/io/safetensors.hpp"

#include "fuzz/fuzz.hpp"

static void read_all(const std::string& path) { handgrad::read_safetensors<float>(path); }
HANDGRAD_FUZZ_READER(read_all)
