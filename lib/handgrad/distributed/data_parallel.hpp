#pragma once
#include <concepts>
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
  /// Gradients are summed in pieces of about this size, each while the backward still runs on earlier layers; a smaller
  /// network is summed at once, after its backward.
  std::size_t bucket_bytes = std::size_t{1} << 20;
  /// Require the same seed of the default generator on all ranks, so that a random split or order is the same on all.
  /// (Dropout draws from a separate stream on each rank in any case.) Switch it off if ranks are to have different
  /// seeds, for augmentation.
  bool same_seed = true;
};

/// Trains one network on several ranks, each with its own part of every batch:
///
///     Sequential net{Linear(784, 300), ReLU(), Linear(300, 10)};
///     DataParallel parallel(net, mpi::world());           // the only new line
///     …
///     sgd.zero_grad();
///     net.backward(loss.backward());                      // the gradient of the loss over all ranks' rows
///     sgd.step();                                         // the same step on every rank
///
/// On construction all ranks take over rank 0's parameters and buffers. From then on each `net.backward` leaves in
/// every parameter, on every rank, the gradient of the loss over all rows. With L = (1/N)·Σₙ ℓₙ over N = Σᵣ nᵣ rows,
/// and Lᵣ = (1/nᵣ)·Σ ℓₙ the loss of rank r over its nᵣ rows,
///
///     L = Σᵣ (nᵣ/N)·Lᵣ      ⇒      ∂L/∂θ = Σᵣ (nᵣ/N)·∂Lᵣ/∂θ
///
/// so each rank multiplies its gradient by nᵣ, the ranks sum these and N, and the sum is divided by N. (The mean of the
/// means, Σᵣ Lᵣ/k, is a different function if a last batch is uneven.) nᵣ is the number of rows that the rank's loss
/// averages over (Loss::averaged_over); with Reduction::Sum nothing is divided. Without a loss of this library all
/// ranks count equally, unless averaged_over(n) says otherwise.
///
/// Gradients lie in one arena in backward order, so that a message is an address and a length. On a GPU they go through
/// the host after the backward, or with an NcclCommunicator from GPU to GPU during it. `net.backward` returns when all
/// sums are done, so clipping and optimizer.step() follow as usual. The sum is linear in the gradients and the nᵣ/N add
/// up to 1, so several backwards accumulate as on one rank.
///
/// Dropout layers draw from a separate stream on each rank. BatchNorm normalises by the rank's own rows, SyncBatchNorm
/// by those of all. (BatchNorm's running statistics then differ between ranks; broadcast() makes them rank 0's.)
///
/// Create and use it in the training thread, one per network; `net` and the communicator must outlive it. All ranks
/// must do the same in the same order. Throws ValueError, on all ranks, if their networks differ in a name, a shape or
/// a type, or if the seeds of their default generators differ.
template <class T>
class DataParallel final : private GradientListener<T> {
 public:
  DataParallel(Layer<T>& net, Communicator& communicator, DataParallelOptions options = {});
  /// Also replaces each of `batches`, which all ranks have, by this rank's rows, share(batch):
  ///     DataParallel parallel(net, mpi::world(), x, t);
  template <std::same_as<Tensor<T>>... Batches>
  requires(sizeof...(Batches) > 0) DataParallel(Layer<T>& net, Communicator& communicator, Batches&... batches)
      : DataParallel(net, communicator) {
    ((batches = share(batches)), ...);
  }
  ~DataParallel() override;

  Communicator& communicator() const { return communicator_; }
  /// Whether this is rank 0, which alone prints and writes.
  bool is_first() const { return communicator_.rank() == 0; }

  /// While the result lives, backwards accumulate on their own rank only. The next one after it sums everything
  /// accumulated, weighting each rank by the rows that it saw:
  ///
  ///     { auto alone = parallel.no_sync(); net.forward(x); net.backward(…); }
  ///     net.forward(x); net.backward(…);
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
  /// Holds sums back while the result lives.
  [[nodiscard]] NoSync no_sync() { return NoSync(*this); }

  /// This rank's rows of a batch that every rank has: the r-th of k nearly equal parts, without a copy.
  Tensor<T> share(const Tensor<T>& batch) const {
    const auto k = static_cast<std::size_t>(communicator_.size()), r = static_cast<std::size_t>(communicator_.rank());
    return batch.rows(batch.size(0) * r / k, batch.size(0) * (r + 1) / k);
  }

  /// Says that the next backward's loss averages over `count` rows: for a δ not made by a Loss, or made by several.
  void averaged_over(double count) {
    count_ = count;
    mean_ = told_ = true;
  }

  /// For ranks with different numbers of batches. Each calls it when it has no more: it takes part in the others' sums
  /// with an empty gradient, calls `step` after each to keep its parameters in step, and returns once all ranks have
  /// called it.
  ///
  ///     for (auto& [x, t] : loader) { …; sgd.step(); }
  ///     parallel.join([&] { sgd.step(); });
  ///
  /// SyncBatchNorms get its part of their sums, none, and follow the running statistics; each step is then one forward
  /// and one backward, on all ranks. Throws StateError if there are several of them and this rank has had no batch: it
  /// does not know their order.
  void join(const std::function<void()>& step);

  /// Copies rank 0's parameters and buffers to all ranks.
  void broadcast();
  void broadcast_buffers();
  /// Gives Dropout layers this rank's stream, if they have rank 0's: after loading a checkpoint.
  void spread_random();

  /// Asks all ranks to stop along with the next sums; after these all see `stop_requested()`, at the same step.
  void request_stop() { stop_ = true; }
  bool stop_requested() const { return stop_requested_; }

 private:
  struct Bucket {
    std::size_t begin, end;   // in the arena
    std::size_t first, last;  // of parameters_
    std::size_t pending;      // gradients not yet ready
  };
  struct Worker;

  void ready(Parameter<T>& parameter) override;
  void begin(const Layer<T>& root) override;
  void end(const Layer<T>& root) override;
  void loss(const Loss<T>& loss) override;

  void lay_out();
  Tensor<T> make_arena(std::size_t size, Device device);
  void prepare(bool active);
  void take(const T* header);
  void launch(std::size_t bucket);
  void sum(const Bucket& bucket);
  void finish();

  Layer<T>& net_;
  Communicator& communicator_;
  DataParallelOptions options_;

  std::vector<Parameter<T>> parameters_;  // last layer first
  std::vector<Tensor<T>> rooms_;          // where their gradients lie
  std::vector<Bucket> buckets_;
  Tensor<T> arena_, host_;  // host_: the arena itself, or for one on a GPU what goes through the host
  bool shared_ = false;     // the arena lies in memory that all ranks can read
  std::unique_ptr<Worker> worker_;
  kernels::RankSums* device_sums_ = nullptr;  // if the arena is on a GPU and the communicator sums there
  std::size_t launched_ = 0;                  // buckets launched in this backward

  std::optional<double> count_;  // rows of the next backward's loss
  bool mean_ = true;             // whether it averages over them
  bool told_ = false;            // by averaged_over()
  double rows_ = 0;              // rows of the backwards since the last sum
  double divisor_ = 1;           // N, as summed by the ranks
  std::size_t next_ = 0;         // in parameters_, the next expected to be ready
  bool mine_ = false;            // whether the running backward is the network's
  bool alone_ = false, summed_ = false, stop_ = false, stop_requested_ = false;
  bool others_train_ = true;  // at least one rank did in the last sum
};

}  // namespace handgrad
