// The second product engine, and the tests' reference: BLAS by way of xtensor-blas.
#include <algorithm>
#include <xtensor-blas/xblas.hpp>

#include "kernels/cpu/product.hpp"
#include "kernels/cpu/threads.hpp"

// OpenBLAS's, where that is the product library.
extern "C" void openblas_set_num_threads(int) __attribute__((weak));

namespace handgrad::kernels::cpu {

// The BLAS's own threads add up in an order that depends on their number. So it runs on one thread, and a large product
// is cut here into parts that follow from the shape alone.
template <class T>
void blas_gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c) {
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

template void blas_gemm(bool, bool, std::size_t, std::size_t, std::size_t, const float*, const float*, float, float*);
template void blas_gemm(bool, bool, std::size_t, std::size_t, std::size_t, const double*, const double*, double,
                        double*);

}  // namespace handgrad::kernels::cpu
