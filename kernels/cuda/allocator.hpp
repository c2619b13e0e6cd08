#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace handgrad::kernels::cuda {

/// Device memory that is kept for reuse. All work of a device is on one stream (transfers beside it are tied to it by
/// events, staging.hpp), so a freed block may be handed out again at once: its next user queues behind the last.
/// cudaMalloc and cudaFree, which wait for the device, are called only until a program has found its sizes.
class Allocator {
 public:
  /// `before_trim` is called before memory goes back to the device: all work that uses it must have been given to the
  /// device by then.
  Allocator(std::string device, std::function<void()> before_trim)
      : device_(std::move(device)), before_trim_(std::move(before_trim)) {}
  /// Fails, naming the requested and the free bytes, if the device has too little even after all kept blocks were given
  /// back. The program can go on after that.
  void* allocate(std::size_t bytes);
  void deallocate(void* address, std::size_t bytes) noexcept;
  /// Gives all kept blocks back to the device.
  void trim();

  /// Blocks come in few sizes, so that they can be reused: multiples of 512 bytes up to 1 MiB, of 2 MiB above.
  static std::size_t block_size(std::size_t bytes);

 private:
  void* find_or_make(std::size_t size);  // null: out of memory
  std::string device_;
  std::function<void()> before_trim_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> kept_;  // by size
};

}  // namespace handgrad::kernels::cuda
