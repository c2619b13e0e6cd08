#include "kernels/cuda/recorder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <utility>

#include "kernels/cuda/runtime.hpp"

namespace handgrad::kernels::cuda {

void Recorder::Recording::clear() {
  if (executable) cudaGraphExecDestroy(executable);
  if (graph) cudaGraphDestroy(graph);
  executable = nullptr;
  graph = nullptr;
  entries.clear();
}

namespace {

constexpr std::size_t most_arguments = 32;

// The addresses of the arguments in an entry's bytes, as cudaLaunchKernel wants them.
std::array<void*, most_arguments> addresses(Recorder::Recording::Entry& entry) {
  std::array<void*, most_arguments> at{};
  std::size_t offset = 0;
  for (std::size_t i = 0; i < entry.sizes.size(); ++i) {
    at[i] = entry.bytes.data() + offset;
    offset += (entry.sizes[i] + 15) / 16 * 16;
  }
  return at;
}

void store_arguments(Recorder::Recording::Entry& entry, const Launch& launch) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < launch.count; ++i) total += (launch.sizes[i] + 15) / 16 * 16;
  entry.bytes.assign(total, std::byte{});
  entry.sizes.assign(launch.sizes, launch.sizes + launch.count);
  const auto at = addresses(entry);
  for (std::size_t i = 0; i < launch.count; ++i) std::memcpy(at[i], launch.arguments[i], launch.sizes[i]);
}

// The node of the last captured launch: the one that the stream's next work would depend on.
cudaGraphNode_t last_node(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaGraphNode_t* nodes = nullptr;
  std::size_t count = 0;
#if CUDART_VERSION >= 13000
  HANDGRAD_CUDA(cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &nodes, nullptr, &count));
#else
  HANDGRAD_CUDA(cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, nullptr, &nodes, &count));
#endif
  return status == cudaStreamCaptureStatusActive && count == 1 ? nodes[0] : nullptr;
}

}  // namespace

void Recorder::begin_recording(Recording& recording) {
  recording.clear();
  recording_ = &recording;
  why_.clear();
  // Relaxed: other threads, and the allocator, may use the runtime in the meantime.
  HANDGRAD_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
  mode_ = Mode::Record;
}

void Recorder::begin_replay(Recording& expected, Recording& other) {
  recording_ = &expected;
  other_ = other.executable ? &other : nullptr;
  why_.clear();
  next_ = 0;
  mode_ = Mode::Replay;
}

void Recorder::launch(const Launch& launch) {
  using Entry = Recording::Entry;
  if (mode_ == Mode::Replay) {
    bool arguments_differ = false;
    if (goes_on([&](const Entry& entry) { return same(entry, launch, arguments_differ = false); })) {
      Entry& entry = recording_->entries[next_++];
      if (!arguments_differ) return;
      store_arguments(entry, launch);
      return update(*recording_, entry);
    }
    stop("the step launched another kernel than when it was recorded");
  }
  const cudaError_t status = cudaLaunchKernel(launch.kernel, launch.grid, launch.block, launch.arguments, 0, stream_);
  if (mode_ != Mode::Record) return check(status, "cudaLaunchKernel");
  if (status != cudaSuccess) {
    stop(std::string("a kernel could not be recorded: ") + cudaGetErrorString(status));
    return this->launch(launch);
  }
  Entry entry;
  entry.kernel = launch.kernel;
  entry.grid = launch.grid;
  entry.block = launch.block;
  store_arguments(entry, launch);
  entry.node = last_node(stream_);
  recording_->entries.push_back(std::move(entry));
}

void Recorder::update(Recording& recording, Recording::Entry& entry) {
  auto at = addresses(entry);
  cudaKernelNodeParams parameters{};
  parameters.func = const_cast<void*>(entry.kernel);
  parameters.gridDim = entry.grid;
  parameters.blockDim = entry.block;
  parameters.kernelParams = at.data();
  HANDGRAD_CUDA(cudaGraphExecKernelNodeSetParams(recording.executable, entry.node, &parameters));
}

// Whether the current work is next in this recording, or in the other, if that agrees with all work before; switches to
// the other then.
template <class F>
bool Recorder::goes_on(F&& same_work) {
  using Entry = Recording::Entry;
  if (next_ < recording_->entries.size() && same_work(recording_->entries[next_])) return true;
  if (!other_ || next_ >= other_->entries.size() || !same_work(other_->entries[next_])) return false;
  const auto equal = [](const Entry& a, const Entry& b) {
    const auto same_size = [](dim3 u, dim3 v) { return u.x == v.x && u.y == v.y && u.z == v.z; };
    return a.kernel == b.kernel && (a.kernel || a.bytes == b.bytes) && same_size(a.grid, b.grid) &&
           same_size(a.block, b.block);
  };
  auto& before = recording_->entries;
  const auto end = before.begin() + static_cast<std::ptrdiff_t>(next_);
  if (!std::equal(before.begin(), end, other_->entries.begin(), equal)) return false;
  for (std::size_t i = 0; i < next_; ++i) {
    Entry& entry = other_->entries[i];
    if (entry.bytes == before[i].bytes) continue;
    entry.bytes = before[i].bytes;
    update(*other_, entry);
  }
  std::swap(recording_, other_);
  return true;
}

bool Recorder::same(const Recording::Entry& entry, const Launch& launch, bool& arguments_differ) const {
  const auto equal = [](dim3 a, dim3 b) { return a.x == b.x && a.y == b.y && a.z == b.z; };
  if (entry.kernel != launch.kernel || !entry.node || !equal(entry.grid, launch.grid) ||
      !equal(entry.block, launch.block))
    return false;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < launch.count; ++i) {
    if (std::memcmp(entry.bytes.data() + offset, launch.arguments[i], launch.sizes[i]) != 0) arguments_differ = true;
    offset += (launch.sizes[i] + 15) / 16 * 16;
  }
  return true;
}

void Recorder::issue(const void* key, std::size_t key_bytes, std::function<void()> issue) {
  if (mode_ == Mode::Replay) {
    if (goes_on([&](const Recording::Entry& entry) {
          return !entry.kernel && entry.bytes.size() == key_bytes &&
                 std::memcmp(entry.bytes.data(), key, key_bytes) == 0;
        })) {
      ++next_;
      return;
    }
    stop("a product or a copy had other operands than when the step was recorded");
  }
  if (mode_ == Mode::Direct) return issue();
  try {
    issue();
  } catch (const std::exception& error) {
    stop(std::string("what cannot be recorded: ") + error.what());
    return issue();
  }
  Recording::Entry entry;
  entry.bytes.resize(key_bytes);
  std::memcpy(entry.bytes.data(), key, key_bytes);
  entry.issue = std::move(issue);
  recording_->entries.push_back(std::move(entry));
}

void Recorder::leave(const char* why) {
  if (mode_ != Mode::Direct) stop(why);
}

// Returns to direct launches, beginning with those that were only recorded or compared so far.
void Recorder::stop(std::string why) {
  const std::size_t count = mode_ == Mode::Record ? recording_->entries.size() : next_;
  if (mode_ == Mode::Record) {
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(stream_, &graph);  // the result does not matter: the graph is discarded
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
  }
  mode_ = Mode::Direct;
  why_ = std::move(why);
  issue_recorded(count);
  recording_->clear();
}

void Recorder::issue_recorded(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Recording::Entry& entry = recording_->entries[i];
    if (entry.kernel) {
      auto at = addresses(entry);
      HANDGRAD_CUDA(cudaLaunchKernel(entry.kernel, entry.grid, entry.block, at.data(), 0, stream_));
    } else {
      entry.issue();
    }
  }
}

std::string Recorder::end() {
  if (mode_ == Mode::Replay && next_ != recording_->entries.size())
    stop("the step launched fewer kernels than when it was recorded");
  if (mode_ == Mode::Record) {
    cudaError_t status = cudaStreamEndCapture(stream_, &recording_->graph);
    if (status == cudaSuccess) status = cudaGraphInstantiate(&recording_->executable, recording_->graph, 0);
    mode_ = Mode::Direct;
    if (status != cudaSuccess) {
      cudaGetLastError();
      why_ = std::string("the graph could not be made: ") + cudaGetErrorString(status);
      issue_recorded(recording_->entries.size());
      recording_->clear();
    }
  }
  mode_ = Mode::Direct;
  if (recording_->executable) HANDGRAD_CUDA(cudaGraphLaunch(recording_->executable, stream_));
  recording_ = nullptr;
  return std::exchange(why_, "");
}

void Recorder::abandon(const char* why) {
  if (mode_ != Mode::Direct) stop(why);
  recording_ = nullptr;
}

}  // namespace handgrad::kernels::cuda
