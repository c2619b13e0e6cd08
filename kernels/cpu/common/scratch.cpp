#include "kernels/cpu/scratch.hpp"

#include <vector>

namespace handgrad::kernels::cpu {

void* scratch_bytes(std::size_t bytes) {
  thread_local std::vector<std::max_align_t> room;
  const std::size_t items = (bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t);
  if (room.size() < items) room.resize(items);
  return room.data();
}

}  // namespace handgrad::kernels::cpu
