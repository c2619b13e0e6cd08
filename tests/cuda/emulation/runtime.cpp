// Memory, streams and graphs of the emulated devices.
#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "internal.hpp"

namespace emulation {

void fail(const char* what) {
  std::fprintf(stderr, "emulated CUDA device: %s\n", what);
  std::abort();
}

namespace {

constexpr int devices = 2;
constexpr std::size_t memory_bytes = std::size_t{256} << 20, guard_bytes = 512, most_poisoned = std::size_t{4} << 20;
constexpr unsigned char fresh = 0xff, guard = 0xa5;  // 0xff…: NaN, as float and as double

/// A device's memory: an address range that is locked unless a kernel or copy runs.
class DeviceMemory {
 public:
  DeviceMemory() {
    void* address = mmap(nullptr, memory_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) fail("no memory for the device");
    base_ = static_cast<unsigned char*>(address);
    free_[0] = memory_bytes;
  }
  void open(bool on) {
    static const bool always = std::getenv("HANDGRAD_EMULATION_UNLOCKED") != nullptr;
    if (always && open_) return;
    open_ = on || always;
    mprotect(base_, memory_bytes, open_ ? PROT_READ | PROT_WRITE : PROT_NONE);
  }

  void* allocate(std::size_t bytes) {
    const std::size_t size = (bytes + 511) / 512 * 512;
    if (bytes > memory_bytes) return nullptr;
    for (auto place = free_.begin(); place != free_.end(); ++place) {
      if (place->second < size + guard_bytes) continue;
      const auto [begin, room] = *place;
      free_.erase(place);
      if (room > size + guard_bytes) free_[begin + size + guard_bytes] = room - size - guard_bytes;
      used_[begin] = size;
      open(true);
      // Not very large allocations (cuBLASLt's workspace): touched pages slow down locking and unlocking.
      if (size <= most_poisoned) std::memset(base_ + begin, fresh, size);
      std::memset(base_ + begin + size, guard, guard_bytes);
      open(false);
      return base_ + begin;
    }
    return nullptr;
  }
  bool release(void* address) {
    const auto block = used_.find(static_cast<std::size_t>(static_cast<unsigned char*>(address) - base_));
    if (block == used_.end()) return false;
    check(*block);
    auto place = free_.emplace(block->first, block->second + guard_bytes).first;
    used_.erase(block);
    if (const auto next = std::next(place); next != free_.end() && place->first + place->second == next->first) {
      place->second += next->second;
      free_.erase(next);
    }
    if (place != free_.begin()) {
      const auto before = std::prev(place);
      if (before->first + before->second == place->first) {
        before->second += place->second;
        free_.erase(place);
      }
    }
    return true;
  }
  void check_all() {
    open(true);
    for (const auto& block : used_) check_open(block);
    open(false);
  }
  std::size_t free_bytes() const {
    std::size_t sum = 0;
    for (const auto& [begin, size] : free_) sum += size;
    return sum;
  }

 private:
  void check(const std::pair<const std::size_t, std::size_t>& block) {
    open(true);
    check_open(block);
    open(false);
  }
  void check_open(const std::pair<const std::size_t, std::size_t>& block) {
    for (std::size_t i = 0; i < guard_bytes; ++i)
      if (base_[block.first + block.second + i] != guard) fail("a write beyond the end of an allocation");
  }
  unsigned char* base_;
  bool open_ = false;
  std::map<std::size_t, std::size_t> free_, used_;  // offset, size
};

std::recursive_mutex mutex;  // one at a time: kernels see global variables
DeviceMemory& memory(int device) {
  static auto* memories = new std::array<DeviceMemory, devices>;
  return (*memories)[static_cast<std::size_t>(device)];
}
thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t result(cudaError_t status) {
  if (status != cudaSuccess) last_error = status;
  return status;
}

}  // namespace
}  // namespace emulation

using namespace emulation;

struct EmulatedNode {
  std::function<void()> work;  // if it is no kernel
  const void* kernel = nullptr;
  dim3 grid, block;
  std::vector<std::vector<unsigned char>> arguments;
  void set_arguments(void** values) {
    std::size_t count = 0;
    const std::size_t* sizes = argument_sizes(kernel, count);
    arguments.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto* bytes = static_cast<const unsigned char*>(values[i]);
      arguments[i].assign(bytes, bytes + sizes[i]);
    }
  }
  void run() {
    if (!kernel) return work();
    std::vector<void*> addresses;
    for (auto& argument : arguments) addresses.push_back(argument.data());
    run_kernel(kernel, grid, block, addresses.data());
  }
};
struct EmulatedGraph {
  std::vector<std::shared_ptr<EmulatedNode>> nodes;
};
struct EmulatedGraphExec {
  std::map<EmulatedNode*, std::size_t> places;
  std::vector<std::shared_ptr<EmulatedNode>> nodes;  // replaced, never changed: a waiting launch has its own
};
/// A place in a stream, passed when everything before it is done.
struct Mark {
  cudaStream_t stream;
  bool passed = false;
  std::chrono::steady_clock::time_point when = {};
};
struct EmulatedEvent {
  bool timed = false;
  std::shared_ptr<Mark> recorded;
};
struct EmulatedStream {
  struct Work {
    std::function<void()> run;         // on the device
    std::shared_ptr<Mark> wait, pass;  // or one of these
  };
  int device;
  bool first;  // of its device
  std::unique_ptr<EmulatedGraph> capturing = nullptr;
  cudaGraphNode_t last = nullptr;
  std::deque<Work> queue = {};
  bool waiting = false;
};

namespace {

// Work waits in its stream's queue. A device's first stream runs it only when the host waits. The others alternate,
// from one cudaStreamSynchronize to the next, between as late as possible (when waited for) and as early as events
// allow, so that work not ordered by an event comes in the wrong order.
std::deque<EmulatedStream> streams;
bool early = false;

int opened = -1;  // the device whose memory is open
void open_only(int device) {
  if (opened == device) return;
  if (opened >= 0) memory(opened).open(false);
  if (device >= 0) memory(device).open(true);
  opened = device;
}

void hasten(EmulatedStream& stream);

// Runs the first item of the queue.
void advance(EmulatedStream& stream) {
  const EmulatedStream::Work work = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (work.wait) {
    stream.waiting = true;
    while (!work.wait->passed) advance(*work.wait->stream);
    stream.waiting = false;
  } else if (work.pass) {
    work.pass->passed = true;
    work.pass->when = std::chrono::steady_clock::now();
  } else {
    open_only(stream.device);
    work.run();
  }
  if (stream.first)
    for (EmulatedStream& other : streams) hasten(other);
}

// Runs as far as events allow, if it is the stream's turn.
void hasten(EmulatedStream& stream) {
  const auto free = [&] { return !stream.queue.front().wait || stream.queue.front().wait->passed; };
  while (early && !stream.first && !stream.waiting && !stream.queue.empty() && free()) advance(stream);
}

void finish(EmulatedStream& stream) {
  while (!stream.queue.empty()) advance(stream);
  open_only(-1);
}

cudaError_t enqueue(EmulatedStream& stream, EmulatedStream::Work work) {
  const std::lock_guard lock(mutex);
  stream.queue.push_back(std::move(work));
  hasten(stream);
  open_only(-1);
  return cudaSuccess;
}

cudaError_t run_or_capture(cudaStream_t stream, EmulatedNode node) {
  const std::lock_guard lock(mutex);
  auto shared = std::make_shared<EmulatedNode>(std::move(node));
  if (!stream->capturing) return enqueue(*stream, {[shared] { shared->run(); }, nullptr, nullptr});
  stream->capturing->nodes.push_back(shared);
  stream->last = shared.get();
  return cudaSuccess;
}

std::map<const char*, std::size_t> pinned;  // host memory accessed by devices
bool is_pinned(const void* address, std::size_t bytes) {
  const auto* begin = static_cast<const char*>(address);
  auto block = pinned.upper_bound(begin);
  if (block == pinned.begin()) return false;
  --block;
  return begin + bytes <= block->first + block->second;
}

}  // namespace

cudaError_t emulation::on_stream(cudaStream_t stream, std::function<void()> work) {
  EmulatedNode node;
  node.work = std::move(work);
  return run_or_capture(stream, std::move(node));
}

void emulation::after(const std::vector<cudaStream_t>& streams_to_end, const std::function<void()>& work) {
  const std::lock_guard lock(mutex);
  for (cudaStream_t stream : streams_to_end) finish(*stream);
  for (int device = 0; device < devices; ++device) memory(device).open(true);
  work();
  for (int device = 0; device < devices; ++device) memory(device).open(false);
}

int emulation::current_device() { return current; }

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorInvalidValue:
      return "invalid argument";
    default:
      return "error";
  }
}
const char* cudaGetErrorName(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaError";
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* count) {
  const bool none = std::getenv("HANDGRAD_EMULATION_NO_DEVICE") != nullptr;
  *count = none ? 0 : devices;
  return result(none ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= devices) return result(cudaErrorInvalidValue);
  current = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::snprintf(properties->name, sizeof properties->name, "emulation on the CPU, no GPU");
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 2;  // few processors: forces loops beyond one pass of blocks
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  *address = memory(current).allocate(bytes);
  return result(*address ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* address) {
  const std::lock_guard lock(mutex);
  for (EmulatedStream& stream : streams) finish(stream);
  for (int device = 0; device < devices; ++device)
    if (memory(device).release(address)) return cudaSuccess;
  return result(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(mutex);
  *free = memory(current).free_bytes();
  *total = memory_bytes;
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** address, std::size_t bytes, unsigned) {
  const std::lock_guard lock(mutex);
  *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (*address == MAP_FAILED) return result(cudaErrorMemoryAllocation);
  std::memset(*address, fresh, bytes);
  pinned[static_cast<const char*>(*address)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* address) {
  const std::lock_guard lock(mutex);
  const auto block = pinned.find(static_cast<const char*>(address));
  if (block == pinned.end()) return result(cudaErrorInvalidValue);
  munmap(address, block->second);  // a pending transfer from there is a segmentation fault
  pinned.erase(block);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(mutex);
  bool first = true;
  for (const EmulatedStream& other : streams) first = first && other.device != current;
  *stream = &streams.emplace_back(EmulatedStream{current, first});
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (stream->capturing) return result(cudaErrorStreamCaptureUnsupported);
  finish(*stream);
  memory(stream->device).check_all();
  early = !early;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream->capturing) return result(cudaErrorStreamCaptureUnsupported);
  return event->recorded ? enqueue(*stream, {{}, event->recorded, nullptr}) : cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new EmulatedEvent{!(flags & cudaEventDisableTiming), nullptr};
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->capturing) return result(cudaErrorStreamCaptureUnsupported);
  event->recorded = std::make_shared<Mark>(Mark{stream});
  return enqueue(*stream, {{}, nullptr, event->recorded});
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(mutex);
  while (event->recorded && !event->recorded->passed) advance(*event->recorded->stream);
  open_only(-1);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::lock_guard lock(mutex);
  if (!begin->timed || !end->timed || !begin->recorded || !end->recorded) fail("the time between events without one");
  if (!begin->recorded->passed || !end->recorded->passed) fail("the time between events that have not passed");
  *milliseconds = std::chrono::duration<float, std::milli>(end->recorded->when - begin->recorded->when).count();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (kind != cudaMemcpyDeviceToDevice && !is_pinned(kind == cudaMemcpyHostToDevice ? from : to, bytes))
    fail("a transfer from or to memory that is not pinned: the host would wait for it");
  return on_stream(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t stream) {
  return on_stream(stream, [=] { std::memset(address, value, bytes); });
}
cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, std::size_t,
                             cudaStream_t stream) {
  if (grid.x == 0 || grid.y == 0 || block.x == 0) return result(cudaErrorInvalidValue);
  EmulatedNode node;
  node.kernel = kernel;
  node.grid = grid;
  node.block = block;
  node.set_arguments(arguments);
  return run_or_capture(stream, std::move(node));
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->capturing = std::make_unique<EmulatedGraph>();
  stream->last = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = stream->capturing.release();
  return cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status, unsigned long long*,
                                     cudaGraph_t*, const cudaGraphNode_t** nodes, const cudaGraphEdgeData**,
                                     std::size_t* count) {
  *status = stream->capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  *nodes = &stream->last;
  *count = stream->last ? 1 : 0;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new EmulatedGraphExec{{}, graph->nodes};
  for (std::size_t i = 0; i < graph->nodes.size(); ++i) (*executable)->places[graph->nodes[i].get()] = i;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return on_stream(stream, [nodes = executable->nodes] {
    for (const auto& node : nodes) node->run();
  });
}
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t executable, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters) {
  const auto place = executable->places.find(node);
  if (place == executable->places.end() || executable->nodes[place->second]->kernel != parameters->func)
    return result(cudaErrorInvalidValue);
  auto changed = std::make_shared<EmulatedNode>(*executable->nodes[place->second]);
  changed->grid = parameters->gridDim;
  changed->block = parameters->blockDim;
  changed->set_arguments(parameters->kernelParams);
  executable->nodes[place->second] = std::move(changed);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
