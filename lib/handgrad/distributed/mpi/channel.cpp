#include "handgrad/distributed/mpi/channel.hpp"

#include <algorithm>
#include <cstdio>

namespace handgrad::mpi {

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

namespace {

template <class T>
MPI_Datatype type_of() {
  return sizeof(T) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE;
}

// MPI counts are int.
constexpr std::size_t most = std::size_t{1} << 28;

/// Adds the ranks' parts, of `count` elements each, in rank order.
template <class T>
void chain(const T* parts, std::size_t count, int ranks, T* total) {
  std::copy(parts, parts + count, total);
  for (int r = 1; r < ranks; ++r) {
    parts += count;
    for (std::size_t i = 0; i < count; ++i) total[i] += parts[i];
  }
}

}  // namespace

std::string Call::text() const {
  static constexpr const char* of[] = {" bytes", "", " floats", " doubles"};
  return kind == Barrier ? "barrier" : std::string(name()) + " of " + std::to_string(count) + of[kind];
}

Channel::Channel(MPI_Comm ranks) {
  MPI_Comm_dup(ranks, &comm_);
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

Channel::Channel(MPI_Comm ranks, Channel* beside, bool one_machine) : Channel(ranks) {
  beside_ = beside;
  one_machine_ = one_machine;
  if (beside) beside->main_ = this;
}

Channel::~Channel() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized) MPI_Comm_free(&comm_);
}

class Channel::Waiting {
 public:
  Waiting(Channel& channel, Call call) : channel_(channel) {
    const std::lock_guard lock(channel_.mutex_);
    call.number = channel_.state_.call.number + 1;
    channel_.state_ = {true, call, Clock::now()};
  }
  ~Waiting() {
    const std::lock_guard lock(channel_.mutex_);
    channel_.state_.waits = false;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Channel& channel_;
};

void Channel::broadcast(std::span<std::byte> bytes, int root) {
  const Waiting waiting(*this, {.kind = Call::Broadcast, .count = bytes.size()});
  for (std::size_t at = 0; at < bytes.size(); at += most)
    check(MPI_Bcast(bytes.data() + at, static_cast<int>(std::min(most, bytes.size() - at)), MPI_BYTE, root, comm_),
          "MPI_Bcast");
}

void Channel::barrier() {
  const Waiting waiting(*this, {.kind = Call::Barrier});
  check(MPI_Barrier(comm_), "MPI_Barrier");
}

void Channel::abort(const std::string& reason) noexcept {
  std::fprintf(stderr, "handgrad: %s\n", reason.c_str());
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

std::shared_ptr<void> Channel::memory(std::size_t bytes) {
  if (!one_machine_ || size_ == 1) return nullptr;
  const std::shared_ptr<SharedMemory> memory = SharedMemory::make(*this, bytes);
  if (!memory) return nullptr;
  const std::lock_guard lock(mutex_);
  std::erase_if(memories_, [](const auto& other) { return other.expired(); });
  memories_.push_back(memory);
  return {memory, memory->own()};
}

std::shared_ptr<SharedMemory> Channel::memory_of(const void* address) const {
  const std::lock_guard lock(mutex_);
  for (const auto& some : memories_)
    if (auto memory = some.lock(); memory && memory->holds(address)) return memory;
  return nullptr;
}

template <class T>
void Channel::sum(std::span<T> x, T weight, T factor) {
  const std::shared_ptr<SharedMemory> memory = x.empty() ? nullptr : main_->memory_of(x.data());
  const Waiting waiting(*this, {.kind = sizeof(T) == sizeof(float) ? Call::SumOfFloats : Call::SumOfDoubles,
                                .shared = memory != nullptr,
                                .count = x.size()});
  if (memory) return memory->sum(x.data(), x.size(), weight, factor);
  for (std::size_t at = 0; at < x.size(); at += most) {
    const std::span<T> part = x.subspan(at, std::min(most, x.size() - at));
    if (weight != 1)
      for (T& element : part) element *= weight;
    if (!main_->deterministic())
      check(MPI_Allreduce(MPI_IN_PLACE, part.data(), static_cast<int>(part.size()), type_of<T>(), MPI_SUM, comm_),
            "MPI_Allreduce");
    else if (part.size_bytes() * static_cast<std::size_t>(size_) <= 32768)
      sum_all(part);
    else
      sum_shares(part);
    if (factor != 1)
      for (T& element : part) element *= factor;
  }
}

/// For few elements: every rank gets all of them and adds.
template <class T>
void Channel::sum_all(std::span<T> x) {
  T* all = scratch<T>(x.size() * static_cast<std::size_t>(size_));
  const int count = static_cast<int>(x.size());
  check(MPI_Allgather(x.data(), count, type_of<T>(), all, count, type_of<T>(), comm_), "MPI_Allgather");
  chain(all, x.size(), size_, x.data());
}

/// For many: every rank sums a share and sends it to all: 2·(k−1)/k of the elements are sent, as in a ring.
template <class T>
void Channel::sum_shares(std::span<T> x) {
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
  check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x.data(), counts.data(), begins.data(), type_of<T>(), comm_),
        "MPI_Allgatherv");
}

template <class T>
T* Channel::scratch(std::size_t count) {
  if (scratch_.size() < count * sizeof(T)) scratch_.resize(count * sizeof(T));
  return reinterpret_cast<T*>(scratch_.data());
}

}  // namespace handgrad::mpi
