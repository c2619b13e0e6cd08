#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// Another rank is gone, or does something else than this one.
class RankError : public Error {
  using Error::Error;
};

/// What processes that train together say to each other. They are numbered, rank 0 to size()−1; each call below is made
/// by all of them, in the same order and with the same sizes, and returns when this rank's part is done.
///
/// In one process: distributed/in_process.hpp, ranks that are threads. Between processes: distributed/mpi.hpp.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// x ← Σᵣ xᵣ, element by element; all ranks get the same bits. With deterministic() the sum is a chain in the order
  /// of the ranks, x₀ + x₁ + …, so that a run repeated on as many ranks has the same bits, too.
  virtual void all_reduce(std::span<float> x) = 0;
  virtual void all_reduce(std::span<double> x) = 0;
  /// All ranks get what rank `root` has.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void barrier() = 0;

  /// The same of tensors. One that lies on a GPU goes through the host, unless the communicator knows better.
  template <class T>
  void all_reduce(Tensor<T>& x);
  template <class T>
  void broadcast(Tensor<T>& x, int root = 0);

  /// Ends the others' waiting, with an error that tells the reason: for a rank that cannot go on.
  virtual void abort(const std::string& reason) noexcept = 0;

  /// Whether sums have an order of their own rather than the engine's. By default up to 8 ranks.
  bool deterministic() const { return deterministic_.value_or(size() <= 8); }
  void set_deterministic(bool on) { deterministic_ = on; }

  /// By how much this rank's loss counts in the loss of all, L = Σᵣ wᵣ·Lᵣ/Σᵣ wᵣ: how many rows it averages over. Set by
  /// DataParallel for layers that sum over the ranks (SyncBatchNorm).
  double loss_weight() const { return loss_weight_; }
  void set_loss_weight(double weight) { loss_weight_ = weight; }

 private:
  std::optional<bool> deterministic_;
  double loss_weight_ = 1;
};

/// What rank 0 has.
std::string broadcast(Communicator& communicator, std::string text, int root = 0);
/// Each rank's text, by rank.
std::vector<std::string> all_gather(Communicator& communicator, const std::string& mine);
/// The numbers of all ranks, those of rank 0 first.
std::vector<double> all_gather(Communicator& communicator, std::span<const double> mine);
/// Σᵣ of one number.
double all_reduce(Communicator& communicator, double mine);

/// Throws ValueError, on all ranks, unless all have the same text: "WHERE: rank 1 has WHAT …, rank 0 …". Of a text of
/// several lines, the first that differs is shown.
void require_same(Communicator& communicator, const std::string& where, const std::string& what,
                  const std::string& mine);

}  // namespace handgrad
