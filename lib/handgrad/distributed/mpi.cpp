#include "handgrad/distributed/mpi.hpp"

#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace handgrad::mpi {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  int kind = 0;
  MPI_Error_class(status, &kind);
  throw RankError(std::string("mpi: ") + call + ": " + text +
                  (kind == MPI_ERR_TRUNCATE ? "; another rank is in another call, or in one of another size" : ""));
}

template <class T>
MPI_Datatype type_of() {
  return sizeof(T) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
}

// MPI counts are int.
constexpr std::size_t most = std::size_t{1} << 28;

/// The call that a rank is in.
struct Call {
  enum Kind : int { Broadcast, Barrier, SumOfFloats, SumOfDoubles } kind = Barrier;
  std::uint64_t count = 0;
  std::uint64_t number = 0;  // of the rank's calls

  const char* name() const { return kind == Broadcast ? "broadcast" : kind == Barrier ? "barrier" : "all_reduce"; }
  std::string text() const {
    static constexpr const char* of[] = {" bytes", "", " floats", " doubles"};
    return kind == Barrier ? "barrier" : std::string(name()) + " of " + std::to_string(count) + of[kind];
  }
};

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
    const Waiting waiting(*this, Call::Broadcast, bytes.size());
    for (std::size_t at = 0; at < bytes.size(); at += most)
      check(MPI_Bcast(bytes.data() + at, static_cast<int>(std::min(most, bytes.size() - at)), MPI_BYTE, root, comm_),
            "MPI_Bcast");
  }

  void barrier() override {
    const Waiting waiting(*this, Call::Barrier, 0);
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
    Waiting(World& world, Call::Kind kind, std::size_t count) : world_(world) {
      const std::lock_guard lock(world_.mutex_);
      world_.since_ = Clock::now();
      world_.call_ = {kind, count, world_.call_.number + 1};
      world_.waits_ = true;
    }
    ~Waiting() {
      const std::lock_guard lock(world_.mutex_);
      world_.waits_ = false;
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    World& world_;
  };

  template <class T>
  void sum(std::span<T> x) {
    const Waiting waiting(*this, sizeof(T) == sizeof(float) ? Call::SumOfFloats : Call::SumOfDoubles, x.size());
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
          MPI_Isend(nullptr, 0, MPI_BYTE, other, farewell, farewells_, &request);
          MPI_Request_free(&request);
        }
      }
      std::this_thread::sleep_for(told ? 20ms : 1ms);
    }
  }

  /// Checks now and then whether a rank that this one waits for has ended, or waits in another call. A rank tells the
  /// others what it is in once it has waited for a second; until then the check costs nothing.
  void watch() {
    int gone = -1;
    Clock::time_point since;
    std::vector<Call> theirs(static_cast<std::size_t>(size_));
    for (std::unique_lock lock(mutex_); !ended_;) {
      changed_.wait_for(lock, 100ms, [&] { return ended_; });
      const bool waits = waits_ && Clock::now() - since_ > 1s;
      const Call mine = call_;
      const auto waiting_since = since_;
      lock.unlock();
      if (waits && mine.number != told_.number) tell(mine);
      for (int rank = receive(farewell, nullptr, 0); rank >= 0; rank = receive(farewell, nullptr, 0))
        if (gone < 0) gone = rank, since = Clock::now();
      Call call;
      for (int rank = receive(waiting_in, &call, sizeof call); rank >= 0;
           rank = receive(waiting_in, &call, sizeof call))
        theirs[static_cast<std::size_t>(rank)] = call;
      if (waits && gone >= 0 && Clock::now() - std::max(since, waiting_since) > 1s)
        abort("rank " + std::to_string(gone) + " has ended, rank " + std::to_string(rank_) + " waits for it in " +
              mine.name());
      for (std::size_t rank = 0; waits && rank < theirs.size(); ++rank)
        if (theirs[rank].number == mine.number && theirs[rank].text() != mine.text())
          abort("rank " + std::to_string(rank) + " is in " + theirs[rank].text() + ", rank " + std::to_string(rank_) +
                " in " + mine.text() + ", and each waits for the other");
      lock.lock();
    }
  }

  static constexpr int farewell = 0, waiting_in = 1;  // tags

  void tell(const Call& mine) {
    if (told_request_.empty()) told_request_.assign(static_cast<std::size_t>(size_), MPI_REQUEST_NULL);
    int done = 0;
    MPI_Testall(size_, told_request_.data(), &done, MPI_STATUSES_IGNORE);
    if (!done) return;  // somebody has not read the last
    told_ = mine;
    for (int other = 0; other < size_; ++other)
      if (other != rank_)
        MPI_Isend(&told_, sizeof told_, MPI_BYTE, other, waiting_in, farewells_,
                  &told_request_[static_cast<std::size_t>(other)]);
  }

  /// The rank that has sent something, or −1.
  int receive(int tag, void* data, int bytes) {
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, tag, farewells_, &there, &status);
    if (!there) return -1;
    MPI_Recv(data, bytes, MPI_BYTE, status.MPI_SOURCE, tag, farewells_, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
  }

  MPI_Comm comm_ = MPI_COMM_NULL, farewells_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  bool finalizes_ = false;
  std::vector<std::byte> scratch_;

  std::thread watcher_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  bool waits_ = false;  // this rank, in call_, since
  Call call_;
  Clock::time_point since_;
  Call told_;  // the others, by watch()
  std::vector<MPI_Request> told_request_;
};

}  // namespace

Communicator& world() {
  static World world;
  return world;
}

}  // namespace handgrad::mpi
