#pragma once
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

}  // namespace handgrad::kernels::cpu
