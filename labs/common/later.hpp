#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "handgrad/base/device.hpp"

namespace handgrad::labs {

namespace detail {

/// A piece of work that some thread does once.
class Work {
 public:
  explicit Work(std::function<void()> run, bool for_any_thread);
  /// Drops the work if nobody has begun it, otherwise waits for its end.
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  /// Does the work here if nobody has begun it, otherwise waits for its end. Throws what it threw.
  void finish();

 private:
  struct State;
  friend class Helpers;
  std::shared_ptr<State> state_;
};

}  // namespace detail

/// A result needed later. Threads beside the lab's own (one, on two processors) compute it meanwhile, in the order of
/// requests; otherwise `get` does. It draws random numbers from its own generator (GeneratorGuard), and matrix products
/// share the threads with whoever is busy: the result is the same, bit for bit, whoever computes it and when. Copies of
/// a Later share the result; the last one ends the work.
template <class T>
class Later {
 public:
  explicit Later(std::function<T()> compute, Device device = {})
      : shared_(std::make_shared<Shared>(std::move(compute), device.is_cpu())) {}
  T& get() const {
    shared_->work.finish();
    return *shared_->result;
  }

 private:
  struct Shared {
    std::optional<T> result;
    detail::Work work;  // destroyed first
    Shared(std::function<T()> compute, bool for_any_thread)
        : work([this, compute = std::move(compute)] { result.emplace(compute()); }, for_any_thread) {}
  };
  std::shared_ptr<Shared> shared_;
};

/// `auto scores = later([&] { return train(seed); });` GPU work is left to `get`.
template <class F>
auto later(F compute, Device device = {}) {
  return Later<std::invoke_result_t<F&>>(std::move(compute), device);
}

}  // namespace handgrad::labs
