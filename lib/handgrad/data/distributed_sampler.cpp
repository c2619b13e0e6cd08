#include "handgrad/data/distributed_sampler.hpp"

#include <numeric>
#include <string>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/random.hpp"

namespace handgrad {

DistributedSampler::DistributedSampler(std::size_t examples, int num_replicas, int rank,
                                       DistributedSamplerOptions options)
    : examples_(examples),
      replicas_(static_cast<std::size_t>(num_replicas)),
      rank_(static_cast<std::size_t>(rank)),
      options_(options) {
  if (num_replicas < 1 || rank < 0 || rank >= num_replicas)
    throw ValueError("DistributedSampler: rank " + std::to_string(rank) + " of " + std::to_string(num_replicas));
  const bool even = options.drop_last || !options.pad;
  size_ = even ? examples / replicas_ : (examples + replicas_ - 1) / replicas_;
  if (!options.drop_last && !options.pad && rank_ < examples % replicas_) ++size_;
  if (examples == 0 || size_ == 0)
    throw ValueError("DistributedSampler: of " + std::to_string(examples) + " examples there is none for rank " +
                     std::to_string(rank) + " of " + std::to_string(num_replicas));
}

std::vector<std::size_t> DistributedSampler::indices() const {
  std::vector<std::size_t> all(examples_);
  if (options_.shuffle) {
    Generator own(options_.seed + epoch_);
    all = randperm(examples_, own);
  } else {
    std::iota(all.begin(), all.end(), std::size_t{0});
  }
  std::vector<std::size_t> mine(size_);
  for (std::size_t i = 0; i < size_; ++i) mine[i] = all[(rank_ + i * replicas_) % examples_];  // wraps around
  return mine;
}

}  // namespace handgrad
