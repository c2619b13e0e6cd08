#pragma once
// The interface of libhandgrad_cuda.so to the library. It is loaded on the first use of a CUDA device, so that other
// programs do not load CUDA's libraries. It refers to no symbol of the library, which may be static or shared.
#include <functional>
#include <memory>
#include <string>

#include "kernels/backend.hpp"
#include "kernels/device.hpp"

namespace handgrad::kernels::cuda {

class Module {
 public:
  virtual ~Module() = default;
  /// 0 if none can be used; `unavailable_reason` says why.
  virtual int device_count() = 0;
  virtual std::string unavailable_reason() = 0;

  // For an index below device_count():
  virtual std::string device_name(int index) = 0;
  virtual MemorySize device_memory(int index) = 0;
  virtual void synchronize(int index) = 0;
  virtual double seconds_of(int index, const std::function<void()>& work) = 0;
  virtual void set_precision(int index, Precision precision) = 0;
  virtual Precision precision(int index) = 0;
  virtual Memory& memory(int index) = 0;
  virtual const Backend<float>& backend(int index, float) = 0;
  virtual const Backend<double>& backend(int index, double) = 0;
  virtual std::unique_ptr<StepGraph> step_graph(int index) = 0;
  virtual std::unique_ptr<Staging> staging(int index, std::size_t bytes) = 0;

  // NCCL (nccl.cpp). Raise a device error where it is not there.
  /// What one rank asks for, and all are given.
  virtual std::string new_sums_id() = 0;
  /// Returns when all ranks have called it.
  virtual std::unique_ptr<RankSums> sums(int index, const std::string& id, int rank, int ranks) = 0;
};

/// The library and the module are built separately: they fit together only if both saw the same declarations, of which
/// HANDGRAD_CUDA_ABI is a hash (kernels/cuda/abi.cmake).
extern "C" {
using AbiFunction = const char*();
/// Never null, and never destroyed.
using ModuleFunction = Module*(const Raise&);
}
inline constexpr const char* abi_symbol = "handgrad_cuda_abi";
inline constexpr const char* module_symbol = "handgrad_cuda_module";

}  // namespace handgrad::kernels::cuda
