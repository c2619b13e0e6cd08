#pragma once
#include <cstddef>
#include <memory>

#include "handgrad/distributed/communicator.hpp"

namespace handgrad::mpi {

/// Memory that the processes of one machine share, of as many bytes for each rank: every rank adds up its share of a
/// sum from all ranks' parts, in rank order, and writes it to all of them. Without copies, a sum of n bytes reads and
/// writes n on each rank, however many there are. Who waits for another sleeps, and leaves its core to the backward.
class SharedMemory {
 public:
  /// Collective. Null, on all ranks, unless all of them can share it.
  static std::shared_ptr<SharedMemory> make(Communicator& ranks, std::size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// This rank's part.
  std::byte* own() const { return part(rank_); }
  bool holds(const void* address) const { return address >= own() && address < own() + bytes_; }

  /// x ← factor·Σᵣ weightᵣ·xᵣ for `count` elements in this rank's part; all ranks must name the same ones.
  template <class T>
  void sum(T* x, std::size_t count, T weight, T factor);

 private:
  struct Meeting;
  struct Place;
  SharedMemory(void* all, std::size_t bytes, int rank, int size);
  std::byte* part(int rank) const { return parts_ + bytes_ * static_cast<std::size_t>(rank); }
  Place& place(int rank) const;
  void meet();

  Meeting& meeting_;
  std::byte* parts_;
  std::size_t bytes_;
  int rank_, size_;
};

}  // namespace handgrad::mpi
