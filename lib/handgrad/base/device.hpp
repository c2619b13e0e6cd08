#pragma once
#include <cstddef>
#include <functional>
#include <string>

namespace handgrad {

/// Where a tensor's elements are: `Device::cpu()` or `Device::cuda(i)`, printed as in PyTorch (`cpu`, `cuda:0`).
class Device {
 public:
  /// The kinds of devices.
  enum class Type { CPU, CUDA };

  /// The CPU, and a GPU by its number.
  static constexpr Device cpu() { return {Type::CPU, 0}; }
  static constexpr Device cuda(int index = 0) { return {Type::CUDA, index}; }
  /// From `cpu`, `cuda` or `cuda:1`. Throws ValueError for anything else.
  static Device parse(const std::string& text);

  constexpr Device() = default;
  /// What kind of device, and which of its kind; `str` gives what `parse` reads.
  constexpr Type type() const { return type_; }
  constexpr int index() const { return index_; }
  constexpr bool is_cpu() const { return type_ == Type::CPU; }
  constexpr bool is_cuda() const { return type_ == Type::CUDA; }
  std::string str() const;
  constexpr bool operator==(const Device&) const = default;

 private:
  constexpr Device(Type type, int index) : type_(type), index_(index) {}
  Type type_ = Type::CPU;
  int index_ = 0;
};

/// Whether tensors can be moved to a GPU here; if not, `cuda_unavailable_reason()` says why (not built in, no driver,
/// no device). CUDA's libraries are loaded by the first call, or the first use of a CUDA device, and not otherwise.
bool cuda_available();
std::string cuda_unavailable_reason();
/// Number of CUDA devices; 0 when CUDA is not available.
int device_count();

/// Bytes of a device's memory.
struct DeviceMemory {
  std::size_t free = 0, total = 0;  // bytes
};
/// A GPU's name, as its maker calls it, and its memory. Throw DeviceError for the CPU and for a missing device.
std::string device_name(Device device);
DeviceMemory device_memory(Device device);
/// Waits until a device has finished all its work; on the CPU returns at once. For timing: a GPU works on while the
/// program continues. (`item()`, `cpu()` and the like wait by themselves.)
void synchronize(Device device);
/// Seconds that `work` takes on a device: on a GPU between two events of its stream, on the CPU by the clock. The first
/// run includes one-time costs of loading and set-up: run it once untimed.
double seconds_on(Device device, const std::function<void()>& work);

/// The precision in which a GPU multiplies float matrices (double matrices are always multiplied in double).
enum class MatmulPrecision {
  FP32,  // unrounded; the default
  TF32,  // factors rounded to 11 significant bits in the multiplier; sums in float
  BF16,  // factors rounded to bfloat16, 8 significant bits; sums in float. Weights and gradients stay float
};
/// For all products on a CUDA device from now on. Throws DeviceError for the CPU, which has FP32 only.
void set_matmul_precision(Device device, MatmulPrecision precision);
MatmulPrecision matmul_precision(Device device);

}  // namespace handgrad
