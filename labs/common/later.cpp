#include "common/later.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/base/threads.hpp"

namespace handgrad::labs::detail {

struct Work::State {
  std::function<void()> run;
  enum { Waiting, Running, Done } stage = Waiting;
  std::exception_ptr error = nullptr;
};

/// The threads beside the lab's own, from the first work to the end of the program.
class Helpers {
 public:
  using Piece = std::shared_ptr<Work::State>;

  static Helpers& all() {
    static Helpers helpers;
    return helpers;
  }

  ~Helpers() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void add(const Piece& piece) {
    const std::lock_guard lock(mutex_);
    if (busy_ == 1) total_ = num_threads();  // nobody uses a share of them now
    while (static_cast<int>(threads_.size()) < std::min(total_ - 1, most)) threads_.emplace_back([this] { work(); });
    waiting_.push_back(piece);
    changed_.notify_all();
  }

  void finish(const Piece& piece) {
    std::unique_lock lock(mutex_);
    if (piece->stage == Work::State::Waiting) {
      std::erase(waiting_, piece);
      do_it(piece, lock);
    }
    wait(piece, lock);
  }

  void drop(const Piece& piece) {
    std::unique_lock lock(mutex_);
    if (piece->stage == Work::State::Waiting) {
      std::erase(waiting_, piece);
      return;
    }
    wait(piece, lock);
  }

 private:
  static constexpr int most = 7;

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || (!waiting_.empty() && busy_ < total_); });
      if (stop_) return;
      const Piece piece = waiting_.front();
      waiting_.pop_front();
      count(+1);
      do_it(piece, lock);
      count(-1);
    }
  }

  void do_it(const Piece& piece, std::unique_lock<std::mutex>& lock) {
    piece->stage = Work::State::Running;
    lock.unlock();
    try {
      Generator own;
      const GeneratorGuard guard(own);
      piece->run();
    } catch (...) {
      piece->error = std::current_exception();
    }
    piece->run = nullptr;  // and everything it holds
    lock.lock();
    piece->stage = Work::State::Done;
    changed_.notify_all();
  }

  void wait(const Piece& piece, std::unique_lock<std::mutex>& lock) {
    if (piece->stage == Work::State::Done) return;
    count(-1);
    changed_.wait(lock, [&] { return piece->stage == Work::State::Done; });
    count(+1);
  }

  /// Busy threads share those for matrix products.
  void count(int more) {
    busy_ += more;
    set_num_threads(std::max(1, total_ / std::max(1, busy_)));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> waiting_;
  std::vector<std::thread> threads_;
  int busy_ = 1;  // counts the lab's own thread
  int total_ = num_threads();
  bool stop_ = false;
};

Work::Work(std::function<void()> run, bool for_any_thread) : state_(std::make_shared<State>(State{std::move(run)})) {
  if (for_any_thread) Helpers::all().add(state_);
}

Work::~Work() { Helpers::all().drop(state_); }

void Work::finish() {
  Helpers::all().finish(state_);
  if (state_->error) std::rethrow_exception(state_->error);
}

}  // namespace handgrad::labs::detail
