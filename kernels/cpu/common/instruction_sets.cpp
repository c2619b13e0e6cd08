#include "kernels/cpu/instruction_sets.hpp"

#include <cstdlib>
#include <stdexcept>
#include <vector>

// Each compiled set's only visible symbol.
#define X(set) extern "C" const handgrad::kernels::cpu::InstructionSet* handgrad_cpu_##set();
HANDGRAD_CPU_SETS
#undef X

namespace handgrad::kernels::cpu {

namespace {

// Every processor with these has the rest of x86-64-v3 and -v4 too.
struct Processor {
  static bool baseline() { return true; }
#if defined(__x86_64__)
  static bool avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
  }
  static bool avx512() {
    return avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  }
#endif
};

std::vector<const InstructionSet*> those_of_this_processor() {
  std::vector<const InstructionSet*> sets;
#define X(set) \
  if (Processor::set()) sets.push_back(handgrad_cpu_##set());
  HANDGRAD_CPU_SETS
#undef X
  if (sets.empty()) throw std::runtime_error("handgrad was compiled for processors that this one is not one of");
  return sets;
}

const InstructionSet& choose() {
  const auto sets = instruction_sets();
  const char* wanted = std::getenv("HANDGRAD_SIMD");
  if (!wanted || !*wanted) return *sets.back();
  std::string names;
  for (const InstructionSet* set : sets) {
    if (std::string(set->name) == wanted) return *set;
    names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  throw std::runtime_error("HANDGRAD_SIMD=" + std::string(wanted) + ": there are " + names + " on this processor");
}

}  // namespace

std::span<const InstructionSet* const> instruction_sets() {
  static const auto* sets = new std::vector<const InstructionSet*>(those_of_this_processor());
  return *sets;
}

const InstructionSet& instruction_set() {
  static const InstructionSet& chosen = choose();
  return chosen;
}

}  // namespace handgrad::kernels::cpu

namespace handgrad::kernels {

template <class T>
const Backend<T>& cpu_backend() {
  static const Backend<T>& backend = cpu::instruction_set().operations<T>().backend;
  return backend;
}

template const Backend<float>& cpu_backend<float>();
template const Backend<double>& cpu_backend<double>();

}  // namespace handgrad::kernels
