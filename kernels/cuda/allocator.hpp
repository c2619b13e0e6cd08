#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace handgrad::kernels::cuda {

/// Device memory that is kept when it is given back. All work of a device is on one stream (what is copied beside it is
/// tied to it by events, staging.hpp), so a block may be handed out again at once: whoever gets it next queues behind
/// whoever had it. cudaMalloc and cudaFree, which wait for the
/// device, are called only while a program finds its sizes.
class Allocator {
 public:
  /// `before_trim` is called before memory goes back to the device: what uses it must have been given to the device.
  Allocator(std::string device, std::function<void()> before_trim)
      : device_(std::move(device)), before_trim_(std::move(before_trim)) {}
  /// Fails, saying how much was wanted and how much there is, when the device has too little, also after
  /// all kept blocks were given back to it. The program can go on then.
  void* allocate(std::size_t bytes);
  void deallocate(void* address, std::size_t bytes) noexcept;
  /// Gives all kept blocks back to the device.
  void trim();

  /// Blocks come in few sizes, so that they fit again: multiples of 512 bytes below 1 MiB, of 2 MiB above.
  static std::size_t block_size(std::size_t bytes);

 private:
  void* find_or_make(std::size_t size);  // null: out of memory
  std::string device_;
  std::function<void()> before_trim_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> kept_;  // by size
};

}  // namespace handgrad::kernels::cuda
