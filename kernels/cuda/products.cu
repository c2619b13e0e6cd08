#include "kernels/products.hpp"

#include "kernels/cuda/context.hpp"

namespace handgrad::kernels {

template <class D, class T>
void ProductsOn<D, T>::matmul(Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, T beta,
                              Matrix<T> c) {
  const auto guard = device_.use();
  device_.products().run(cuda::Product<T>{transpose_a, transpose_b, c.rows, c.columns, transpose_a ? a.rows : a.columns,
                                          a.data, b.data, beta, c.data});
}

template class ProductsOn<cuda::Context, float>;
template class ProductsOn<cuda::Context, double>;

}  // namespace handgrad::kernels
