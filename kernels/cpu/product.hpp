#pragma once
#include <cstddef>

namespace handgrad::kernels::cpu {

/// What is done with each finished piece of C while it is in the nearest cache. `apply` gets its address, the distance
/// between C's rows, and the piece's first row, rows, first column and columns. Called once for each element, on
/// several threads at once.
template <class T>
struct Epilogue {
  void (*apply)(const void* context, T* c, std::size_t ldc, std::size_t row, std::size_t rows, std::size_t column,
                std::size_t columns);
  const void* context;
};

/// C (m×n) = op(A)·op(B) + β·C, row-major, op(A) (m×k), op(B) (k×n); β is 0 (then C is not read) or 1.
///
/// What it computes is specified to the last bit. With fma(a, b, s) = a·b + s rounded once,
///
///     block:   s_q = fma(a[i,l], b[l,j], …) over l = 256q, 256q+1, … 256q+255, beginning with s = 0
///     chunk:   t_r = ((s_16r + s_16r+1) + s_16r+2) + …            16 blocks, one after the other: 4096 terms
///     tree:    the chunks' sums, added in pairs, the pairs in pairs …: of R chunks the first 2ᵖ < R are one branch, 2ᵖ
///              as large as it can be, the rest the other
///     C[i,j] = β·C[i,j] + that
///
/// So neither the width of the vectors, nor the number of threads, nor the other dimensions change a bit, and a column
/// of many millions keeps its digits.
template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
          T beta, T* c, const Epilogue<T>* epilogue = nullptr);

/// sums (columns) = Σᵢ xᵢ + β·sums over the rows of x: bit for bit the product with a row of ones.
template <class T>
void column_sums(std::size_t rows, std::size_t columns, const T* x, T beta, T* sums);

/// gemm by the BLAS that the library is linked with, in its order of summation, which may depend on the processor.
template <class T>
void blas_gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
               T beta, T* c);

/// Who computes gemm's products: at first what HANDGRAD_PRODUCTS says (own or blas), otherwise own.
enum class ProductEngine { own, blas };
ProductEngine product_engine();
void set_product_engine(ProductEngine engine);

}  // namespace handgrad::kernels::cpu
