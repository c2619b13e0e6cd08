#include "handgrad/distributed/mpi/shared_memory.hpp"

#ifdef __linux__
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <random>
#include <thread>

#include "handgrad/distributed/rank_order.hpp"
#endif

namespace handgrad::mpi {

#ifdef __linux__

using namespace std::chrono_literals;

/// Where the ranks meet, at the beginning of the memory.
struct SharedMemory::Meeting {
  std::uint64_t key[2];                          // that it is the memory that was meant
  alignas(64) std::atomic<std::uint32_t> here;   // ranks that have come
  alignas(64) std::atomic<std::uint32_t> turns;  // meetings that are over
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
};

/// What a rank wants to sum.
struct alignas(64) SharedMemory::Place {
  std::uint64_t begin, count;
  double weight;
};

namespace {

constexpr std::size_t page = 4096;

std::size_t whole_pages(std::size_t bytes) { return (bytes + page - 1) / page * page; }

/// How rank 0's memory is found, on this machine.
struct Offer {
  std::int64_t process = 0;
  std::int32_t file = -1;
  std::uint64_t process_numbers = 0;  // which of the machine's, as in a container
  std::uint64_t key[2] = {};
};

std::uint64_t own_process_numbers() {
  struct stat status {};
  return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

}  // namespace

std::shared_ptr<SharedMemory> SharedMemory::make(Communicator& ranks, std::size_t bytes) {
  const auto size = static_cast<std::size_t>(ranks.size());
  bytes = whole_pages(bytes);
  const std::size_t all = whole_pages(sizeof(Meeting) + size * sizeof(Place)) + bytes * size;

  int file = -1;
  Offer offer;
  if (ranks.rank() == 0) {
    file = memfd_create("handgrad", MFD_CLOEXEC);
    if (file >= 0 && ftruncate(file, static_cast<off_t>(all)) == 0) offer.file = file;
    offer.process = getpid();
    offer.process_numbers = own_process_numbers();
    std::random_device random;
    for (std::uint64_t& word : offer.key) word = std::uint64_t{random()} << 32 | random();
  }
  ranks.broadcast(std::as_writable_bytes(std::span(&offer, 1)), 0);
  if (ranks.rank() != 0 && offer.file >= 0 && offer.process_numbers == own_process_numbers()) {
    const std::string path = "/proc/" + std::to_string(offer.process) + "/fd/" + std::to_string(offer.file);
    file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  }
  struct stat status {};
  void* mapped = MAP_FAILED;
  if (offer.file >= 0 && file >= 0 && fstat(file, &status) == 0 && status.st_size == static_cast<off_t>(all))
    mapped = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  std::shared_ptr<SharedMemory> memory;
  if (mapped != MAP_FAILED) memory.reset(new SharedMemory(mapped, bytes, ranks.rank(), ranks.size()));
  if (memory && ranks.rank() == 0) std::copy(offer.key, offer.key + 2, memory->meeting_.key);
  ranks.barrier();
  const bool there = memory && std::equal(offer.key, offer.key + 2, memory->meeting_.key);
  if (file >= 0) close(file);
  return handgrad::all_reduce(ranks, there ? 0.0 : 1.0) == 0 ? memory : nullptr;
}

SharedMemory::SharedMemory(void* all, std::size_t bytes, int rank, int size)
    : meeting_(*static_cast<Meeting*>(all)), bytes_(bytes), rank_(rank), size_(size) {
  parts_ = static_cast<std::byte*>(all) + whole_pages(sizeof(Meeting) + static_cast<std::size_t>(size) * sizeof(Place));
}

SharedMemory::~SharedMemory() {
  auto* begin = reinterpret_cast<std::byte*>(&meeting_);
  munmap(begin, static_cast<std::size_t>(parts_ - begin) + bytes_ * static_cast<std::size_t>(size_));
}

SharedMemory::Place& SharedMemory::place(int rank) const { return reinterpret_cast<Place*>(&meeting_ + 1)[rank]; }

/// Returns when all ranks are here. Looks for a moment, as others mostly come soon, then sleeps.
void SharedMemory::meet() {
  const std::uint32_t turn = meeting_.turns.load();
  if (meeting_.here.fetch_add(1) + 1 == static_cast<std::uint32_t>(size_)) {
    meeting_.here = 0;
    ++meeting_.turns;
    syscall(SYS_futex, &meeting_.turns, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  while (meeting_.turns.load() == turn) {
    if (std::chrono::steady_clock::now() - begin < 50us)
      std::this_thread::yield();
    else
      syscall(SYS_futex, &meeting_.turns, FUTEX_WAIT, turn, nullptr, nullptr, 0);
  }
}

template <class T>
void SharedMemory::sum(T* x, std::size_t count, T weight, T factor) {
  const auto begin = static_cast<std::size_t>(reinterpret_cast<std::byte*>(x) - own());
  place(rank_) = {begin, count * sizeof(T), weight};
  meet();
  std::vector<detail::RankPart<T>> parts;
  for (int r = 0; r < size_; ++r) {
    const Place& other = place(r);
    if (other.begin != begin || other.count != count * sizeof(T))
      throw RankError("rank " + std::to_string(rank_) + " sums " + std::to_string(count * sizeof(T)) + " bytes at " +
                      std::to_string(begin) + ", rank " + std::to_string(r) + " " + std::to_string(other.count) +
                      " at " + std::to_string(other.begin));
    parts.push_back({reinterpret_cast<T*>(part(r) + begin), static_cast<T>(other.weight)});
  }
  detail::sum_in_rank_order<T>(parts, detail::share_begin(count, rank_, size_),
                               detail::share_begin(count, rank_ + 1, size_), factor);
  meet();
}

#else  // on other systems sums go through MPI

struct SharedMemory::Meeting {};
struct SharedMemory::Place {};
std::shared_ptr<SharedMemory> SharedMemory::make(Communicator&, std::size_t) { return nullptr; }
SharedMemory::~SharedMemory() = default;
template <class T>
void SharedMemory::sum(T*, std::size_t, T, T) {}

#endif

template void SharedMemory::sum(float*, std::size_t, float, float);
template void SharedMemory::sum(double*, std::size_t, double, double);

}  // namespace handgrad::mpi
