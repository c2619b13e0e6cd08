#include "handgrad/distributed/nccl.hpp"

#include "handgrad/base/backend.hpp"

namespace handgrad {

// Who has no GPU, or no NCCL, must not leave the others waiting: all say first whether they can.
static std::string identifier(Communicator& host, Device device) {
  std::string id, trouble;
  try {
    id = new_sums_id(device);
  } catch (const Error& error) {
    trouble = error.what();
  }
  const std::vector<std::string> all = all_gather(host, trouble);
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    if (!all[rank].empty())
      throw DeviceError("NcclCommunicator: rank " + std::to_string(rank) + " on " + device.str() + ": " + all[rank]);
  return broadcast(host, id);
}

NcclCommunicator::NcclCommunicator(Communicator& host, Device device)
    : host_(host), device_(device), sums_(make_sums(device, identifier(host, device), host.rank(), host.size())) {}

NcclCommunicator::~NcclCommunicator() = default;

void NcclCommunicator::abort(const std::string& reason) noexcept {
  if (sums_) sums_->abort();
  host_.abort(reason);
}

}  // namespace handgrad
