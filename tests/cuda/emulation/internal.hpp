#pragma once
#include <cstddef>
#include <functional>
#include <vector>

#include "cuda_runtime.h"

namespace emulation {

/// Runs all blocks and threads of a kernel (kernels.cpp).
void run_kernel(const void* kernel, dim3 grid, dim3 block, void** arguments);
/// The sizes of a kernel's arguments; null if it was never registered.
const std::size_t* argument_sizes(const void* kernel, std::size_t& count);

/// Runs `work` on the stream, or adds it to the graph being captured (runtime.cpp). `work` may touch the memory of the
/// stream's device.
cudaError_t on_stream(cudaStream_t stream, std::function<void()> work);
/// Finishes the streams' queued work, then calls `work`, which may touch the memory of all devices (runtime.cpp).
void after(const std::vector<cudaStream_t>& streams, const std::function<void()>& work);
int current_device();
/// Ends the program with a message, where a GPU would silently go wrong.
[[noreturn]] void fail(const char* what);

}  // namespace emulation
