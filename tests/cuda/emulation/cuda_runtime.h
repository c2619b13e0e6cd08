#pragma once
// A stand-in, on the CPU, for the part of the CUDA runtime that kernels/cuda uses: the same sources, .cu files
// included, compile against it with a C++ compiler and run. On machines without a GPU it tests indexing, reductions,
// synchronisation within a block, memory handling, plans and graphs. It tests neither speed, nor a real GPU's rounding,
// nor the real runtime and cuBLAS: names are NVIDIA's, behaviour follows their documentation.
//
// What it checks:
//   - "device memory" may be touched only by kernels and copies of its own device: anything else is a segmentation
//   fault
//   - fresh device memory holds NaN; each allocation is followed by guard bytes that must not change
//   - the threads of a block run in ascending order in one launch and in descending order in the next, each as far as
//     its next barrier: a missing barrier changes results
//   - work waits in its stream until somebody waits for it; other streams than the first run as late or as early as
//   events allow, in turn: a missing event changes results
//   - transfers need pinned host memory: pageable memory would block
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

// NOLINTBEGIN(bugprone-reserved-identifier): NVIDIA's names
#define HANDGRAD_CUDA_EMULATED 1
#define CUDART_VERSION 13000
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// --- What a kernel sees -----------------------------------------------------------------------------------------
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
void __syncthreads();

namespace emulation {
/// Each lane of a warp provides its value and takes that of lane (own xor distance).
void exchange(void* value, std::size_t size, unsigned distance);
using Invoke = void (*)(const void* kernel, void** arguments);
void register_kernel(const void* kernel, Invoke invoke, const std::size_t* sizes, std::size_t count);
}  // namespace emulation

template <class V>
V __shfl_xor_sync(unsigned, V value, unsigned distance) {
  emulation::exchange(&value, sizeof value, distance);
  return value;
}
inline unsigned long long atomicMin(unsigned long long* address, unsigned long long value) {
  const unsigned long long old = *address;
  if (value < old) *address = value;
  return old;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// Kernels are launched by address and an array of arguments; this says how to call one.
template <class... P>
void emulation_register(void (*kernel)(P...)) {
  static constexpr std::size_t sizes[] = {sizeof(P)...};
  emulation::register_kernel(
      reinterpret_cast<const void*>(kernel),
      [](const void* address, void** arguments) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
          reinterpret_cast<void (*)(P...)>(const_cast<void*>(address))(
              *static_cast<std::remove_const_t<P>*>(arguments[I])...);
        }
        (std::index_sequence_for<P...>());
      },
      sizes, sizeof...(P));
}

// --- The runtime --------------------------------------------------------------------------------------------------
enum cudaError_t {
  cudaSuccess,
  cudaErrorInvalidValue,
  cudaErrorMemoryAllocation,
  cudaErrorNoDevice,
  cudaErrorStreamCaptureUnsupported,
  cudaErrorIllegalAddress,
};
const char* cudaGetErrorString(cudaError_t);
const char* cudaGetErrorName(cudaError_t);
cudaError_t cudaGetLastError();

struct cudaDeviceProp {
  char name[256];
};
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };
cudaError_t cudaGetDeviceCount(int*);
cudaError_t cudaSetDevice(int);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int);
cudaError_t cudaDeviceGetAttribute(int*, cudaDeviceAttr, int);

cudaError_t cudaMalloc(void**, std::size_t);
cudaError_t cudaFree(void*);
cudaError_t cudaMemGetInfo(std::size_t*, std::size_t*);
constexpr unsigned cudaHostAllocDefault = 0;
cudaError_t cudaHostAlloc(void**, std::size_t, unsigned);
cudaError_t cudaFreeHost(void*);
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };

typedef struct EmulatedStream* cudaStream_t;
typedef struct EmulatedEvent* cudaEvent_t;
typedef struct EmulatedGraph* cudaGraph_t;
typedef struct EmulatedGraphExec* cudaGraphExec_t;
typedef struct EmulatedNode* cudaGraphNode_t;
struct cudaGraphEdgeData {};
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2;
cudaError_t cudaStreamCreateWithFlags(cudaStream_t*, unsigned);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaEventElapsedTime(float*, cudaEvent_t, cudaEvent_t);
cudaError_t cudaMemcpyAsync(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemsetAsync(void*, int, std::size_t, cudaStream_t);
cudaError_t cudaLaunchKernel(const void*, dim3 grid, dim3 block, void** arguments, std::size_t, cudaStream_t);

enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed = 2 };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive };
struct cudaKernelNodeParams {
  void* func;
  dim3 gridDim, blockDim;
  unsigned sharedMemBytes;
  void** kernelParams;
  void** extra;
};
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*);
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t, cudaStreamCaptureStatus*, unsigned long long*, cudaGraph_t*,
                                     const cudaGraphNode_t**, const cudaGraphEdgeData**, std::size_t*);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t, cudaGraphNode_t, const cudaKernelNodeParams*);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);
// NOLINTEND(bugprone-reserved-identifier)
