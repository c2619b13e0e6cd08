#pragma once
#include <cuda_runtime.h>

#include <string>

#include "kernels/device.hpp"

namespace handgrad::kernels::cuda {

/// Called when something cannot go on; set when the module is loaded.
extern Raise raise;
[[noreturn]] void fail(const std::string& message);

/// Fails if a call of the CUDA runtime failed: `cudaMalloc: out of memory (cudaErrorMemoryAllocation)`. An error of an
/// earlier kernel appears in whichever call comes next.
void check(cudaError_t status, const char* call);

/// `HANDGRAD_CUDA(cudaStreamSynchronize(stream))`: the call, checked, and named in the error if it fails.
#define HANDGRAD_CUDA(call) ::handgrad::kernels::cuda::check(call, #call)

}  // namespace handgrad::kernels::cuda
