#pragma once
#include <cuda_runtime.h>

#include <string>

#include "kernels/device.hpp"

namespace handgrad::kernels::cuda {

/// What is called when something cannot go on: given by whoever loads the module.
extern Raise raise;
[[noreturn]] void fail(const std::string& message);

/// Fails when a call of the CUDA runtime failed: `cudaMalloc: out of memory (cudaErrorMemoryAllocation)`.
/// An error of an earlier kernel surfaces in whatever call comes next.
void check(cudaError_t status, const char* call);

/// `HANDGRAD_CUDA(cudaStreamSynchronize(stream))`: the call, checked, and named by itself when it fails.
#define HANDGRAD_CUDA(call) ::handgrad::kernels::cuda::check(call, #call)

}  // namespace handgrad::kernels::cuda
