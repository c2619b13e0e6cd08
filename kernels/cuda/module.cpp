#include "kernels/cuda/module.hpp"

#include <array>
#include <deque>
#include <mutex>

#include "kernels/cuda/context.hpp"
#include "kernels/cuda/nccl.hpp"
#include "kernels/cuda/staging.hpp"

namespace handgrad::kernels::cuda {

namespace {

/// Runs a step directly first, which allocates all that it needs; then records it; then replays it. Two recordings
/// alternate, each going through these stages (recorder.hpp).
class CudaStepGraph final : public StepGraph {
 public:
  explicit CudaStepGraph(Context& context) : context_(context) {}

  void begin() override {
    lock_ = context_.use();
    in_step_ = true;
    captured_ = false;
    Recorder::Recording &recording = recordings_[turn_], &other = recordings_[1 - turn_];
    if (recording.executable)
      context_.recorder().begin_replay(recording, other);
    else if (runs_ >= recordings_.size() && losses_in_a_row_ < patience)
      context_.recorder().begin_recording(recording);
    else
      direct_ = true;
    ++runs_;
  }

  void end() override {
    if (!direct_) {
      turn_ = context_.recorder().recording() == &recordings_[1];
      reason_ = context_.recorder().end();
      captured_ = reason_.empty();
      losses_in_a_row_ = captured_ ? 0 : losses_in_a_row_ + 1;
    }
    turn_ = 1 - turn_;
    leave();
  }

  void abandon() noexcept override {
    if (!in_step_) return;
    try {
      if (!direct_) context_.recorder().abandon("an exception ended the step");
    } catch (...) {  // there is an exception already
    }
    leave();
  }

  bool captured() const override { return captured_; }
  std::string reason() const override { return reason_; }

 private:
  // A step whose recording failed this many times in a row is not recorded again.
  static constexpr int patience = 4;
  void leave() {
    direct_ = in_step_ = false;
    lock_.unlock();
  }

  Context& context_;
  std::array<Recorder::Recording, 2> recordings_;
  std::unique_lock<std::recursive_mutex> lock_;
  std::string reason_ = "not recorded yet";
  std::size_t runs_ = 0, turn_ = 0;
  int losses_in_a_row_ = 0;
  bool direct_ = false, in_step_ = false, captured_ = false;
};

class CudaModule final : public Module {
 public:
  CudaModule() {
    const cudaError_t status = cudaGetDeviceCount(&count_);
    if (status == cudaSuccess && count_ > 0) return;
    count_ = 0;
    reason_ = status == cudaSuccess ? "there is no CUDA device"
                                    : std::string("cudaGetDeviceCount: ") + cudaGetErrorString(status) + " (" +
                                          cudaGetErrorName(status) + ")";
    cudaGetLastError();
  }

  int device_count() override { return count_; }
  std::string unavailable_reason() override { return reason_; }

  std::string device_name(int index) override {
    cudaDeviceProp properties{};
    HANDGRAD_CUDA(cudaGetDeviceProperties(&properties, index));
    return properties.name;
  }
  MemorySize device_memory(int index) override {
    const auto guard = Context::of(index).use();
    MemorySize memory;
    HANDGRAD_CUDA(cudaMemGetInfo(&memory.free, &memory.total));
    return memory;
  }
  void synchronize(int index) override { Context::of(index).synchronize(); }
  double seconds_of(int index, const std::function<void()>& work) override {
    return Context::of(index).seconds_of(work);
  }
  void set_precision(int index, Precision precision) override { Context::of(index).products().precision = precision; }
  Precision precision(int index) override { return Context::of(index).products().precision; }

  Memory& memory(int index) override { return Context::of(index); }
  const Backend<float>& backend(int index, float) override { return of(float_, index); }
  const Backend<double>& backend(int index, double) override { return of(double_, index); }
  std::unique_ptr<StepGraph> step_graph(int index) override {
    return std::make_unique<CudaStepGraph>(Context::of(index));
  }
  std::unique_ptr<Staging> staging(int index, std::size_t bytes) override {
    return std::make_unique<CudaStaging>(Context::of(index), bytes);
  }
  std::string new_sums_id() override { return new_nccl_id(); }
  std::unique_ptr<RankSums> sums(int index, const std::string& id, int rank, int ranks) override {
    return make_nccl_sums(Context::of(index), id, rank, ranks);
  }

 private:
  template <class T>
  const Backend<T>& of(std::deque<std::unique_ptr<BackendOn<Context, T>>>& backends, int index) {
    const std::lock_guard lock(mutex_);
    while (backends.size() < static_cast<std::size_t>(count_)) backends.emplace_back();
    auto& backend = backends[static_cast<std::size_t>(index)];
    if (!backend) backend = std::make_unique<BackendOn<Context, T>>(Context::of(index));
    return backend->operations();
  }

  int count_ = 0;
  std::string reason_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<BackendOn<Context, float>>> float_;
  std::deque<std::unique_ptr<BackendOn<Context, double>>> double_;
};

}  // namespace
}  // namespace handgrad::kernels::cuda

extern "C" {

__attribute__((visibility("default"))) const char* handgrad_cuda_abi() { return HANDGRAD_CUDA_ABI; }

__attribute__((visibility("default"))) handgrad::kernels::cuda::Module* handgrad_cuda_module(
    const handgrad::kernels::Raise& raise) {
  handgrad::kernels::cuda::raise = raise;
  static auto* module = new handgrad::kernels::cuda::CudaModule;  // never destroyed
  return module;
}
}
