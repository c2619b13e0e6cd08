#include "handgrad/base/threads.hpp"

#include <exception>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad {

int num_threads() { return kernels::cpu::num_threads(); }

void set_num_threads(int number) {
  if (number < 1) throw ValueError("set_num_threads: at least 1 expected, " + std::to_string(number) + " came");
  kernels::cpu::set_num_threads(number);
}

void detail::in_parallel(std::size_t n, const std::function<void(std::size_t)>& f) {
  std::vector<std::exception_ptr> failures(n);
  kernels::cpu::parallel(n, [&](std::size_t i) {
    try {
      f(i);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace handgrad
