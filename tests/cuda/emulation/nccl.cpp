#include "nccl.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "internal.hpp"

namespace {

struct Part {
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t count = 0;
  ncclDataType_t type = ncclFloat32;
  cudaStream_t stream = nullptr;
};

/// Where ranks meet.
struct Group {
  explicit Group(int ranks) : devices(static_cast<std::size_t>(ranks), -1), parts(devices.size()) {}
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> devices;
  std::vector<Part> parts;
  std::size_t here = 0, turn = 0;
  bool aborted = false;
  ncclResult_t result = ncclSuccess;  // of the last meeting

  /// Waits for all; the last to come calls `work`. All return what it returned.
  template <class Work>
  ncclResult_t meet(std::unique_lock<std::mutex>& lock, Work&& work) {
    const std::size_t own = turn;
    if (++here == parts.size()) {
      here = 0;
      result = work();
      ++turn;
      changed.notify_all();
      return result;
    }
    changed.wait(lock, [&] { return turn != own || aborted; });
    return turn != own ? result : ncclSystemError;
  }
};

template <class T>
void sum(std::vector<Part>& parts) {
  for (std::size_t i = 0; i < parts[0].count; ++i) {
    T total = 0;
    for (const Part& part : parts) total += static_cast<const T*>(part.from)[i];
    for (const Part& part : parts) static_cast<T*>(part.to)[i] = total;
  }
}

}  // namespace

struct EmulatedComm {
  std::shared_ptr<Group> group;
  std::size_t rank;
};

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::mutex mutex;
  static int made = 0;
  const std::lock_guard lock(mutex);
  *id = {};
  std::snprintf(id->internal, sizeof id->internal, "emulated %d", made++);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<Group>> groups;
  std::shared_ptr<Group> group;
  {
    const std::lock_guard lock(mutex);
    auto& known = groups[id.internal];
    group = known.lock();
    if (!group) known = group = std::make_shared<Group>(ranks);
  }
  std::unique_lock lock(group->mutex);
  group->devices[static_cast<std::size_t>(rank)] = emulation::current_device();
  const ncclResult_t result = group->meet(lock, [&] {
    std::vector<int> devices = group->devices;
    std::sort(devices.begin(), devices.end());
    const bool twice = std::adjacent_find(devices.begin(), devices.end()) != devices.end();
    return twice ? ncclInvalidUsage : ncclSuccess;
  });
  if (result == ncclSuccess) *communicator = new EmulatedComm{group, static_cast<std::size_t>(rank)};
  return result;
}

ncclResult_t ncclCommDestroy(ncclComm_t communicator) {
  delete communicator;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  {
    const std::lock_guard lock(communicator->group->mutex);
    communicator->group->aborted = true;
    communicator->group->changed.notify_all();
  }
  delete communicator;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) {
  *error = ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t,
                           ncclComm_t communicator, cudaStream_t stream) {
  Group& group = *communicator->group;
  std::unique_lock lock(group.mutex);
  group.parts[communicator->rank] = {to, from, count, type, stream};
  return group.meet(lock, [&] {
    std::vector<cudaStream_t> streams;
    for (const Part& part : group.parts) {
      if (part.count != count || part.type != type) return ncclInvalidArgument;
      streams.push_back(part.stream);
    }
    emulation::after(streams, [&] { type == ncclFloat32 ? sum<float>(group.parts) : sum<double>(group.parts); });
    return ncclSuccess;
  });
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclInvalidUsage:
      return "invalid usage (two ranks have the same device)";
    case ncclInvalidArgument:
      return "invalid argument (ranks ask for different sums)";
    default:
      return "unhandled system error";
  }
}
