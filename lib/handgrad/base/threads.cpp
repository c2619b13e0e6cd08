#include "handgrad/base/threads.hpp"

#include <string>

#include "handgrad/base/errors.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad {

int num_threads() { return kernels::cpu::num_threads(); }

void set_num_threads(int number) {
  if (number < 1) throw ValueError("set_num_threads: at least 1 expected, " + std::to_string(number) + " came");
  kernels::cpu::set_num_threads(number);
}

}  // namespace handgrad
