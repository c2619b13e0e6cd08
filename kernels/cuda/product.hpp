#pragma once
#include <cublasLt.h>

#include <compare>
#include <cstddef>
#include <map>

#include "kernels/device.hpp"

namespace handgrad::kernels::cuda {

class Context;

/// What cuBLASLt does to a product before storing it.
enum class Epilogue {
  None,
  Bias,          // C = op(A)·op(B) + b,  b a row (n)
  ReLU,          // C = max(op(A)·op(B) + b, 0),  b a row (n) or null
  ReLUMask,      // the same, and the mask's bit is 1 where it is positive
  ReLUGradient,  // C = op(A)·op(B)∘mask, and b (n) = Σᵢ Cᵢ unless null: for δ·W this is db of the Linear before
  BiasGradient,  // C = op(A)·op(B), and b (m) = Σ over the inner dimension of op(A): for dW = δᵀ·x this is db = Σᵢ δᵢ
};

/// Columns of the bit mask of a product with n columns: cuBLASLt requires a multiple of 128. The order of the bits is
/// internal to cuBLASLt.
constexpr std::size_t mask_columns(std::size_t n) { return (n + 127) / 128 * 128; }

/// C (m×n) = op(A)·op(B) + β·C, row-major; op(A) (m×k), op(B) (k×n). β = 0 does not read C.
template <class T>
struct Product {
  bool transpose_a, transpose_b;
  std::size_t m, n, k;
  const T *a, *b;
  T beta;
  T* c;
  Epilogue epilogue = Epilogue::None;
  T* bias = nullptr;     // read or written, by the epilogue
  void* mask = nullptr;  // likewise: m rows of mask_columns(n) bits
};

/// What determines how a product is computed: one plan for each.
struct PlanKey {
  bool is_double, transpose_a, transpose_b, accumulates;
  std::size_t m, n, k;
  Epilogue epilogue;
  Precision precision;
  unsigned alignment_a, alignment_b, alignment_c, alignment_bias;  // the last is 0 without a bias
  auto operator<=>(const PlanKey&) const = default;                // NOLINT(modernize-use-nullptr): its 0
};

/// The largest power of two, up to 256, that divides the address.
unsigned alignment_of(const void* address);
/// float to bfloat16, to the nearest, ties to even; NaN stays NaN.
#ifdef __CUDACC__
__host__ __device__
#endif
    inline unsigned short
    bfloat16_bits(unsigned bits) {
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<unsigned short>((bits >> 16) | 0x40u);
  return static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Products through cuBLASLt on one device. cuBLASLt stores by columns and takes a row-major (r×c) buffer for a
/// column-major c×r one. So Cᵀ = op(B)ᵀ·op(A)ᵀ is computed, and nothing is transposed in memory. Its rows are our
/// columns: a bias, and the sums of a ReLUGradient, run along them.
///
/// The heuristic's first choice is used. It follows from the key, so the same step gives the same bits in every run;
/// timing several candidates would leave the choice, and the rounding, to chance. If an algorithm splits the inner
/// dimension, cuBLASLt adds the parts one after the other or in a separate step, in a workspace of ours: no
/// floating-point atomics (cublasLtReductionScheme_t).
class Products {
 public:
  explicit Products(Context& context) : context_(context) {}
  Products(const Products&) = delete;

  /// False if there is no algorithm for the epilogue: the caller then computes unfused. A product without epilogue
  /// fails instead.
  template <class T>
  bool run(const Product<T>& product);

  Precision precision = Precision::FP32;

 private:
  struct Plan {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
    bool found = false;
  };
  template <class T>
  Plan& plan(const Product<T>& product);
  template <class T>
  void make(Plan& plan, const Product<T>& product, const PlanKey& key);
  template <class T>
  void issue(Plan& plan, const Product<T>& product, const void* a, const void* b);
  cublasLtHandle_t handle();

  Context& context_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;
  std::map<PlanKey, Plan> plans_;
};

}  // namespace handgrad::kernels::cuda
