#pragma once

namespace handgrad {

/// Who computes the CPU's matrix products.
enum class ProductEngine {
  own,   ///< the library's own: the same bits on every processor, for any number of threads
  blas,  ///< the BLAS that the library is linked with: the order of its additions may differ with the processor
};

/// At first what HANDGRAD_PRODUCTS says (own or blas), own where it is not set. Another value is an error of the first
/// product.
ProductEngine product_engine();
void set_product_engine(ProductEngine engine);

}  // namespace handgrad
