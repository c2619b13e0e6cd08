#pragma once
#include <memory>

#include "handgrad/distributed/communicator.hpp"

namespace handgrad {

/// Ranks that have a GPU each, whose gradients NCCL sums from GPU to GPU while the backward runs:
///
///     const Device gpu = Device::cuda(local_rank);
///     NcclCommunicator ranks(mpi::world(), gpu);
///     net.to(gpu);
///     DataParallel parallel(net, ranks);
///
/// Everything else (counts of rows, names, what lies on the CPU) goes through `host`, which outlives it. NCCL adds in
/// an order of its own, the same in each run on the same machines: a run repeated has the same bits, but k ranks agree
/// with one as float agrees with itself. All ranks make it together. Throws DeviceError where there is no such GPU, the
/// CUDA kernels were built without NCCL, libnccl.so.2 is not there, or two ranks have one GPU.
class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(Communicator& host, Device device);
  ~NcclCommunicator() override;

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  void all_reduce(std::span<float> x) override { host_.all_reduce(x); }
  void all_reduce(std::span<double> x) override { host_.all_reduce(x); }
  using Communicator::all_reduce;
  void broadcast(std::span<std::byte> bytes, int root) override { host_.broadcast(bytes, root); }
  using Communicator::broadcast;
  void barrier() override { host_.barrier(); }
  std::shared_ptr<void> memory(std::size_t bytes) override { return host_.memory(bytes); }
  Communicator* beside() override { return host_.beside(); }
  void abort(const std::string& reason) noexcept override;
  kernels::RankSums* sums_on(Device device) override { return device == device_ ? sums_.get() : nullptr; }

 private:
  Communicator& host_;
  Device device_;
  std::unique_ptr<kernels::RankSums> sums_;
};

}  // namespace handgrad
