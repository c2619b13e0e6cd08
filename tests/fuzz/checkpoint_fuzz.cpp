#include "fuzz/fuzz.hpp"
#include "fuzz/run.hpp"

// A loaded run continues for one step.
static void read_and_use(const std::string& path) {
  handgrad::fuzz::Run run;
  handgrad::load_checkpoint(path, run.state);
  run.step();
}
HANDGRAD_FUZZ_READER(read_and_use)
