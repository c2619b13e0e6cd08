#pragma once
// The CPU's kernels are compiled for several instruction sets (sets.cmake), each with all operations. All give the same
// bits; the best one that the processor supports runs.
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "kernels/backend.hpp"

namespace handgrad::kernels::cpu {

/// The building blocks of the operations, for tests against their definitions.
template <class T>
struct Arithmetic {
  /// As in product.hpp.
  void (*gemm)(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
               T beta, T* c);
  void (*column_sums)(std::size_t rows, std::size_t columns, const T* x, T beta, T* sums);
  /// y = f(x), n elements: kernels/formulas/elementary.hpp.
  void (*exp)(std::size_t n, const T* x, T* y);
  void (*log)(std::size_t n, const T* x, T* y);
  void (*log1p)(std::size_t n, const T* x, T* y);
  void (*expm1)(std::size_t n, const T* x, T* y);
  void (*tanh)(std::size_t n, const T* x, T* y);
  void (*erf)(std::size_t n, const T* x, T* y);
  /// Σ x, and Σ x over elements `step` apart, as in simd.hpp.
  double (*sum)(std::size_t n, const T* x);
  double (*sum_strided)(std::size_t n, const T* x, std::size_t step);
};

template <class T>
struct Operations {
  const Backend<T>& backend;
  Arithmetic<T> arithmetic;
};

struct InstructionSet {
  const char* name;
  Operations<float> floats;
  Operations<double> doubles;
  template <class T>
  const Operations<T>& operations() const {
    if constexpr (std::is_same_v<T, float>)
      return floats;
    else
      return doubles;
  }
};

/// The sets that were compiled and that this processor supports, the best last.
std::span<const InstructionSet* const> instruction_sets();

/// The set that `cpu_backend` uses: the best, or the one that HANDGRAD_SIMD names (baseline, avx2 or avx512). Throws
/// std::runtime_error, listing what there is, if it names another.
const InstructionSet& instruction_set();

}  // namespace handgrad::kernels::cpu
