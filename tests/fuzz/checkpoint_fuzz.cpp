#include "fuzz/fuzz.hpp"
#include "fuzz/run.hpp"

// What could be loaded goes on for a step.
static void read_and_use(const std::string& path) {
  handgrad::fuzz::Run run;
  handgrad::load_checkpoint(path, run.state);
  run.step();
}
HANDGRAD_FUZZ_READER(read_and_use)
