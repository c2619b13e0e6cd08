#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "handgrad/contract/gradient_hook.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/distributed/communicator.hpp"

namespace handgrad {

struct DataParallelOptions {
  /// Gradients are summed in pieces of about this size, each while the layers below still work; a network that has less
  /// is summed at once, after its backward.
  std::size_t bucket_bytes = std::size_t{1} << 20;
};

/// Trains one network on several ranks, each with its own part of every batch:
///
///     Sequential net{Linear(784, 300), ReLU(), Linear(300, 10)};
///     DataParallel parallel(net, mpi::world());           // the line more
///     …
///     sgd.zero_grad();
///     net.backward(loss.backward());                      // the gradient of the loss over all ranks' rows
///     sgd.step();                                         // so every rank makes the same step
///
/// At first all ranks take over rank 0's parameters and buffers. From then on each `net.backward` leaves in every
/// parameter, on every rank, the gradient of the loss of all rows. With L = (1/N)·Σₙ ℓₙ over N = Σᵣ nᵣ rows, of which
/// rank r has nᵣ and Lᵣ = (1/nᵣ)·Σ ℓₙ is its own loss,
///
///     L = Σᵣ (nᵣ/N)·Lᵣ      ⇒      ∂L/∂θ = Σᵣ (nᵣ/N)·∂Lᵣ/∂θ
///
/// so each rank multiplies what its backward gave by nᵣ, the ranks sum, and the sum is divided by N, which is summed
/// along with it. (The mean of the means, Σᵣ Lᵣ/k, would be another function when a last batch is uneven.) nᵣ is what
/// the rank's loss says that it averages over (Loss::averaged_over); for Reduction::Sum nothing is divided. Without a
/// loss of this library all ranks count alike, unless averaged_over(n) says otherwise.
///
/// Gradients lie in one arena in the order of the backward, so that what is sent is an address and a length.
/// `net.backward` returns when all sums are done: clipping and optimizer.step() come after it as ever. What the ranks
/// sum is linear in the gradients and nᵣ/N adds up to 1, so several backwards accumulate as they do on one rank.
///
/// Dropout layers draw from a stream of each rank's own. BatchNorm normalises by the rank's own rows; SyncBatchNorm by
/// those of all. (Running statistics then differ from rank to rank: broadcast() makes them rank 0's.)
///
/// Made and used in the thread that trains, one for a network; `net` and the communicator outlive it. All ranks do the
/// same in the same order. Throws ValueError, on all ranks, when their networks differ in a name, a shape or a type.
template <class T>
class DataParallel final : private GradientListener<T> {
 public:
  DataParallel(Layer<T>& net, Communicator& communicator, DataParallelOptions options = {});
  ~DataParallel() override;

  Communicator& communicator() const { return communicator_; }
  bool is_first() const { return communicator_.rank() == 0; }

  /// While the result lives, a backward accumulates on its own rank only. The next one outside of it sums all that came
  /// together, each rank's by the rows that it saw:
  ///
  ///     { auto alone = parallel.no_sync(); net.forward(a); net.backward(…); }
  ///     net.forward(b); net.backward(…);
  class NoSync {
   public:
    explicit NoSync(DataParallel& parallel) : parallel_(parallel), before_(parallel.alone_) { parallel.alone_ = true; }
    ~NoSync() { parallel_.alone_ = before_; }
    NoSync(const NoSync&) = delete;
    NoSync& operator=(const NoSync&) = delete;

   private:
    DataParallel& parallel_;
    bool before_;
  };
  [[nodiscard]] NoSync no_sync() { return NoSync(*this); }

  /// This rank's rows of a batch that every rank has: the r-th of k parts, as even as can be. No copy.
  Tensor<T> share(const Tensor<T>& batch) const {
    const auto k = static_cast<std::size_t>(communicator_.size()), r = static_cast<std::size_t>(communicator_.rank());
    return batch.rows(batch.size(0) * r / k, batch.size(0) * (r + 1) / k);
  }

  /// The next backward's gradient is of a loss averaged over `count` rows: for a δ that no Loss made, or several did.
  void averaged_over(double count) {
    count_ = count;
    mean_ = told_ = true;
  }

  /// For ranks with different numbers of batches: called by each when it has no more, it takes part in the others' sums
  /// with a gradient of nothing, calls `step` after each, so that its parameters keep up, and returns when all ranks
  /// are here.
  ///
  ///     for (auto& [x, y] : loader) { …; sgd.step(); }
  ///     parallel.join([&] { sgd.step(); });
  void join(const std::function<void()>& step);

  /// Parameters and buffers as rank 0 has them.
  void broadcast();
  void broadcast_buffers();
  /// Gives Dropout layers this rank's stream, where they have rank 0's: after a checkpoint was loaded.
  void spread_random();

  /// Asks all ranks to stop, along with the next sums; after them each sees `stop_requested()`, at the same step.
  void request_stop() { stop_ = true; }
  bool stop_requested() const { return stop_requested_; }

 private:
  struct Bucket {
    std::size_t begin, end;   // in the arena
    std::size_t first, last;  // of parameters_
    std::size_t pending;      // gradients still to come
  };
  struct Worker;

  void ready(Parameter<T>& parameter) override;
  void begin(const Layer<T>& root) override;
  void end(const Layer<T>& root) override;
  void loss(const Loss<T>& loss) override;

  void lay_out();
  void prepare(bool active);
  void launch(std::size_t bucket);
  void sum(const Bucket& bucket);
  void finish();

  Layer<T>& net_;
  Communicator& communicator_;
  DataParallelOptions options_;

  std::vector<Parameter<T>> parameters_;  // last layer first
  std::vector<Tensor<T>> rooms_;          // where their gradients lie
  std::vector<Bucket> buckets_;
  Tensor<T> arena_, host_;  // host_: the arena itself, or for one on a GPU what is sent of it
  std::unique_ptr<Worker> worker_;
  std::size_t launched_ = 0;  // buckets of this backward

  std::optional<double> count_;  // the rows of the next backward's loss
  bool mean_ = true;             // whether it averages over them
  bool told_ = false;            // by averaged_over()
  double rows_ = 0;              // of the backwards since the ranks last summed
  double divisor_ = 1;           // N, as the ranks have summed it
  std::size_t next_ = 0;         // in parameters_, the one expected to be ready
  bool mine_ = false;            // the backward that runs is the network's
  bool alone_ = false, summed_ = false, stop_ = false, stop_requested_ = false;
};

}  // namespace handgrad
