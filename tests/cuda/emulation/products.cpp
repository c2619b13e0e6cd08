// D = α·op(A)·op(B) + β·C in column-major order, with the epilogues that kernels/cuda uses.
#include <algorithm>
#include <map>
#include <vector>

#include "cublasLt.h"
#include "internal.hpp"

struct EmulatedLt {};
struct EmulatedPreference {
  std::map<cublasLtMatmulPreferenceAttributes_t, std::uint64_t> values;
};
struct EmulatedMatmul {
  cublasComputeType_t compute;
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  void* aux = nullptr;
  std::int64_t aux_leading = 0;  // in bits
  bool has(int bits) const { return (epilogue & bits) == bits; }
};
struct EmulatedLayout {
  cudaDataType_t type;
  std::uint64_t rows, columns;
  std::int64_t leading;
};

namespace {

// The bits of an epilogue. BGRADA and BGRADB stand alone.
constexpr int relu = 2, bias_term = 4, relu_gradient = 8, bias_gradient = 16, auxiliary = 128;

// An element of op(M), as the multiplier sees it.
double element(const void* data, const EmulatedLayout& layout, cublasOperation_t op, cublasComputeType_t compute,
               std::uint64_t row, std::uint64_t column) {
  if (op == CUBLAS_OP_T) std::swap(row, column);
  const std::size_t at = column * static_cast<std::uint64_t>(layout.leading) + row;
  if (layout.type == CUDA_R_64F) return static_cast<const double*>(data)[at];
  std::uint32_t bits;
  if (layout.type == CUDA_R_16BF) {
    bits = std::uint32_t{static_cast<const std::uint16_t*>(data)[at]} << 16;
  } else {
    std::memcpy(&bits, static_cast<const float*>(data) + at, sizeof bits);
    if (compute == CUBLAS_COMPUTE_32F_FAST_TF32) bits = (bits + 0xfff + ((bits >> 13) & 1)) & ~std::uint32_t{0x1fff};
  }
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return static_cast<double>(value);
}

template <class T>
void multiply(const EmulatedMatmul& op, const void* a, const EmulatedLayout& la, const void* b,
              const EmulatedLayout& lb, T beta, T* d, const EmulatedLayout& ld) {
  const std::uint64_t k = op.a == CUBLAS_OP_N ? la.columns : la.rows;
  auto* bias = static_cast<T*>(op.bias);
  // One bit per element of D, in column-major order.
  auto* bits = static_cast<unsigned char*>(op.aux);
  std::vector<double> sums(op.has(bias_gradient) ? ld.rows : 0);  // over the rows of D
  for (std::uint64_t j = 0; j < ld.columns; ++j) {
    for (std::uint64_t i = 0; i < ld.rows; ++i) {
      double sum = 0;
      for (std::uint64_t l = 0; l < k; ++l)
        sum += element(a, la, op.a, op.compute, i, l) * element(b, lb, op.b, op.compute, l, j);
      T& out = d[j * static_cast<std::uint64_t>(ld.leading) + i];
      T value = static_cast<T>(sum);
      if (beta != T(0)) value += beta * out;
      if (op.has(bias_term)) value += bias[i];
      const std::uint64_t bit = j * static_cast<std::uint64_t>(op.aux_leading) + i;
      const auto in_byte = static_cast<unsigned char>(1u << bit % 8);
      if (op.has(relu | auxiliary))
        bits[bit / 8] = static_cast<unsigned char>(value > T(0) ? bits[bit / 8] | in_byte : bits[bit / 8] & ~in_byte);
      if (op.has(relu) && value < T(0)) value = T(0);
      if (op.has(relu_gradient) && !(bits[bit / 8] & in_byte)) value = T(0);
      if (op.has(bias_gradient)) sums[i] += static_cast<double>(value);
      out = value;
    }
    if (op.epilogue == CUBLASLT_EPILOGUE_BGRADB) {
      double sum = 0;
      for (std::uint64_t l = 0; l < k; ++l) sum += element(b, lb, op.b, op.compute, l, j);
      bias[j] = static_cast<T>(sum);
    }
  }
  for (std::uint64_t i = 0; i < sums.size(); ++i) bias[i] = static_cast<T>(sums[i]);
}

// Whether everything that the epilogue reads or writes is there.
void check_epilogue(const EmulatedMatmul& op, const EmulatedLayout& d) {
  const bool bgrad_of_operand = op.epilogue >= 256;
  if ((bgrad_of_operand || op.has(bias_term) || op.has(bias_gradient)) && !op.bias)
    emulation::fail("an epilogue without the address of its bias");
  if (bgrad_of_operand || !op.has(auxiliary)) return;
  if (!op.aux) emulation::fail("an epilogue without the address of its auxiliary matrix");
  if (op.aux_leading % 128 != 0 || op.aux_leading < static_cast<std::int64_t>(d.rows))
    emulation::fail("a bit mask whose leading dimension is not a multiple of 128, or less than the rows of D");
  if (reinterpret_cast<std::uintptr_t>(op.aux) % 16 != 0) emulation::fail("a bit mask at an odd address");
}

}  // namespace

const char* cublasLtGetStatusName(cublasStatus_t) { return "CUBLAS_STATUS"; }
const char* cublasLtGetStatusString(cublasStatus_t) { return "an error of the emulation"; }
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new EmulatedLt;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation, cublasComputeType_t compute, cudaDataType_t) {
  *operation = new EmulatedMatmul{compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t size) {
  const auto take = [&](auto& field) {
    if (size != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&field, value, size);
    return CUBLAS_STATUS_SUCCESS;
  };
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(operation->a);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(operation->b);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(operation->epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(operation->bias);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return take(operation->aux);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return take(operation->aux_leading);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t leading) {
  if (leading < static_cast<std::int64_t>(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *layout = new EmulatedLayout{type, rows, columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new EmulatedPreference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t size) {
  std::memcpy(&preference->values[attribute], value, std::min<std::size_t>(size, 8));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t* result, int* found) {
  const std::uint64_t m = op->a == CUBLAS_OP_N ? a->rows : a->columns, k = op->a == CUBLAS_OP_N ? a->columns : a->rows;
  const std::uint64_t kb = op->b == CUBLAS_OP_N ? b->rows : b->columns, n = op->b == CUBLAS_OP_N ? b->columns : b->rows;
  if (k != kb || d->rows != m || d->columns != n || c->rows != m || c->columns != n)
    emulation::fail("a product of layouts that do not fit together");
  check_epilogue(*op, *d);
  // No epilogue for doubles, so that the unfused path is tested too.
  *found = d->type == CUDA_R_64F && op->epilogue != CUBLASLT_EPILOGUE_DEFAULT ? 0 : 1;
  *result = {{1}, 0, CUBLAS_STATUS_SUCCESS};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void*, const void* a,
                              cublasLtMatrixLayout_t la, const void* b, cublasLtMatrixLayout_t lb, const void* beta,
                              const void* c, cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t* algorithm, void*, std::size_t, cudaStream_t stream) {
  if (algorithm->id != 1 || c != d) return CUBLAS_STATUS_INVALID_VALUE;
  check_epilogue(*op, *ld);
  // Copies: the descriptor may be changed before a captured product runs.
  const EmulatedMatmul copy = *op;
  if (ld->type == CUDA_R_64F) {
    const double factor = *static_cast<const double*>(beta);
    emulation::on_stream(stream, [=] { multiply(copy, a, *la, b, *lb, factor, static_cast<double*>(d), *ld); });
  } else {
    const float factor = *static_cast<const float*>(beta);
    emulation::on_stream(stream, [=] { multiply(copy, a, *la, b, *lb, factor, static_cast<float*>(d), *ld); });
  }
  return CUBLAS_STATUS_SUCCESS;
}
