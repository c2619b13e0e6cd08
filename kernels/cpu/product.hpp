#pragma once
#include <cstddef>

namespace handgrad::kernels::cpu {

/// What is done with a piece of C as soon as it is finished, while it is in the nearest cache: `apply` gets its
/// address, the distance of C's rows, and the piece's first row, rows, first column and columns. For each element once;
/// on several threads at once.
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
/// So neither the processor's vectors, nor the number of threads, nor the other dimensions change a bit, and a column
/// of many millions keeps its digits.
template <class T>
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
          T beta, T* c, const Epilogue<T>* epilogue = nullptr);

/// sums (columns) = Σᵢ xᵢ + β·sums over the rows of x: the product with a row of ones, bit for bit.
template <class T>
void column_sums(std::size_t rows, std::size_t columns, const T* x, T beta, T* sums);

/// gemm by the BLAS that the library is linked with: in that library's order, which may differ with the processor.
template <class T>
void blas_gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b,
               T beta, T* c);

/// Whose products gemm takes. At first HANDGRAD_PRODUCTS (own or blas), own where that is not set.
enum class ProductEngine { own, blas };
ProductEngine product_engine();
void set_product_engine(ProductEngine engine);

}  // namespace handgrad::kernels::cpu
