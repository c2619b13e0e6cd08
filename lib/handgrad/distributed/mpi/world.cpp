#include "handgrad/distributed/mpi.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "handgrad/distributed/mpi/channel.hpp"

namespace handgrad::mpi {

namespace {

using Clock = Channel::Clock;
using namespace std::chrono_literals;

/// All processes: the channels on which they compute, and a thread that sees when they wait in vain.
class World {
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
    MPI_Comm_dup(MPI_COMM_WORLD, &farewells_);
    MPI_Comm_rank(farewells_, &rank_);
    MPI_Comm_size(farewells_, &size_);
    MPI_Comm machine;
    int on_machine = 0;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &on_machine);
    MPI_Comm_free(&machine);
    if (threads == MPI_THREAD_MULTIPLE) beside_.emplace(MPI_COMM_WORLD);
    main_.emplace(MPI_COMM_WORLD, beside_ ? &*beside_ : nullptr, on_machine == size_);
    if (beside_ && size_ > 1) watcher_ = std::thread([this] { watch(); });
  }

  ~World() {
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
    main_.reset();
    beside_.reset();
    MPI_Comm_free(&farewells_);
    if (finalizes_) MPI_Finalize();
  }

  World(const World&) = delete;
  World& operator=(const World&) = delete;
  Channel& main() { return *main_; }

 private:
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
    watched_[0].channel = &*main_;
    watched_[1].channel = &*beside_;
    for (Watched& watched : watched_) watched.theirs.resize(static_cast<std::size_t>(size_));
    int gone = -1;
    Clock::time_point since;
    for (std::unique_lock lock(mutex_); !ended_;) {
      changed_.wait_for(lock, 100ms, [&] { return ended_; });
      lock.unlock();
      for (int rank = receive(farewell, nullptr, 0); rank >= 0; rank = receive(farewell, nullptr, 0))
        if (gone < 0) gone = rank, since = Clock::now();
      for (int which = 0; which < 2; ++which) {
        Watched& watched = watched_[static_cast<std::size_t>(which)];
        Call call;
        for (int rank = receive(waiting_in + which, &call, sizeof call); rank >= 0;
             rank = receive(waiting_in + which, &call, sizeof call))
          watched.theirs[static_cast<std::size_t>(rank)] = call;
        const Channel::State mine = watched.channel->state();
        if (!mine.waits || Clock::now() - mine.since < 1s) continue;
        if (mine.call.number != watched.told.number) tell(which, mine.call);
        if (gone >= 0 && Clock::now() - std::max(since, mine.since) > 1s)
          main_->abort("rank " + std::to_string(gone) + " has ended, rank " + std::to_string(rank_) +
                       " waits for it in " + mine.call.name());
        for (std::size_t rank = 0; rank < watched.theirs.size(); ++rank)
          if (const Call& other = watched.theirs[rank];
              other.number == mine.call.number && !(other == mine.call) && rank != static_cast<std::size_t>(rank_))
            main_->abort("rank " + std::to_string(rank) + " is in " + other.text() + ", rank " + std::to_string(rank_) +
                         " in " + mine.call.text() + ", and each waits for the other");
      }
      lock.lock();
    }
  }

  static constexpr int farewell = 0, waiting_in = 1;  // tags; 2 for the second channel

  void tell(int which, const Call& mine) {
    Watched& watched = watched_[static_cast<std::size_t>(which)];
    if (watched.requests.empty()) watched.requests.assign(static_cast<std::size_t>(size_), MPI_REQUEST_NULL);
    int done = 0;
    MPI_Testall(size_, watched.requests.data(), &done, MPI_STATUSES_IGNORE);
    if (!done) return;  // somebody has not read the last
    watched.told = mine;
    for (int other = 0; other < size_; ++other)
      if (other != rank_)
        MPI_Isend(&watched.told, sizeof watched.told, MPI_BYTE, other, waiting_in + which, farewells_,
                  &watched.requests[static_cast<std::size_t>(other)]);
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

  MPI_Comm farewells_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  bool finalizes_ = false;
  std::optional<Channel> beside_, main_;

  struct Watched {
    Channel* channel = nullptr;
    Call told;                 // to the others
    std::vector<Call> theirs;  // what they have told
    std::vector<MPI_Request> requests;
  };
  std::array<Watched, 2> watched_;
  std::thread watcher_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
};

}  // namespace

Communicator& world() {
  static World world;
  return world.main();
}

}  // namespace handgrad::mpi
