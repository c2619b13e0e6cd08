#pragma once

namespace handgrad {

/// Number of threads for the CPU's kernels, the caller's included. Initially the first of HANDGRAD_NUM_THREADS,
/// OMP_NUM_THREADS and OPENBLAS_NUM_THREADS that is set, otherwise the number of processors. Results are the same, bit
/// for bit, for any number.
int num_threads();
/// Throws ValueError for less than 1.
void set_num_threads(int threads);

}  // namespace handgrad
