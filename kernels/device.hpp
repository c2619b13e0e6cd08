#pragma once
// What a device offers besides operations: memory, transfers that go on beside the work, steps that are recorded.
#include <cstddef>
#include <span>
#include <string>

namespace handgrad::kernels {

/// A device's memory. `upload` and `download` cross from and to the host.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* address, std::size_t bytes) noexcept = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
};

/// The host's own, in whole cache lines. (kernels/cpu)
Memory& cpu_memory();

struct MemorySize {
  std::size_t free = 0, total = 0;  // bytes
};

/// Memory of the host from which a device copies by itself, while it computes. What it copies to belongs to one such:
/// with two of them, and two buffers of the device, in turn, one batch arrives while the one before is computed with.
class Staging {
 public:
  virtual ~Staging() = default;
  struct Transfer {
    void* to;          // in the device's memory
    const void* from;  // in the staging memory
    std::size_t bytes;
  };
  /// The memory, to be written. Waits for what was sent from it before.
  virtual void* host() = 0;
  /// Does not wait. What the device is given to do from now on comes after it; it comes after the last `release`.
  virtual void send(std::span<const Transfer> transfers) = 0;
  /// All that reads what was sent before has been given to the device.
  virtual void release() = 0;
};

/// A sequence of operations that is run many times: recorded by the device where it can be, and replayed then without
/// the cost of each launch. The operations are called every time, between `begin` and `end`; what they come to never
/// depends on whether they were recorded.
class StepGraph {
 public:
  virtual ~StepGraph() = default;
  virtual void begin() = 0;
  virtual void end() = 0;
  /// Instead of `end`, when an exception left the sequence: what came before it is carried out.
  virtual void abandon() noexcept = 0;
  /// Was the last sequence recorded, or replayed?
  virtual bool captured() const = 0;
  /// Why not, when it was not.
  virtual std::string reason() const = 0;
};

/// How exactly a device multiplies matrices of floats.
enum class Precision {
  FP32,  // as they are
  TF32,  // factors rounded to 11 significant bits in the multiplier; sums in float
  BF16,  // factors rounded to bfloat16, 8 significant bits; sums in float
};

/// A target that is no class: not one of 0 … classes−1.
struct BadClass {
  std::size_t row;
  double target;
  std::size_t classes;
};

/// What a device calls when it cannot go on. Each throws: kernels know no errors by name, whoever uses them does.
struct Raise {
  void (*device_error)(const std::string& message);
  void (*bad_class)(const BadClass& found, const std::string& device);
};

}  // namespace handgrad::kernels
