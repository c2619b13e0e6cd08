#include "handgrad/distributed/in_process.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "handgrad/base/random.hpp"
#include "handgrad/distributed/rank_order.hpp"

namespace handgrad {

namespace {

/// Where the ranks of one run meet.
class Group {
 public:
  explicit Group(int size) : parts_(static_cast<std::size_t>(size)), left_(parts_.size()) {}
  int size() const { return static_cast<int>(parts_.size()); }

  /// Provides this rank's part and waits for the others; then each `part` can be read.
  struct Part {
    const char* what = "";
    void* data = nullptr;
    std::size_t count = 0;
    double weight = 1;
  };
  void meet(int rank, Part part) {
    std::unique_lock lock(mutex_);
    parts_[at(rank)] = part;
    wait(rank, lock, part.what);
    for (const Part& other : parts_)
      if (std::strcmp(other.what, part.what) != 0 || other.count != part.count)
        throw RankError("rank " + std::to_string(rank) + " is at " + said(part) + ", rank " +
                        std::to_string(&other - parts_.data()) + " at " + said(other));
  }
  /// Waits until all have finished with the parts.
  void leave(int rank, const char* what) {
    std::unique_lock lock(mutex_);
    wait(rank, lock, what);
  }
  const Part& part(int rank) const { return parts_[at(rank)]; }

  void end(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    if (reason_.empty()) reason_ = reason;
    changed_.notify_all();
  }
  void left(int rank) {
    const std::lock_guard lock(mutex_);
    left_[at(rank)] = true;
    changed_.notify_all();
  }

 private:
  static std::size_t at(int rank) { return static_cast<std::size_t>(rank); }
  static std::string said(const Part& part) { return std::string(part.what) + " of " + std::to_string(part.count); }

  void wait(int rank, std::unique_lock<std::mutex>& lock, const char* what) {
    const std::size_t turn = turn_;
    if (++here_ == size()) {
      here_ = 0;
      ++turn_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock,
                  [&] { return turn_ != turn || !reason_.empty() || std::count(left_.begin(), left_.end(), true); });
    if (turn_ != turn) return;
    --here_;
    if (!reason_.empty()) throw RankError(reason_);
    const auto gone = std::find(left_.begin(), left_.end(), true) - left_.begin();
    throw RankError("rank " + std::to_string(gone) + " has ended, rank " + std::to_string(rank) + " waits for it in " +
                    what);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Part> parts_;
  std::vector<bool> left_;
  int here_ = 0;
  std::size_t turn_ = 0;
  std::string reason_;
};

class Thread final : public Communicator {
 public:
  Thread(Group& group, int rank, Thread* beside) : group_(group), rank_(rank), beside_(beside) {}
  int rank() const override { return rank_; }
  int size() const override { return group_.size(); }
  void all_reduce(std::span<float> x) override { sum(x, 1.0f, 1.0f); }
  void all_reduce(std::span<double> x) override { sum(x, 1.0, 1.0); }
  void all_reduce(std::span<float> x, float weight, float factor) override { sum(x, weight, factor); }
  void all_reduce(std::span<double> x, double weight, double factor) override { sum(x, weight, factor); }
  void broadcast(std::span<std::byte> bytes, int root) override {
    group_.meet(rank_, {"broadcast", bytes.data(), bytes.size()});
    if (rank_ != root && !bytes.empty()) std::memcpy(bytes.data(), group_.part(root).data, bytes.size());
    group_.leave(rank_, "broadcast");
  }
  void barrier() override {
    group_.meet(rank_, {"barrier", nullptr, 0});
    group_.leave(rank_, "barrier");
  }
  Communicator* beside() override { return beside_; }
  void abort(const std::string& reason) noexcept override {
    group_.end(reason);
    if (beside_) beside_->abort(reason);
  }

 private:
  /// Each rank adds up a share of the elements and writes it to all.
  template <class T>
  void sum(std::span<T> x, T weight, T factor) {
    group_.meet(rank_, {"all_reduce", x.data(), x.size(), weight});
    std::vector<detail::RankPart<T>> parts;
    for (int r = 0; r < size(); ++r)
      parts.push_back({static_cast<T*>(group_.part(r).data), static_cast<T>(group_.part(r).weight)});
    detail::sum_in_rank_order<T>(parts, detail::share_begin(x.size(), rank_, size()),
                                 detail::share_begin(x.size(), rank_ + 1, size()), factor);
    group_.leave(rank_, "all_reduce");
  }

  Group& group_;
  int rank_;
  Thread* beside_;
};

}  // namespace

void run_ranks(int size, const std::function<void(Communicator&)>& work) {
  if (size < 1) throw ValueError("run_ranks: " + std::to_string(size) + " ranks, at least 1 expected");
  Group group(size), besides(size);
  std::mutex failing;
  std::exception_ptr failure;
  const Generator callers = default_generator();
  const auto run = [&](int rank) {
    Generator own = callers;
    const GeneratorGuard guard(own);
    Thread beside(besides, rank, nullptr), communicator(group, rank, &beside);
    const auto fail = [&](const std::string& what) {
      const std::lock_guard lock(failing);
      if (!failure) failure = std::current_exception();
      communicator.abort("rank " + std::to_string(rank) + " has ended: " + what);
    };
    try {
      work(communicator);
      group.left(rank);
      besides.left(rank);
    } catch (Error& error) {
      const std::string what = error.what();
      error.prepend("rank " + std::to_string(rank) + ": ");
      fail(what);
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("an unknown error");
    }
  };
  std::vector<std::thread> threads;
  for (int rank = 1; rank < size; ++rank) threads.emplace_back(run, rank);
  std::thread(run, 0).join();
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace handgrad
