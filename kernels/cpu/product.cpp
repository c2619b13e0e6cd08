#include "kernels/cpu/product.hpp"

#include <algorithm>
#include <cstring>
#include <xtensor-blas/xblas.hpp>

#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

// Of OpenBLAS, where that is the product library.
extern "C" void openblas_set_num_threads(int) __attribute__((weak));

namespace handgrad::kernels::cpu {

namespace {

// Below this many multiplications the library's own overhead (checks, packing, threads) is most of its time.
constexpr std::size_t small = 2048;

template <class T>
void small_gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c) {
  const std::size_t ai = ta ? 1 : k, al = ta ? m : 1, bl = tb ? 1 : n, bj = tb ? k : 1;
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      T sum = 0;
      for (std::size_t l = 0; l < k; ++l) sum += a[i * ai + l * al] * b[l * bl + j * bj];
      c[i * n + j] = beta == T(0) ? sum : sum + beta * c[i * n + j];
    }
}

// y (m) = A (m×k)·x + β·y: a row of A by x is one dot product.
template <class T>
void matrix_vector(std::size_t m, std::size_t k, const T* a, const T* x, T beta, T* y) {
  for (std::size_t i = 0; i < m; ++i) {
    const T sum = dot(k, a + i * k, x);
    y[i] = beta == T(0) ? sum : sum + beta * y[i];
  }
}

// y (n) = xᵀ (k)·B (k×n) + β·y: the rows of B, weighted and added.
template <class T>
void vector_matrix(std::size_t n, std::size_t k, const T* x, const T* b, T beta, T* y) {
  if (beta == T(0)) std::memset(y, 0, n * sizeof(T));
  for (std::size_t l = 0; l < k; ++l) axpy(n, x[l], b + l * n, y);
}

// C (m×n) = x (m)·yᵀ (n) + β·C
template <class T>
void outer(std::size_t m, std::size_t n, const T* x, const T* y, T beta, T* c) {
  for (std::size_t i = 0; i < m; ++i) {
    const Batch<T> xi(x[i]);
    if (beta == T(0))
      map(
          n, c + i * n, [=](Batch<T> v) { return xi * v; }, y);
    else
      map(
          n, c + i * n, [=](Batch<T> v, Batch<T> old) { return xi * v + beta * old; }, y, c + i * n);
  }
}

// The product library's own threads add up in an order that depends on their number. So it runs on one thread, and a
// large product is cut here: into parts that follow from the shape alone, whoever computes them.
template <class T>
void large_gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c) {
  [[maybe_unused]] static const bool one_thread = [] {
    if (openblas_set_num_threads) openblas_set_num_threads(1);
    return true;
  }();
  constexpr std::size_t part_of = 1'500'000, rounded_to = 16;  // multiplications; rows or columns of C
  std::size_t parts = 1;
  while (parts < 8 && m * n * k >= 2 * parts * part_of) parts *= 2;
  const bool by_rows = m >= n;
  const std::size_t all = by_rows ? m : n;
  const std::size_t step = ((all + parts - 1) / parts + rounded_to - 1) / rounded_to * rounded_to;
  parallel((all + step - 1) / step, [&](std::size_t part) {
    const std::size_t first = part * step, count = std::min(step, all - first);
    const auto transpose = [](bool t) { return t ? cxxblas::Trans : cxxblas::NoTrans; };
    const auto i = [](std::size_t size) { return static_cast<xt::blas_index_t>(size); };
    const std::size_t row = by_rows ? first : 0, column = by_rows ? 0 : first;
    cxxblas::gemm(cxxblas::RowMajor, transpose(ta), transpose(tb), i(by_rows ? count : m), i(by_rows ? n : count), i(k),
                  T(1), a + row * (ta ? 1 : k), i(ta ? m : k), b + column * (tb ? k : 1), i(tb ? k : n), beta,
                  c + row * n + column, i(n));
  });
}

}  // namespace

template <class T>
void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c) {
  // A vector is stored alike as a row and as a column. One dimension of 1 (a single output neuron, a single example)
  // makes the product one pass over the matrix, which a loop does best, and in the same order for any number of
  // threads.
  if (n == 1 && !ta) return matrix_vector(m, k, a, b, beta, c);
  if (m == 1 && !tb) return vector_matrix(n, k, a, b, beta, c);
  if (m == 1 && tb) return matrix_vector(n, k, b, a, beta, c);
  if (n == 1 && ta) return vector_matrix(m, k, b, a, beta, c);
  if (k == 1) return outer(m, n, a, b, beta, c);
  if (m * n * k <= small) return small_gemm(ta, tb, m, n, k, a, b, beta, c);
  large_gemm(ta, tb, m, n, k, a, b, beta, c);
}

template void gemm(bool, bool, std::size_t, std::size_t, std::size_t, const float*, const float*, float, float*);
template void gemm(bool, bool, std::size_t, std::size_t, std::size_t, const double*, const double*, double, double*);

}  // namespace handgrad::kernels::cpu
