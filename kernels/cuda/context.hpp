#pragma once
// What the kernels of one device share: stream, memory, products, and the error that a kernel found.
#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/cuda/allocator.hpp"
#include "kernels/cuda/product.hpp"
#include "kernels/cuda/recorder.hpp"
#include "kernels/cuda/runtime.hpp"
#include "kernels/device.hpp"

namespace handgrad::kernels::cuda {

class Context final : public Memory {
 public:
  /// Device `index`, which must exist. Lives as long as the program.
  static Context& of(int index);
  explicit Context(int index);

  /// Makes the device current in this thread, and keeps other threads off it while the guard lives: the stream's work
  /// for one operation stays together.
  std::unique_lock<std::recursive_mutex> use();

  int index() const { return index_; }
  cudaStream_t stream() const { return stream_; }
  /// A second stream for concurrent transfers, made on first use.
  cudaStream_t copies();
  Recorder& recorder() { return recorder_; }
  Products& products() { return *products_; }
  Allocator& allocator() { return allocator_; }
  /// Enough blocks to keep the device busy; kernels loop over the rest.
  unsigned most_blocks() const { return most_blocks_; }

  /// Memory for n values, valid until the next call: for passing data between the kernels of one operation.
  template <class V>
  V* scratch(std::size_t n) {
    return static_cast<V*>(scratch_bytes(n * sizeof(V)));
  }

  template <class... P, class... A>
  void launch(void (*kernel)(P...), dim3 grid, dim3 block, const A&... arguments) {
    std::tuple<std::remove_const_t<P>...> values(static_cast<P>(arguments)...);
    std::apply(
        [&](auto&... value) {
          void* addresses[] = {const_cast<void*>(static_cast<const void*>(&value))...};
          const std::size_t sizes[] = {sizeof(value)...};
          const void* function = reinterpret_cast<const void*>(kernel);
#ifdef HANDGRAD_CUDA_EMULATED
          emulation_register(kernel);
#endif
          recorder_.launch({function, grid, block, addresses, sizes, sizeof...(P)});
        },
        values);
  }

  // Memory
  void* allocate(std::size_t bytes) override;
  void deallocate(void* address, std::size_t bytes) noexcept override;
  void upload(void* device, const void* host, std::size_t bytes) override;
  /// Waits for the device, and raises an error that an earlier kernel found.
  void download(void* host, const void* device, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void synchronize();
  /// Seconds that the device takes for the work that `work` puts on its stream.
  double seconds_of(const std::function<void()>& work);

  /// A kernel cannot throw: on a class that does not exist it writes (row, class) here, and the next download raises
  /// the error. One word for each number of classes in use; the lowest row wins.
  unsigned long long* class_error(std::size_t classes);
  static constexpr unsigned long long no_error = ~0ull;

 private:
  void* scratch_bytes(std::size_t bytes);
  void* staging();
  void raise_class_error(const unsigned long long* words);

  int index_;
  std::recursive_mutex mutex_;
  cudaStream_t stream_ = nullptr, copies_ = nullptr;
  unsigned most_blocks_ = 1;
  Recorder recorder_;
  Allocator allocator_;
  std::unique_ptr<Products> products_;

  void* scratch_ = nullptr;
  std::size_t scratch_size_ = 0;

  // Pinned memory for transfers that run while the host continues: a ring of parts, each free again after its event.
  static constexpr std::size_t parts = 4, part_bytes = std::size_t{1} << 20;
  struct Part {
    void* address = nullptr;
    cudaEvent_t passed = nullptr;
  };
  std::array<Part, parts> ring_{};
  std::size_t next_part_ = 0;

  static constexpr std::size_t most_class_errors = 64;
  unsigned long long* class_errors_ = nullptr;
  std::vector<std::size_t> classes_;  // each word's number of classes
};

/// Blocks of `threads` for n items: at least one, at most `most`.
inline unsigned blocks_for(std::size_t n, unsigned threads, unsigned most) {
  const std::size_t blocks = (n + threads - 1) / threads;
  return blocks == 0 ? 1 : blocks > most ? most : static_cast<unsigned>(blocks);
}

}  // namespace handgrad::kernels::cuda
