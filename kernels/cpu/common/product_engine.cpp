#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernels/cpu/product.hpp"

namespace handgrad::kernels::cpu {

namespace {

ProductEngine initial_engine() {
  const char* text = std::getenv("HANDGRAD_PRODUCTS");
  const std::string name = text ? text : "own";
  if (name == "own") return ProductEngine::own;
  if (name == "blas") return ProductEngine::blas;
  throw std::runtime_error("HANDGRAD_PRODUCTS: own or blas expected, '" + name + "' came");
}

std::atomic<ProductEngine>& engine() {
  static std::atomic<ProductEngine> chosen{initial_engine()};
  return chosen;
}

}  // namespace

ProductEngine product_engine() { return engine(); }
void set_product_engine(ProductEngine chosen) { engine() = chosen; }

}  // namespace handgrad::kernels::cpu
