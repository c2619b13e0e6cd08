#include "kernels/cpu/product.hpp"

#include "kernels/cpu/product_kernel.hpp"

namespace handgrad::kernels::cpu {

template <class T>
void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, const T* a, const T* b, T beta, T* c,
          const Epilogue<T>* epilogue) {
  const Finish<T> finish{epilogue};
  if (product_engine() == ProductEngine::blas) {
    blas_gemm(ta, tb, m, n, k, a, b, beta, c);
    return finish(c, n, 0, m, 0, n);
  }
  product(ta, tb, m, n, k, a, b, beta, c, finish);
}

template <class T>
void column_sums(std::size_t rows, std::size_t columns, const T* x, T beta, T* sums) {
  if (rows * columns <= 32) {  // fma(1, x, s) = s + x
    for (std::size_t j = 0; j < columns; ++j) {
      T s = 0;
      for (std::size_t i = 0; i < rows; ++i) s += x[i * columns + j];
      sums[j] = beta == T(0) ? s : sums[j] + s;
    }
    return;
  }
  const T one = 1;
  Product<T>(false, false, 1, columns, rows, &one, x, beta, sums, {}, true).run();
}

template void column_sums(std::size_t, std::size_t, const float*, float, float*);
template void column_sums(std::size_t, std::size_t, const double*, double, double*);
template void gemm(bool, bool, std::size_t, std::size_t, std::size_t, const float*, const float*, float, float*,
                   const Epilogue<float>*);
template void gemm(bool, bool, std::size_t, std::size_t, std::size_t, const double*, const double*, double, double*,
                   const Epilogue<double>*);

}  // namespace handgrad::kernels::cpu
