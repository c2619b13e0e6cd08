#pragma once
// How a training step becomes a CUDA graph and stays correct.
//
// A graph replays what it recorded: the same kernels with the same arguments. But a step is not the same each time:
// Adam counts its steps, dropout draws a new mask, a scheduler lowers the rate, a buffer moves. So the step's host code
// runs every time. During a replay, its launches are not carried out but compared with the recorded ones (about 0.1 µs
// each, instead of the 2 µs of a launch). An argument that differs is written into the graph. Any other difference ends
// the replay: the work compared so far is carried out, then the rest, and the graph is recorded again in the next step.
// So a step gives the same numbers with and without a graph.
//
// Each step has two graphs, since a network's output alternates between two buffers while a loss holds the last one.
// Which of them is in use shows only when the output is written, so the comparison may switch between the graphs.
#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace handgrad::kernels::cuda {

/// One kernel launch, with arguments as cudaLaunchKernel takes them and their sizes.
struct Launch {
  const void* kernel;
  dim3 grid, block;
  void** arguments;
  const std::size_t* sizes;
  std::size_t count;
};

class Recorder {
 public:
  explicit Recorder(cudaStream_t stream) : stream_(stream) {}

  /// A graph and what it was recorded from.
  struct Recording {
    struct Entry {
      const void* kernel = nullptr;  // null for work that is not a kernel of ours (a product, a copy)
      dim3 grid{}, block{};
      std::vector<std::byte> bytes;  // the arguments, one after the other
      std::vector<std::size_t> sizes;
      cudaGraphNode_t node = nullptr;
      std::function<void()> issue;  // for work that is not a kernel
    };
    std::vector<Entry> entries;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    void clear();
    Recording() = default;
    Recording(const Recording&) = delete;
    ~Recording() { clear(); }
  };

  /// All work on the stream goes through these: kernels, and other work, which `issue` puts on the stream and `key`
  /// (addresses and numbers) identifies.
  void launch(const Launch& launch);
  void issue(const void* key, std::size_t key_bytes, std::function<void()> issue);
  /// Call before anything that cannot be part of a graph: waiting for the device, a transfer from or to the host.
  void leave(const char* why);

  /// The work up to `end` is recorded into the graph, or compared with it.
  void begin_recording(Recording& recording);
  void begin_replay(Recording& expected, Recording& other);
  /// The recording that the current step is recorded into or matches.
  const Recording* recording() const { return recording_; }
  /// Runs the graph. Returns the reason if there is none, otherwise an empty string.
  std::string end();
  /// Instead of `end` after an exception in the middle of a step: carries out the work so far without a graph.
  void abandon(const char* why);

 private:
  enum class Mode { Direct, Record, Replay };
  void stop(std::string why);
  void issue_recorded(std::size_t count);
  void update(Recording& recording, Recording::Entry& entry);
  template <class F>
  bool goes_on(F&& same_work);
  bool same(const Recording::Entry& entry, const Launch& launch, bool& arguments_differ) const;

  cudaStream_t stream_;
  Mode mode_ = Mode::Direct;
  Recording *recording_ = nullptr, *other_ = nullptr;
  std::size_t next_ = 0;  // the next entry to compare with
  std::string why_;       // the reason for leaving the graph
};

}  // namespace handgrad::kernels::cuda
