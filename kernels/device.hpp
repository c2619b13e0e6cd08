#pragma once
// What a device offers besides operations: memory, asynchronous transfers, and recorded steps.
#include <cstddef>
#include <span>
#include <string>

namespace handgrad::kernels {

/// A device's memory. `upload` copies from the host, `download` to the host.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* address, std::size_t bytes) noexcept = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
};

/// The host's memory, in whole cache lines (kernels/cpu).
Memory& cpu_memory();

struct MemorySize {
  std::size_t free = 0, total = 0;  // bytes
};

/// Host memory from which a device copies while it computes. A destination belongs to one Staging: with two of them and
/// two device buffers, used in turn, one batch arrives while the previous one is in use.
class Staging {
 public:
  virtual ~Staging() = default;
  struct Transfer {
    void* to;          // in the device's memory
    const void* from;  // in the staging memory
    std::size_t bytes;
  };
  /// The memory to write to. Waits for earlier transfers from it.
  virtual void* host() = 0;
  /// Does not wait. The transfer runs after the last `release` and before any work the device is given from now on.
  virtual void send(std::span<const Transfer> transfers) = 0;
  /// Call when all work that reads the last transfer has been given to the device.
  virtual void release() = 0;
};

/// A sequence of operations that runs many times: where the device can, it is recorded and then replayed without the
/// cost of each launch. The operations are called every time, between `begin` and `end`; the results never depend on
/// whether they were recorded.
class StepGraph {
 public:
  virtual ~StepGraph() = default;
  virtual void begin() = 0;
  virtual void end() = 0;
  /// Instead of `end` after an exception: what was called before it is carried out.
  virtual void abandon() noexcept = 0;
  /// Was the last sequence recorded, or replayed?
  virtual bool captured() const = 0;
  /// Why it was not.
  virtual std::string reason() const = 0;
};

/// One rank's part in sums over the devices of several ranks.
class RankSums {
 public:
  virtual ~RankSums() = default;
  /// x ← Σ x over all ranks, after the work queued so far and beside the work queued next. All ranks must call it in
  /// the same order with the same counts.
  virtual void add(float* x, std::size_t count) = 0;
  virtual void add(double* x, std::size_t count) = 0;
  /// Work queued from now on runs after all sums. The host does not wait.
  virtual void finish() = 0;
  /// Ends sums that wait for a rank that is gone.
  virtual void abort() noexcept = 0;
};

/// The precision in which a device multiplies float matrices.
enum class Precision {
  FP32,  // unrounded
  TF32,  // factors rounded to 11 significant bits in the multiplier; sums in float
  BF16,  // factors rounded to bfloat16, 8 significant bits; sums in float
};

/// A target outside 0 … classes−1.
struct BadClass {
  std::size_t row;
  double target;
  std::size_t classes;
};

/// What a device calls when it cannot go on. Each throws; the error types are those of whoever uses the kernels.
struct Raise {
  void (*device_error)(const std::string& message);
  void (*bad_class)(const BadClass& found, const std::string& device);
};

}  // namespace handgrad::kernels
