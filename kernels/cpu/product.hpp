#pragma once
#include <cstddef>

namespace handgrad::kernels::cpu {

/// C (m×n) = op(A)·op(B) + β·C, row-major, op(A) (m×k), op(B) (k×n); β = 0 does not read C.
template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
          T beta, T* c);

}  // namespace handgrad::kernels::cpu
