#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/device.hpp"

namespace handgrad::kernels {

namespace {

/// Host memory in whole cache lines, so that no SIMD batch straddles two.
class HostMemory final : public Memory {
 public:
  void* allocate(std::size_t bytes) override { return ::operator new(std::max<std::size_t>(bytes, 1), line); }
  void deallocate(void* address, std::size_t) noexcept override { ::operator delete(address, line); }
  // memmove: x.rows(1, 3).copy_from(x.rows(0, 2)) overlaps
  void upload(void* device, const void* host, std::size_t bytes) override { std::memmove(device, host, bytes); }
  void download(void* host, const void* device, std::size_t bytes) override { std::memmove(host, device, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memmove(to, from, bytes); }

 private:
  static constexpr std::align_val_t line{64};
};

}  // namespace

Memory& cpu_memory() {
  static auto* memory = new HostMemory;  // never destroyed: tensors may outlive every static object
  return *memory;
}

}  // namespace handgrad::kernels
