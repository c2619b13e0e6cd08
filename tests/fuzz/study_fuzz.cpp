#include "fuzz/fuzz.hpp"
#include "handgrad/tuning/study.hpp"

// A loaded study is printed, and the sampler learns from it.
static void read_and_use(const std::string& path) {
  using namespace handgrad;
  const Study study({.file = path});
  study.best_values();
  for (const TrialRecord& trial : study.trials())
    for (const auto& [name, value] : trial.parameters) {
      trial.text(name);
      double u = 0;
      TPESampler().sample(name, trial.distributions.at(name), study.trials(), false, [&] {
        u += 0.37;
        return u -= static_cast<int>(u);
      });
    }
}
HANDGRAD_FUZZ_READER(read_and_use)
