#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace handgrad {

struct DistributedSamplerOptions {
  bool shuffle = true;     ///< a new random order for each epoch, the same on all ranks
  std::uint64_t seed = 0;  ///< of that order, the same on all ranks
  bool drop_last = false;  ///< leave out the last n mod k examples, rather than repeat the first ones
  bool pad = true;         ///< repeat the first ones, so that all ranks have as many; without: each example once, for
                           ///< validation (PyTorch's always pads, and counts some examples twice)
};

/// A rank's examples in an epoch, as torch.utils.data.DistributedSampler: of the n examples, permuted if `shuffle` by a
/// generator seeded with seed + epoch, rank r of k takes the r-th, the (r+k)-th, … So the b-th batches of all ranks
/// together are the b-th batch of k times the rows on one rank.
///
///     DistributedSampler mine(data.size(), world.size(), world.rank());
///     DataLoader loader(data, {.batch_size = 32, .sampler = &mine});
///     for (int epoch = 0; epoch < 10; ++epoch) {
///       mine.set_epoch(epoch);                        // fit does it
///       for (auto& [x, t] : loader) …
///     }
class DistributedSampler {
 public:
  /// Throws ValueError unless 0 ≤ rank < num_replicas and this rank gets an example.
  DistributedSampler(std::size_t examples, int num_replicas, int rank, DistributedSamplerOptions options = {});

  /// Which permutation: a sampler that is never told shuffles every epoch alike.
  void set_epoch(std::size_t epoch) { epoch_ = epoch; }
  /// The number of examples on this rank.
  std::size_t size() const { return size_; }
  std::vector<std::size_t> indices() const;

  /// The number of examples on all ranks.
  std::size_t examples() const { return examples_; }
  const DistributedSamplerOptions& options() const { return options_; }

 private:
  std::size_t examples_, replicas_, rank_, size_;
  DistributedSamplerOptions options_;
  std::size_t epoch_ = 0;
};

}  // namespace handgrad
