#include "handgrad/distributed/mpi.hpp"

#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <limits>
#include <mutex>
#include <thread>

namespace handgrad::mpi {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw RankError(std::string("mpi: ") + call + ": " + text);
}

template <class T>
MPI_Datatype type_of() {
  return sizeof(T) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
}

// MPI counts are int.
constexpr std::size_t most = std::size_t{1} << 28;

class World final : public Communicator {
 public:
  World() {
    int initialized = 0, threads = MPI_THREAD_SINGLE;
    MPI_Initialized(&initialized);
    if (initialized)
      MPI_Query_thread(&threads);
    else
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &threads);
    finalizes_ = !initialized;
    if (threads < MPI_THREAD_SERIALIZED)
      throw RankError("mpi: MPI was initialised without threads; MPI_THREAD_SERIALIZED at least expected");
    MPI_Comm_dup(MPI_COMM_WORLD, &comm_);
    MPI_Comm_dup(MPI_COMM_WORLD, &farewells_);
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
    if (threads == MPI_THREAD_MULTIPLE && size_ > 1) watcher_ = std::thread([this] { watch(); });
  }

  ~World() override {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (watcher_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        ended_ = true;
      }
      changed_.notify_all();
      watcher_.join();
    }
    if (finalized) return;
    say_farewell();
    MPI_Comm_free(&farewells_);
    MPI_Comm_free(&comm_);
    if (finalizes_) MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_reduce(std::span<float> x) override { sum(x); }
  void all_reduce(std::span<double> x) override { sum(x); }

  void broadcast(std::span<std::byte> bytes, int root) override {
    const Waiting waiting(*this, "broadcast");
    for (std::size_t at = 0; at < bytes.size(); at += most)
      check(MPI_Bcast(bytes.data() + at, static_cast<int>(std::min(most, bytes.size() - at)), MPI_BYTE, root, comm_),
            "MPI_Bcast");
  }

  void barrier() override {
    const Waiting waiting(*this, "barrier");
    check(MPI_Barrier(comm_), "MPI_Barrier");
  }

  void abort(const std::string& reason) noexcept override {
    std::fprintf(stderr, "handgrad: %s\n", reason.c_str());
    std::fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }

 private:
  /// While one lives, this rank waits for the others.
  struct Waiting {
    Waiting(World& world, const char* what) : world_(world) {
      const std::lock_guard lock(world_.mutex_);
      world_.since_ = Clock::now();
      world_.what_ = what;
    }
    ~Waiting() {
      const std::lock_guard lock(world_.mutex_);
      world_.what_ = nullptr;
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    World& world_;
  };

  template <class T>
  void sum(std::span<T> x) {
    const Waiting waiting(*this, "all_reduce");
    for (std::size_t at = 0; at < x.size(); at += most) {
      const std::span<T> part = x.subspan(at, std::min(most, x.size() - at));
      if (!deterministic())
        check(MPI_Allreduce(MPI_IN_PLACE, part.data(), static_cast<int>(part.size()), type_of<T>(), MPI_SUM, comm_),
              "MPI_Allreduce");
      else if (part.size_bytes() * static_cast<std::size_t>(size_) <= 32768)
        sum_all(part);
      else
        sum_shares(part);
    }
  }

  /// Adds the ranks' parts, of `count` elements each, in rank order.
  template <class T>
  static void chain(const T* parts, std::size_t count, int ranks, T* total) {
    std::copy(parts, parts + count, total);
    for (int r = 1; r < ranks; ++r) {
      parts += count;
      for (std::size_t i = 0; i < count; ++i) total[i] += parts[i];
    }
  }

  /// For few elements: every rank gets all of them and adds.
  template <class T>
  void sum_all(std::span<T> x) {
    T* all = scratch<T>(x.size() * static_cast<std::size_t>(size_));
    const int count = static_cast<int>(x.size());
    check(MPI_Allgather(x.data(), count, type_of<T>(), all, count, type_of<T>(), comm_), "MPI_Allgather");
    chain(all, x.size(), size_, x.data());
  }

  /// For many: every rank sums a share and sends it to all: 2·(k−1)/k of the elements are sent, as in a ring.
  template <class T>
  void sum_shares(std::span<T> x) {
    const auto ranks = static_cast<std::size_t>(size_);
    std::vector<int> counts(ranks), begins(ranks), mine(ranks), places(ranks);
    for (std::size_t r = 0; r < ranks; ++r) {
      begins[r] = static_cast<int>(x.size() * r / ranks);
      counts[r] = static_cast<int>(x.size() * (r + 1) / ranks) - begins[r];
    }
    const auto me = static_cast<std::size_t>(rank_), share = static_cast<std::size_t>(counts[me]);
    for (std::size_t r = 0; r < ranks; ++r) {
      mine[r] = counts[me];
      places[r] = static_cast<int>(r * share);
    }
    T* parts = scratch<T>(share * ranks);
    check(MPI_Alltoallv(x.data(), counts.data(), begins.data(), type_of<T>(), parts, mine.data(), places.data(),
                        type_of<T>(), comm_),
          "MPI_Alltoallv");
    chain(parts, share, size_, x.data() + begins[me]);
    check(
        MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x.data(), counts.data(), begins.data(), type_of<T>(), comm_),
        "MPI_Allgatherv");
  }

  template <class T>
  T* scratch(std::size_t count) {
    if (scratch_.size() < count * sizeof(T)) scratch_.resize(count * sizeof(T));
    return reinterpret_cast<T*>(scratch_.data());
  }

  /// Tells the others that this rank is about to end, unless they end too within a second, and waits for them.
  void say_farewell() {
    MPI_Request all_here;
    MPI_Ibarrier(farewells_, &all_here);
    const auto begin = Clock::now();
    bool told = false;
    for (int done = 0;;) {
      MPI_Test(&all_here, &done, MPI_STATUS_IGNORE);
      if (done) return;
      if (!told && Clock::now() - begin > 1s) {
        told = true;
        for (int other = 0; other < size_; ++other) {
          MPI_Request request;
          if (other == rank_) continue;
          MPI_Isend(nullptr, 0, MPI_BYTE, other, 0, farewells_, &request);
          MPI_Request_free(&request);
        }
      }
      std::this_thread::sleep_for(told ? 20ms : 1ms);
    }
  }

  /// Checks now and then whether a rank that this one waits for has ended.
  void watch() {
    int gone = -1;
    Clock::time_point since;
    for (std::unique_lock lock(mutex_); !ended_;) {
      changed_.wait_for(lock, 100ms, [&] { return ended_; });
      if (gone < 0) {
        lock.unlock();
        int there = 0;
        MPI_Status status;
        MPI_Iprobe(MPI_ANY_SOURCE, 0, farewells_, &there, &status);
        if (there) {
          MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, 0, farewells_, MPI_STATUS_IGNORE);
          gone = status.MPI_SOURCE;
          since = Clock::now();
        }
        lock.lock();
      }
      if (gone >= 0 && what_ && Clock::now() - std::max(since, since_) > 1s)
        abort("rank " + std::to_string(gone) + " has ended, rank " + std::to_string(rank_) + " waits for it in " +
              what_);
    }
  }

  MPI_Comm comm_ = MPI_COMM_NULL, farewells_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  bool finalizes_ = false;
  std::vector<std::byte> scratch_;

  std::thread watcher_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  const char* what_ = nullptr;  // this rank waits in
  Clock::time_point since_;
};

}  // namespace

Communicator& world() {
  static World world;
  return world;
}

}  // namespace handgrad::mpi
