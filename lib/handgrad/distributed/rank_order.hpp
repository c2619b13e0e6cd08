#pragma once
#include <algorithm>
#include <cstddef>
#include <span>

namespace handgrad::detail {

/// A rank's part of a sum, in memory that this thread can read and write.
template <class T>
struct RankPart {
  T* x;
  T weight;
};

/// This rank's share of a sum of `count` elements: begins at share_begin(r), ends at share_begin(r + 1), on cache lines
/// of its own.
inline std::size_t share_begin(std::size_t count, int rank, int ranks) {
  return rank == ranks ? count : count * static_cast<std::size_t>(rank) / static_cast<std::size_t>(ranks) / 16 * 16;
}

/// In every part, elements begin to end − 1 become factor·Σᵣ weightᵣ·xᵣ, added in the order of the ranks.
template <class T>
void sum_in_rank_order(std::span<const RankPart<T>> parts, std::size_t begin, std::size_t end, T factor) {
  constexpr std::size_t most = 1024;  // the total stays in the first-level cache
  T total[most];
  for (std::size_t at = begin; at < end; at += most) {
    const std::size_t n = std::min(most, end - at);
    for (std::size_t i = 0; i < n; ++i) total[i] = parts[0].weight * parts[0].x[at + i];
    for (const RankPart<T>& part : parts.subspan(1))
      for (std::size_t i = 0; i < n; ++i) total[i] += part.weight * part.x[at + i];
    for (std::size_t i = 0; i < n; ++i) total[i] *= factor;
    for (const RankPart<T>& part : parts) std::copy(total, total + n, part.x + at);
  }
}

}  // namespace handgrad::detail
