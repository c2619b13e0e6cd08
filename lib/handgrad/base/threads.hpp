#pragma once
#include <cstddef>
#include <functional>

namespace handgrad {

/// Number of threads for the CPU's kernels, the caller's included. Initially the first of HANDGRAD_NUM_THREADS,
/// OMP_NUM_THREADS and OPENBLAS_NUM_THREADS that is set, otherwise the number of processors. Results are the same, bit
/// for bit, for any number.
int num_threads();
/// Throws ValueError for less than 1.
void set_num_threads(int threads);

namespace detail {
/// f(i) for each i < n, on up to num_threads() threads. All are called even if one throws; then the exception of the
/// first that did is thrown.
void in_parallel(std::size_t n, const std::function<void(std::size_t)>& f);
}  // namespace detail

}  // namespace handgrad
