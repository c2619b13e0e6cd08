#pragma once
// How a training step becomes a CUDA graph, and stays right.
//
// A graph replays what it recorded: the same kernels with the same arguments. But a step is not the same each time:
// Adam counts its steps, dropout draws a new mask, a scheduler lowers the rate, a buffer moves. So the step's host code
// runs every time. While a graph is replayed, its launches are not carried out but compared with those recorded (about
// 0.1 µs each, instead of the 2 µs of a launch). An argument that differs is written into the graph. A launch that
// differs in more ends the replay: what was compared so far is carried out for real, then the rest, and the graph is
// made anew in the next step. So a step gives the same numbers with and without a graph, whatever it does.
//
// There are two graphs of a step, for a network's output takes turns between two buffers while a loss holds the last
// one. Which of them it is shows only when the output is written, so the comparison may go over from the one to the
// other.
#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace handgrad::kernels::cuda {

/// One kernel launch: arguments as cudaLaunchKernel takes them, and their sizes.
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
      std::function<void()> issue;  // of work that is not a kernel
    };
    std::vector<Entry> entries;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    void clear();
    Recording() = default;
    Recording(const Recording&) = delete;
    ~Recording() { clear(); }
  };

  /// All work on the stream comes through these: kernels, and other work that `issue` puts on the stream and `key`
  /// (addresses and numbers) identifies.
  void launch(const Launch& launch);
  void issue(const void* key, std::size_t key_bytes, std::function<void()> issue);
  /// Before whatever cannot be part of a graph: waiting for the device, a transfer from or to the host.
  void leave(const char* why);

  /// The work up to `end` is recorded into the graph, or compared with it.
  void begin_recording(Recording& recording);
  void begin_replay(Recording& expected, Recording& other);
  /// The one that the step at hand is recorded into, or was found to be.
  const Recording* recording() const { return recording_; }
  /// Runs the graph. Returns why there is none, or nothing.
  std::string end();
  /// As `end`, but what came is carried out without a graph: after an exception in the middle of a step.
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
  std::size_t next_ = 0;  // of the entries to compare with
  std::string why_;       // the graph was left
};

}  // namespace handgrad::kernels::cuda
