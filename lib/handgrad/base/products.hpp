#pragma once

namespace handgrad {

/// What computes the CPU's matrix products.
enum class ProductEngine {
  own,   ///< the library's own: the same bits on every processor, for any number of threads
  blas,  ///< the BLAS that the library is linked with: its order of additions may depend on the processor
};

/// Initially what HANDGRAD_PRODUCTS says (own or blas), else own; with any other value the first product throws.
ProductEngine product_engine();
void set_product_engine(ProductEngine engine);

}  // namespace handgrad
