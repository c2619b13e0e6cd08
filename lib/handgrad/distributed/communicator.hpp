#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad {

namespace kernels {
class RankSums;
}

/// Another rank is gone, or has called something else than this one.
class RankError : public Error {
  using Error::Error;
};

/// Communication between ranks that train together, numbered 0 to size()−1. Every call below must be made by all ranks,
/// in the same order and with the same sizes; it returns when this rank's part is done.
///
/// Ranks that are threads of one process: distributed/in_process.hpp. Processes: distributed/mpi.hpp. Ranks with a GPU
/// each: distributed/nccl.hpp.
class Communicator {
 public:
  virtual ~Communicator() = default;
  /// Which rank this is, from 0, and of how many.
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// x ← Σᵣ xᵣ, element by element; all ranks get the same bits. With deterministic(), x₀ + x₁ + … is added in the
  /// order of the ranks, so that a repeated run on as many ranks also gives the same bits.
  virtual void all_reduce(std::span<float> x) = 0;
  virtual void all_reduce(std::span<double> x) = 0;
  /// x ← factor·Σᵣ weightᵣ·xᵣ, with a weight of each rank's own and one factor for all, as three operations would
  /// round.
  virtual void all_reduce(std::span<float> x, float weight, float factor);
  virtual void all_reduce(std::span<double> x, double weight, double factor);
  /// All ranks get the bytes of rank `root`.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void barrier() = 0;

  /// Sums on this GPU without the host; null if its tensors go through the host.
  virtual kernels::RankSums* sums_on(Device) { return nullptr; }

  /// Zeros in memory that all ranks can read, where sums need no copies; null where there is none. It is freed with the
  /// last handle.
  virtual std::shared_ptr<void> memory(std::size_t) { return nullptr; }

  /// The same ranks for a second thread, whose calls are independent of this one's; null if only one thread may call.
  virtual Communicator* beside() { return nullptr; }

  /// The same for tensors.
  template <class T>
  void all_reduce(Tensor<T>& x);
  template <class T>
  void broadcast(Tensor<T>& x, int root = 0);

  /// Wakes waiting ranks with an error that gives the reason, for a rank that cannot go on.
  virtual void abort(const std::string& reason) noexcept = 0;

  /// Whether sums are in rank order rather than the engine's. Default: for up to 8 ranks.
  bool deterministic() const { return deterministic_.value_or(size() <= 8); }
  void set_deterministic(bool on) { deterministic_ = on; }

  /// The weight wᵣ of this rank's loss in the total, L = Σᵣ wᵣ·Lᵣ/Σᵣ wᵣ: the number of rows it averages over. Set by
  /// DataParallel for layers that sum over ranks (SyncBatchNorm).
  double loss_weight() const { return loss_weight_; }
  void set_loss_weight(double weight) { loss_weight_ = weight; }

 private:
  std::optional<bool> deterministic_;
  double loss_weight_ = 1;
};

/// The text of rank `root`.
std::string broadcast(Communicator& communicator, std::string text, int root = 0);
/// Each rank's text, by rank.
std::vector<std::string> all_gather(Communicator& communicator, const std::string& mine);
/// The numbers of all ranks, in rank order.
std::vector<double> all_gather(Communicator& communicator, std::span<const double> mine);
/// Σᵣ of one number.
double all_reduce(Communicator& communicator, double mine);

/// Throws ValueError, on all ranks, unless all have the same text: "WHERE: rank 1 has WHAT …, rank 0 has …; ADVICE",
/// showing the first line that differs.
void require_same(Communicator& communicator, const std::string& where, const std::string& what,
                  const std::string& mine, const std::string& advice = "");

}  // namespace handgrad
