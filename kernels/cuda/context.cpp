#include "kernels/cuda/context.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>

namespace handgrad::kernels::cuda {

Raise raise{};

void fail(const std::string& message) {
  raise.device_error(message);
  std::abort();  // it throws
}

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that a recoverable error is not reported again
  // just the function's name from "cudaStreamSynchronize(stream_)"
  const std::string name(call, std::strcspn(call, "("));
  fail(name + ": " + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ")");
}

// As Device::str, which belongs to the library and is not available here.
static std::string name_of(int index) { return "cuda:" + std::to_string(index); }

Context& Context::of(int index) {
  static std::mutex mutex;
  static auto* contexts = new std::deque<std::unique_ptr<Context>>;  // never destroyed: tensors may outlive it
  const std::lock_guard lock(mutex);
  const auto i = static_cast<std::size_t>(index);
  if (contexts->size() <= i) contexts->resize(i + 1);
  if (!(*contexts)[i]) (*contexts)[i] = std::make_unique<Context>(index);
  return *(*contexts)[i];
}

static cudaStream_t new_stream(int index) {
  cudaStream_t stream = nullptr;
  HANDGRAD_CUDA(cudaSetDevice(index));
  HANDGRAD_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return stream;
}

Context::Context(int index)
    : index_(index),
      stream_(new_stream(index)),
      recorder_(stream_),
      allocator_(name_of(index), [this] { recorder_.leave("the device's memory ran out within the step"); }),
      products_(std::make_unique<Products>(*this)) {
  int processors = 1;
  HANDGRAD_CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, index));
  most_blocks_ = static_cast<unsigned>(processors) * 8;
}

std::unique_lock<std::recursive_mutex> Context::use() {
  std::unique_lock lock(mutex_);
  thread_local int current = -1;
  if (current != index_) {
    HANDGRAD_CUDA(cudaSetDevice(index_));
    current = index_;
  }
  return lock;
}

cudaStream_t Context::copies() {
  if (!copies_) copies_ = new_stream(index_);
  return copies_;
}

void* Context::scratch_bytes(std::size_t bytes) {
  if (bytes > scratch_size_) {
    if (scratch_) allocator_.deallocate(scratch_, scratch_size_);
    scratch_ = nullptr;
    scratch_size_ = 0;
    const std::size_t size = Allocator::block_size(bytes + bytes / 2);  // grows in few steps
    scratch_ = allocator_.allocate(size);
    scratch_size_ = size;
  }
  return scratch_;
}

void* Context::allocate(std::size_t bytes) {
  const auto guard = use();
  return allocator_.allocate(bytes);
}

void Context::deallocate(void* address, std::size_t bytes) noexcept { allocator_.deallocate(address, bytes); }

// The next part of the ring, after its last transfer has passed.
void* Context::staging() {
  Part& part = ring_[next_part_];
  if (!part.address) {
    HANDGRAD_CUDA(cudaHostAlloc(&part.address, part_bytes, cudaHostAllocDefault));
    HANDGRAD_CUDA(cudaEventCreateWithFlags(&part.passed, cudaEventDisableTiming));
  } else {
    HANDGRAD_CUDA(cudaEventSynchronize(part.passed));
  }
  return part.address;
}

void Context::upload(void* device, const void* host, std::size_t bytes) {
  const auto guard = use();
  recorder_.leave("a tensor was brought to the device within the step");
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t now = std::min(part_bytes, bytes - done);
    void* pinned = staging();
    std::memcpy(pinned, static_cast<const char*>(host) + done, now);
    HANDGRAD_CUDA(cudaMemcpyAsync(static_cast<char*>(device) + done, pinned, now, cudaMemcpyHostToDevice, stream_));
    HANDGRAD_CUDA(cudaEventRecord(ring_[next_part_].passed, stream_));
    next_part_ = (next_part_ + 1) % parts;
    done += now;
  }
}

void Context::download(void* host, const void* device, std::size_t bytes) {
  const auto guard = use();
  recorder_.leave("a tensor was brought to the host within the step");
  std::array<unsigned long long, most_class_errors> words;
  const std::size_t used = std::min(classes_.size(), most_class_errors);
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t now = std::min(part_bytes - sizeof words, bytes - done);
    auto* pinned = static_cast<char*>(staging());
    HANDGRAD_CUDA(
        cudaMemcpyAsync(pinned, static_cast<const char*>(device) + done, now, cudaMemcpyDeviceToHost, stream_));
    const bool last = done + now == bytes;
    if (last && used > 0)
      HANDGRAD_CUDA(cudaMemcpyAsync(pinned + part_bytes - sizeof words, class_errors_, used * sizeof words[0],
                                    cudaMemcpyDeviceToHost, stream_));
    HANDGRAD_CUDA(cudaStreamSynchronize(stream_));
    std::memcpy(static_cast<char*>(host) + done, pinned, now);
    std::memcpy(words.data(), pinned + part_bytes - sizeof words, sizeof words);
    HANDGRAD_CUDA(cudaEventRecord(ring_[next_part_].passed, stream_));
    next_part_ = (next_part_ + 1) % parts;
    done += now;
  }
  if (bytes > 0 && used > 0) raise_class_error(words.data());
}

void Context::copy(void* to, const void* from, std::size_t bytes) {
  const auto guard = use();
  struct Key {
    void* to;
    const void* from;
    std::size_t bytes;
  } const key{to, from, bytes};
  recorder_.issue(&key, sizeof key, [this, key] {
    HANDGRAD_CUDA(cudaMemcpyAsync(key.to, key.from, key.bytes, cudaMemcpyDeviceToDevice, stream_));
  });
}

void Context::synchronize() {
  const auto guard = use();
  recorder_.leave("the step waited for the device");
  HANDGRAD_CUDA(cudaStreamSynchronize(stream_));
}

double Context::seconds_of(const std::function<void()>& work) {
  struct Event {
    cudaEvent_t event = nullptr;
    Event() { HANDGRAD_CUDA(cudaEventCreateWithFlags(&event, cudaEventDefault)); }
    ~Event() { cudaEventDestroy(event); }
  };
  use();
  Event begin, end;
  const auto mark = [&](const Event& event) {
    const auto guard = use();
    recorder_.leave("the step was timed");
    HANDGRAD_CUDA(cudaEventRecord(event.event, stream_));
  };
  mark(begin);
  work();
  mark(end);
  HANDGRAD_CUDA(cudaEventSynchronize(end.event));
  float milliseconds = 0;
  HANDGRAD_CUDA(cudaEventElapsedTime(&milliseconds, begin.event, end.event));
  return static_cast<double>(milliseconds) / 1000;
}

unsigned long long* Context::class_error(std::size_t classes) {
  if (!class_errors_) {
    const std::size_t bytes = most_class_errors * sizeof(unsigned long long);
    recorder_.leave("memory for the errors of kernels was needed");
    class_errors_ = static_cast<unsigned long long*>(allocator_.allocate(bytes));
    HANDGRAD_CUDA(cudaMemsetAsync(class_errors_, 0xff, bytes, stream_));
  }
  auto place = std::find(classes_.begin(), classes_.end(), classes);
  if (place == classes_.end()) {
    if (classes_.size() == most_class_errors)
      classes_.back() = classes;  // the last word serves all further ones
    else
      classes_.push_back(classes);
    place = std::find(classes_.begin(), classes_.end(), classes);
  }
  return class_errors_ + (place - classes_.begin());
}

void Context::raise_class_error(const unsigned long long* words) {
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (words[i] == no_error) continue;
    HANDGRAD_CUDA(cudaMemsetAsync(class_errors_, 0xff, most_class_errors * sizeof(unsigned long long), stream_));
    const auto row = words[i] >> 32;
    const auto bits = static_cast<std::uint32_t>(words[i]);
    float target = 0;
    std::memcpy(&target, &bits, sizeof target);
    raise.bad_class({static_cast<std::size_t>(row), static_cast<double>(target), classes_[i]}, name_of(index_));
  }
}

}  // namespace handgrad::kernels::cuda
