#pragma once
#include <cuda_runtime.h>

namespace handgrad::kernels::cuda {

/// Throws DeviceError when a call of the CUDA runtime failed: `cudaMalloc: out of memory (cudaErrorMemoryAllocation)`.
/// An error of an earlier kernel surfaces in whatever call comes next.
void check(cudaError_t status, const char* call);

/// `HANDGRAD_CUDA(cudaStreamSynchronize(stream))`: the call, checked, and named by itself when it fails.
#define HANDGRAD_CUDA(call) ::handgrad::kernels::cuda::check(call, #call)

}  // namespace handgrad::kernels::cuda
