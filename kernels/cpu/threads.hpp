#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace handgrad::kernels::cpu {

/// How many threads a job may use, the caller's included. Initially HANDGRAD_NUM_THREADS, OMP_NUM_THREADS or
/// OPENBLAS_NUM_THREADS from the environment, otherwise one for each processor. `number` is at least 1.
int num_threads();
void set_num_threads(int number);

/// Calls part(context, i) once for each i < n, in no order, on up to num_threads() threads, the caller's included;
/// returns when all have returned. `part` must not throw. Allocates nothing. Called from several threads at once, or
/// from within a part, it runs the parts on the caller's thread.
void run_parts(std::size_t n, void (*part)(void* context, std::size_t i), void* context);

/// The most threads that `parallel` uses: num_threads().
std::size_t threads_at_most();

template <class F>
void parallel(std::size_t n, F&& f) {
  run_parts(
      n, [](void* context, std::size_t i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); }, &f);
}

/// From so many cycles on, roughly, a part is worth handing to another thread.
inline constexpr std::size_t worth_a_part = 24'000;

/// f(first, last) for ranges that make up 0 … n, on as many threads as the work is worth. Each of the n takes `cycles`,
/// roughly; ranges begin at multiples of `unit`.
template <class F>
void in_ranges(std::size_t n, double cycles, std::size_t unit, F&& f) {
  const auto worth = static_cast<std::size_t>(static_cast<double>(n) * cycles) / worth_a_part;
  const std::size_t parts = std::min({threads_at_most(), worth, (n + unit - 1) / unit});
  if (parts <= 1) return n > 0 ? f(std::size_t{0}, n) : void();
  const std::size_t each = ((n + parts - 1) / parts + unit - 1) / unit * unit;
  parallel(parts, [&](std::size_t part) {
    const std::size_t first = std::min(part * each, n), last = std::min(first + each, n);
    if (first < last) f(first, last);
  });
}

}  // namespace handgrad::kernels::cpu
