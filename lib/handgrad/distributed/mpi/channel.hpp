#pragma once
#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "handgrad/distributed/communicator.hpp"
#include "handgrad/distributed/mpi/shared_memory.hpp"

namespace handgrad::mpi {

/// Throws RankError unless the call succeeded.
void check(int status, const char* call);

/// The call that a rank is in.
struct Call {
  enum Kind : int { Broadcast, Barrier, SumOfFloats, SumOfDoubles } kind = Barrier;
  bool shared = false;  // by shared memory
  std::uint64_t count = 0;
  std::uint64_t number = 0;  // of the channel's calls

  const char* name() const { return kind == Broadcast ? "broadcast" : kind == Barrier ? "barrier" : "all_reduce"; }
  std::string text() const;
  bool operator==(const Call&) const = default;
};

/// All ranks, for one thread: collectives of MPI, and sums in memory that the ranks share.
class Channel final : public Communicator {
 public:
  using Clock = std::chrono::steady_clock;

  /// For the thread that a communicator is `beside` of.
  explicit Channel(MPI_Comm ranks);
  /// For the program's thread. `beside`, which may be null, sums as this does: in the order of the ranks or not.
  Channel(MPI_Comm ranks, Channel* beside, bool one_machine);
  ~Channel() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_reduce(std::span<float> x) override { sum(x, 1.0f, 1.0f); }
  void all_reduce(std::span<double> x) override { sum(x, 1.0, 1.0); }
  void all_reduce(std::span<float> x, float weight, float factor) override { sum(x, weight, factor); }
  void all_reduce(std::span<double> x, double weight, double factor) override { sum(x, weight, factor); }
  void broadcast(std::span<std::byte> bytes, int root) override;
  void barrier() override;
  std::shared_ptr<void> memory(std::size_t bytes) override;
  Communicator* beside() override { return beside_; }
  void abort(const std::string& reason) noexcept override;

  /// What this rank waits for the others in, and since when; not `waits` while it works.
  struct State {
    bool waits = false;
    Call call;
    Clock::time_point since;
  };
  State state() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  /// While one lives, this rank waits for the others.
  class Waiting;

  template <class T>
  void sum(std::span<T> x, T weight, T factor);
  template <class T>
  void sum_all(std::span<T> x);
  template <class T>
  void sum_shares(std::span<T> x);
  template <class T>
  T* scratch(std::size_t count);
  std::shared_ptr<SharedMemory> memory_of(const void* address) const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  Channel* beside_ = nullptr;
  Channel* main_ = this;
  bool one_machine_ = false;
  std::vector<std::weak_ptr<SharedMemory>> memories_;  // the main channel's
  std::vector<std::byte> scratch_;

  mutable std::mutex mutex_;
  State state_;
};

}  // namespace handgrad::mpi
