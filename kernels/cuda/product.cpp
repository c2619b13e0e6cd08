#include "kernels/cuda/product.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/cuda/context.hpp"
#include "kernels/cuda/kernels.hpp"

namespace handgrad::kernels::cuda {

unsigned alignment_of(const void* address) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address);
  return static_cast<unsigned>(std::min<std::uintptr_t>(bits & (~bits + 1), 256));
}

namespace {

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  if (status == CUBLAS_STATUS_ALLOC_FAILED) fail(std::string(call) + ": out of memory");
  fail(std::string(call) + ": " + cublasLtGetStatusName(status) + ", " + cublasLtGetStatusString(status));
}
#define HANDGRAD_CUBLAS(call) check(call, #call)

cublasLtEpilogue_t epilogue_of(Epilogue epilogue, bool bias) {
  switch (epilogue) {
    case Epilogue::Bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::ReLU:
      return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    case Epilogue::ReLUMask:
      return bias ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX;
    case Epilogue::ReLUGradient:
      return bias ? CUBLASLT_EPILOGUE_DRELU_BGRAD : CUBLASLT_EPILOGUE_DRELU;
    case Epilogue::BiasGradient:
      return CUBLASLT_EPILOGUE_BGRADB;  // our A is cuBLASLt's B
    case Epilogue::None:
      break;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

template <class V>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, V value) {
  HANDGRAD_CUBLAS(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value));
}

template <class T>
void set_addresses(cublasLtMatmulDesc_t operation, const Product<T>& p) {
  if (p.bias) set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(p.bias));
  if (p.mask) set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.mask);
}

// A row-major rows×columns buffer, as cuBLASLt sees it.
cublasLtMatrixLayout_t layout(cudaDataType_t type, std::size_t rows, std::size_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  HANDGRAD_CUBLAS(cublasLtMatrixLayoutCreate(&layout, type, columns, rows, static_cast<std::int64_t>(columns)));
  return layout;
}

}  // namespace

cublasLtHandle_t Products::handle() {
  if (!handle_) HANDGRAD_CUBLAS(cublasLtCreate(&handle_));
  if (!workspace_) workspace_ = context_.allocate(workspace_bytes);
  return handle_;
}

template <class T>
void Products::make(Plan& plan, const Product<T>& p, const PlanKey& key) {
  constexpr bool is_double = std::is_same_v<T, double>;
  const cudaDataType_t type = is_double ? CUDA_R_64F : CUDA_R_32F;
  const bool halves = key.precision == Precision::BF16;
  const cublasComputeType_t compute = is_double                          ? CUBLAS_COMPUTE_64F
                                      : key.precision == Precision::TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                         : CUBLAS_COMPUTE_32F;
  const cublasLtHandle_t handle = this->handle();
  HANDGRAD_CUBLAS(cublasLtMatmulDescCreate(&plan.operation, compute, type));
  // The operands are exchanged: cuBLASLt's A is our B.
  set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p.epilogue, p.bias != nullptr));
  // The heuristic examines bias and mask, so the addresses must be set before.
  set_addresses(plan.operation, p);
  if (p.mask) set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, static_cast<std::int64_t>(mask_columns(p.n)));
  const cudaDataType_t factor = halves ? CUDA_R_16BF : type;
  plan.a = p.transpose_b ? layout(factor, p.n, p.k) : layout(factor, p.k, p.n);
  plan.b = p.transpose_a ? layout(factor, p.k, p.m) : layout(factor, p.m, p.k);
  plan.c = layout(type, p.m, p.n);

  cublasLtMatmulPreference_t preference = nullptr;
  HANDGRAD_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    HANDGRAD_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{workspace_bytes});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t{key.alignment_b});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, std::uint32_t{key.alignment_a});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, std::uint32_t{key.alignment_c});
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, std::uint32_t{key.alignment_c});
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, plan.operation, plan.a, plan.b, plan.c, plan.c,
                                                               preference, 1, &result, &found);
  cublasLtMatmulPreferenceDestroy(preference);
  // "Not supported" and "none found" both mean: not fused.
  if (status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_INVALID_VALUE)
    check(status, "cublasLtMatmulAlgoGetHeuristic");
  plan.found = status == CUBLAS_STATUS_SUCCESS && found > 0 && result.state == CUBLAS_STATUS_SUCCESS;
  plan.algorithm = result.algo;
}

template <class T>
Products::Plan& Products::plan(const Product<T>& p) {
  constexpr bool is_double = std::is_same_v<T, double>;
  const Precision used = is_double ? Precision::FP32 : precision;
  const bool halves = used == Precision::BF16;  // the factors are then copies, in our own memory
  const PlanKey key{is_double,
                    p.transpose_a,
                    p.transpose_b,
                    p.beta != T(0),
                    p.m,
                    p.n,
                    p.k,
                    p.epilogue,
                    used,
                    halves ? 256 : alignment_of(p.a),
                    halves ? 256 : alignment_of(p.b),
                    alignment_of(p.c),
                    alignment_of(p.bias)};
  const auto [entry, is_new] = plans_.try_emplace(key);
  if (is_new) {
    try {
      make(entry->second, p, key);
    } catch (...) {
      plans_.erase(entry);
      throw;
    }
  }
  return entry->second;
}

template <class T>
void Products::issue(Plan& plan, const Product<T>& p, const void* a, const void* b) {
  // Compared by a graph: equal keys mean equal work.
  struct Key {
    const void *plan, *a, *b, *c, *bias, *mask;
    double beta;
  } const key{&plan, a, b, p.c, p.bias, p.mask, static_cast<double>(p.beta)};
  context_.recorder().issue(&key, sizeof key, [this, &plan, a, b, p] {
    const T one(1);
    set_addresses(plan.operation, p);
    HANDGRAD_CUBLAS(cublasLtMatmul(handle_, plan.operation, &one, b, plan.a, a, plan.b, &p.beta, p.c, plan.c, p.c,
                                   plan.c, &plan.algorithm, workspace_, workspace_bytes, context_.stream()));
  });
}

template <class T>
bool Products::run(const Product<T>& p) {
  Plan& plan = this->plan(p);
  if (!plan.found) {
    if (p.epilogue != Epilogue::None) return false;
    fail("cublasLtMatmulAlgoGetHeuristic: no algorithm for a product of (" + std::to_string(p.m) + ", " +
         std::to_string(p.k) + ") and (" + std::to_string(p.k) + ", " + std::to_string(p.n) + ")");
  }
  if constexpr (std::is_same_v<T, float>) {
    if (precision == Precision::BF16) {
      // Rounded copies, freed at once: the memory's next user queues behind the product.
      const std::size_t na = p.m * p.k, nb = p.k * p.n;
      auto* a = static_cast<unsigned short*>(context_.allocate(2 * na));
      auto* b = static_cast<unsigned short*>(context_.allocate(2 * nb));
      round_to_bfloat16(context_, na, p.a, a);
      round_to_bfloat16(context_, nb, p.b, b);
      issue(plan, p, a, b);
      context_.deallocate(b, 2 * nb);
      context_.deallocate(a, 2 * na);
      return true;
    }
  }
  issue(plan, p, p.a, p.b);
  return true;
}

template bool Products::run(const Product<float>&);
template bool Products::run(const Product<double>&);

}  // namespace handgrad::kernels::cuda
