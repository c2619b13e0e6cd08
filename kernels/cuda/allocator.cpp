#include "kernels/cuda/allocator.hpp"

#include "kernels/cuda/runtime.hpp"

namespace handgrad::kernels::cuda {

std::size_t Allocator::block_size(std::size_t bytes) {
  constexpr std::size_t small = 512, large = std::size_t{1} << 20, large_step = std::size_t{2} << 20;
  if (bytes == 0) return small;
  const std::size_t step = bytes <= large ? small : large_step;
  if (bytes > SIZE_MAX - step) return bytes;  // refused by cudaMalloc
  return (bytes + step - 1) / step * step;
}

void* Allocator::allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes);
  void* address = find_or_make(size);
  if (!address) {
    trim();
    address = find_or_make(size);
  }
  if (!address) {
    std::size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) cudaGetLastError();
    fail("out of memory on " + device_ + ": cudaMalloc of " + std::to_string(size) + " bytes, " + std::to_string(free) +
         " of " + std::to_string(total) + " are free");
  }
  return address;
}

void* Allocator::find_or_make(std::size_t size) {
  const std::lock_guard lock(mutex_);
  std::vector<void*>& kept = kept_[size];
  if (!kept.empty()) {
    void* address = kept.back();
    kept.pop_back();
    return address;
  }
  void* address = nullptr;
  const cudaError_t status = cudaMalloc(&address, size);
  if (status != cudaErrorMemoryAllocation) {
    check(status, "cudaMalloc");
    return address;
  }
  cudaGetLastError();  // else the next call would report it
  return nullptr;
}

void Allocator::deallocate(void* address, std::size_t bytes) noexcept {
  if (!address) return;
  const std::lock_guard lock(mutex_);
  try {
    kept_[block_size(bytes)].push_back(address);
  } catch (...) {  // no host memory for the list
    cudaFree(address);
  }
}

void Allocator::trim() {
  before_trim_();
  const std::lock_guard lock(mutex_);
  for (auto& [size, addresses] : kept_) {
    for (void* address : addresses) cudaFree(address);  // waits for what still uses it
    addresses.clear();
  }
}

}  // namespace handgrad::kernels::cuda
