// A few threads that wait for work. A job is a number of parts; each thread has its share of them, the same in all jobs
// of so many parts, so that it finds in its cache what it wrote in the job before. Who has finished takes what others
// have not begun. A typical job takes some 50 µs, less than it takes to wake a sleeping thread: so a thread without
// work spins for a while before it sleeps.
#include "kernels/cpu/threads.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace handgrad::kernels::cpu {

namespace {

int initial_threads() {
  for (const char* name : {"HANDGRAD_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"})
    if (const char* text = std::getenv(name)) {
      char* end = nullptr;
      const long n = std::strtol(text, &end, 10);
      if (end != text && n >= 1) return static_cast<int>(std::min(n, 1024L));
    }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::atomic<int>& threads() {
  static std::atomic<int> number{initial_threads()};
  return number;
}

}  // namespace

int num_threads() { return threads(); }

void set_num_threads(int number) { threads() = number; }

namespace {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

class Pool {
 public:
  explicit Pool(int workers) : shares_(static_cast<std::size_t>(workers) + 1) {
    for (std::size_t i = 1; i < shares_.size(); ++i) workers_.emplace_back([this, i] { work(i); });
  }
  ~Pool() {
    stop_ = true;
    announce();
    for (std::thread& worker : workers_) worker.join();
  }
  int workers() const { return static_cast<int>(workers_.size()); }

  /// Whether callers compute alone for now (see `judge`).
  bool held_up() const { return Clock::now() < alone_until_; }

  void run(std::uint32_t n, void (*part)(void*, std::size_t), void* context) {
    const auto begin = Clock::now();
    part_ = part;
    context_ = context;
    done_ = 0;
    ++job_;
    const std::size_t threads = shares_.size();
    for (std::size_t i = 0; i < threads; ++i)
      shares_[i].parts.store(std::uint64_t{job_} << 32 | n * i / threads << 16 | n * (i + 1) / threads,
                             std::memory_order_release);
    announce();
    const std::uint32_t own = take_parts(job_, 0);
    const auto finished = Clock::now();
    for (int spins = 0; done_.load(std::memory_order_acquire) != n; ++spins)
      spins < 4000 ? pause() : std::this_thread::yield();
    judge(own, finished - begin, Clock::now() - finished);
  }

 private:
  using Clock = std::chrono::steady_clock;

  // A worker whose processor does something else is taken off it in the middle of a part, for milliseconds, and all
  // wait. Who has waited for much longer than a part takes computes alone ten times as long: then such waits cost a
  // tenth at most. Twice as long as before if it happens again before all has gone well for as long: a processor that
  // stays busy costs little more than having one less.
  void judge(std::uint32_t own_parts, Clock::duration working, Clock::duration waiting) {
    if (own_parts == 0 || waiting <= 2 * working / own_parts + std::chrono::microseconds(100)) return;
    const auto now = Clock::now();
    const bool again = now - alone_until_ < alone_for_;
    alone_for_ = std::min<Clock::duration>(again ? std::max(2 * alone_for_, 10 * waiting) : 10 * waiting,
                                           std::chrono::milliseconds(500));
    alone_until_ = now + alone_for_;
  }

  void announce() {
    signal_.fetch_add(1);
    signal_.notify_all();
  }

  // First a thread's own share of the parts, then what others have left.
  std::uint32_t take_parts(std::uint32_t job, std::size_t thread) {
    std::uint32_t taken = 0;
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      std::atomic<std::uint64_t>& parts = shares_[(thread + i) % shares_.size()].parts;
      std::uint64_t seen = parts.load(std::memory_order_acquire);
      for (;;) {
        const std::uint64_t next = seen >> 16 & 0xffff, end = seen & 0xffff;
        if (seen >> 32 != job || next == end) break;
        if (!parts.compare_exchange_weak(seen, seen + 0x10000, std::memory_order_acq_rel)) continue;
        part_(context_, next);
        ++taken;
        done_.fetch_add(1, std::memory_order_release);
        seen = parts.load(std::memory_order_acquire);
      }
    }
    return taken;
  }

  void work(std::size_t thread) {
    std::uint32_t seen = 0;
    while (!stop_) {
      take_parts(static_cast<std::uint32_t>(shares_[thread].parts.load(std::memory_order_acquire) >> 32), thread);
      const auto until = Clock::now() + std::chrono::microseconds(100);
      while (signal_ == seen && Clock::now() < until)
        for (int i = 0; i < 50 && signal_ == seen; ++i) pause();
      signal_.wait(seen);
      seen = signal_;
    }
  }

  // A thread's share of a job: the job's number, the next part and the end of the parts, in one word: a thread that
  // takes a part by raising it knows that the job is not over, and that part_ and context_ belong to it.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> parts{0};
  };
  std::vector<Share> shares_;  // the caller's is the first
  std::vector<std::thread> workers_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint32_t> signal_{0};  // raised when there is news
  std::atomic<std::uint32_t> done_{0};
  std::uint32_t job_ = 0;
  Clock::time_point alone_until_{};
  Clock::duration alone_for_{};
  void (*part_)(void*, std::size_t) = nullptr;
  void* context_ = nullptr;
};

struct Shared {
  std::mutex one_job_at_a_time;
  std::unique_ptr<Pool> pool;
  Shared() {
    // A forked child has none of its parent's threads: it starts a pool of its own and leaves the old one alone.
    pthread_atfork([] { shared().one_job_at_a_time.lock(); }, [] { shared().one_job_at_a_time.unlock(); },
                   [] {
                     static_cast<void>(shared().pool.release());
                     shared().one_job_at_a_time.unlock();
                   });
  }
  static Shared& shared() {
    static Shared instance;
    return instance;
  }
};

}  // namespace

std::size_t threads_at_most() { return static_cast<std::size_t>(num_threads()); }

void run_parts(std::size_t n, void (*part)(void*, std::size_t), void* context) {
  const int wanted = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(num_threads()), n));
  if (wanted > 1 && n < 0xffff) {
    Shared& shared = Shared::shared();
    if (const std::unique_lock lock(shared.one_job_at_a_time, std::try_to_lock); lock) {
      const int workers = num_threads() - 1;
      if (!shared.pool || shared.pool->workers() != workers) {
        shared.pool.reset();
        shared.pool = std::make_unique<Pool>(workers);
      }
      if (!shared.pool->held_up()) return shared.pool->run(static_cast<std::uint32_t>(n), part, context);
    }
  }
  for (std::size_t i = 0; i < n; ++i) part(context, i);
}

}  // namespace handgrad::kernels::cpu
