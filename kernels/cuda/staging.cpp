#include "kernels/cuda/staging.hpp"

namespace handgrad::kernels::cuda {

CudaStaging::CudaStaging(Context& context, std::size_t bytes) : context_(context) {
  const auto guard = context_.use();
  try {
    HANDGRAD_CUDA(cudaHostAlloc(&host_, bytes, cudaHostAllocDefault));
    HANDGRAD_CUDA(cudaEventCreateWithFlags(&arrived_, cudaEventDisableTiming));
    HANDGRAD_CUDA(cudaEventCreateWithFlags(&released_, cudaEventDisableTiming));
  } catch (...) {
    close();
    throw;
  }
  release();  // the device's buffer may have just been freed by another user
}

CudaStaging::~CudaStaging() { close(); }

void CudaStaging::close() noexcept {
  if (arrived_) cudaEventSynchronize(arrived_);
  for (const cudaEvent_t event : {arrived_, released_})
    if (event) cudaEventDestroy(event);
  if (host_) cudaFreeHost(host_);
  cudaGetLastError();  // the runtime may be gone at the end of a program
}

void* CudaStaging::host() {
  HANDGRAD_CUDA(cudaEventSynchronize(arrived_));
  return host_;
}

void CudaStaging::send(std::span<const Transfer> transfers) {
  const auto guard = context_.use();
  context_.recorder().leave("a batch was brought to the device within the step");
  const cudaStream_t copies = context_.copies();
  HANDGRAD_CUDA(cudaStreamWaitEvent(copies, released_, 0));
  for (const auto& [to, from, bytes] : transfers)
    HANDGRAD_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, copies));
  HANDGRAD_CUDA(cudaEventRecord(arrived_, copies));
  HANDGRAD_CUDA(cudaStreamWaitEvent(context_.stream(), arrived_, 0));
}

void CudaStaging::release() {
  const auto guard = context_.use();
  context_.recorder().leave("a batch was brought to the device within the step");
  HANDGRAD_CUDA(cudaEventRecord(released_, context_.stream()));
}

}  // namespace handgrad::kernels::cuda
