#include "handgrad/base/products.hpp"

#include "kernels/cpu/product.hpp"

namespace handgrad {

ProductEngine product_engine() {
  return kernels::cpu::product_engine() == kernels::cpu::ProductEngine::blas ? ProductEngine::blas : ProductEngine::own;
}

void set_product_engine(ProductEngine engine) {
  kernels::cpu::set_product_engine(engine == ProductEngine::blas ? kernels::cpu::ProductEngine::blas
                                                                 : kernels::cpu::ProductEngine::own);
}

}  // namespace handgrad
