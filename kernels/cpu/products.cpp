#include "kernels/products.hpp"

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/product.hpp"

namespace handgrad::kernels {

using namespace cpu;

template <class D, class T>
void ProductsOn<D, T>::matmul(Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, T beta,
                              Matrix<T> c) {
  gemm(transpose_a, transpose_b, c.rows, c.columns, transpose_a ? a.rows : a.columns, a.data, b.data, beta, c.data);
}

template class ProductsOn<cpu::Cpu, float>;
template class ProductsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
