#pragma once

namespace handgrad {

/// On how many threads the CPU's matrix products run, the caller's among them. At first what HANDGRAD_NUM_THREADS,
/// OMP_NUM_THREADS or OPENBLAS_NUM_THREADS says, the first of them that is set, and otherwise one for each processor.
/// The results are the same, bit for bit, for any number.
int num_threads();
/// Throws ValueError for less than 1.
void set_num_threads(int threads);

}  // namespace handgrad
