#pragma once
#include <string>

namespace handgrad {

/// Where a tensor's elements lie: `Device::cpu()` or `Device::cuda(i)`, printed as PyTorch does (`cpu`, `cuda:0`).
class Device {
 public:
  enum class Type { CPU, CUDA };

  static constexpr Device cpu() { return {Type::CPU, 0}; }
  static constexpr Device cuda(int index = 0) { return {Type::CUDA, index}; }
  /// From `cpu`, `cuda` or `cuda:1`. Throws ValueError for anything else.
  static Device parse(const std::string& text);

  constexpr Device() = default;
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

/// Can tensors be moved to a GPU here? If not, `cuda_unavailable_reason()` says why (not built in, no driver, no
/// device).
bool cuda_available();
std::string cuda_unavailable_reason();
/// Number of CUDA devices; 0 when CUDA is not available.
int device_count();

}  // namespace handgrad
