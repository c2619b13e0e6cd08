#pragma once
#include "kernels/cuda/context.hpp"

namespace handgrad::kernels::cuda {

/// Pinned memory, and two events that order the stream of copies and the stream of all other work:
///
///     compute   … step with batch i−2 | released | … step i−1 …        | step i …
///     copies                            waits ↳  batch i | arrived ↗ waits
class CudaStaging final : public Staging {
 public:
  CudaStaging(Context& context, std::size_t bytes);
  ~CudaStaging() override;
  CudaStaging(const CudaStaging&) = delete;

  void* host() override;
  void send(std::span<const Transfer> transfers) override;
  void release() override;

 private:
  void close() noexcept;
  Context& context_;
  void* host_ = nullptr;
  cudaEvent_t arrived_ = nullptr, released_ = nullptr;
};

}  // namespace handgrad::kernels::cuda
