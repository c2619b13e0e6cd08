#include "handgrad/base/backend.hpp"

#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "kernels/cuda/module.hpp"

namespace handgrad {

namespace {

/// The CUDA module, or why there is none.
struct Cuda {
  kernels::cuda::Module* module = nullptr;
  int devices = 0;
  std::string reason;
};

std::string dl_error() {
  const char* text = dlerror();
  return text ? text : "unknown error";
}

#ifdef HANDGRAD_CUDA_DIRECTORIES
// Beside the running code (libhandgrad.so, or the program when the library is static), then the directories of the
// build and of the installation.
std::vector<std::string> places() {
  std::vector<std::string> places;
  Dl_info here;
  if (dladdr(reinterpret_cast<void*>(&places), &here) != 0 && here.dli_fname) {
    std::error_code ignored;
    const std::filesystem::path file = std::filesystem::canonical(here.dli_fname, ignored);
    if (!ignored) places.push_back(file.parent_path().string());
  }
  for (const char* directory : {HANDGRAD_CUDA_DIRECTORIES}) places.push_back(directory);
  return places;
}
#endif

// Called by the module when it cannot go on.
const kernels::Raise raise{
    [](const std::string& message) { throw DeviceError(message); },
    [](const kernels::BadClass& found, const std::string& device) {
      throw_bad_class("", found, " (found on " + device + ")");
    },
};

Cuda load(const std::string& file) {
  // Never closed: memory from it may outlive everything else.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return {nullptr, 0, "the CUDA kernels cannot be loaded: " + dl_error()};
  const auto abi = reinterpret_cast<kernels::cuda::AbiFunction*>(dlsym(library, kernels::cuda::abi_symbol));
  const auto module = reinterpret_cast<kernels::cuda::ModuleFunction*>(dlsym(library, kernels::cuda::module_symbol));
  if (!abi || !module || std::string(abi()) != HANDGRAD_CUDA_ABI)
    return {nullptr, 0, file + " was built for another version of handgrad"};
  Cuda cuda{module(raise), 0, ""};
  cuda.devices = cuda.module->device_count();
  if (cuda.devices == 0) cuda.reason = cuda.module->unavailable_reason();
  return cuda;
}

Cuda find() {
  // For tests, and for a module installed elsewhere.
  if (const char* file = std::getenv("HANDGRAD_CUDA_LIBRARY"); file && *file) return load(file);
#ifndef HANDGRAD_CUDA_DIRECTORIES
  return {nullptr, 0, "handgrad was built without CUDA"};
#else
  // The driver first: without it, half a gigabyte of libraries need not be loaded.
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) return {nullptr, 0, "there is no NVIDIA driver: " + dl_error()};
  std::string tried;
  for (const std::string& place : places()) {
    const std::string file = place + "/libhandgrad_cuda.so";
    if (std::error_code ignored; std::filesystem::exists(file, ignored)) return load(file);
    tried += (tried.empty() ? "" : ", ") + place;
  }
  return {nullptr, 0,
          "libhandgrad_cuda.so was not found in " + tried + "; HANDGRAD_CUDA_LIBRARY=FILE says where it is"};
#endif
}

const Cuda& cuda_module() {
  static const Cuda cuda = find();
  return cuda;
}

// The module, for an existing device.
kernels::cuda::Module& module_for(Device device) {
  if (device.is_cpu()) throw DeviceError("a CUDA device expected, cpu came");
  const Cuda& cuda = cuda_module();
  if (device.index() >= 0 && device.index() < cuda.devices) return *cuda.module;
  const std::string there = "there " + (cuda.devices == 1 ? std::string("is 1 CUDA device")
                                                          : "are " + std::to_string(cuda.devices) + " CUDA devices");
  throw DeviceError("device " + device.str() + " cannot be used: " + (cuda.devices == 0 ? cuda.reason : there));
}

}  // namespace

template <class T>
const kernels::Backend<T>& backend(Device device) {
  return device.is_cpu() ? kernels::cpu_backend<T>() : module_for(device).backend(device.index(), T());
}
template const kernels::Backend<float>& backend<float>(Device);
template const kernels::Backend<double>& backend<double>(Device);

kernels::Memory& memory(Device device) {
  return device.is_cpu() ? kernels::cpu_memory() : module_for(device).memory(device.index());
}
std::unique_ptr<kernels::StepGraph> make_step_graph(Device device) {
  return device.is_cpu() ? nullptr : module_for(device).step_graph(device.index());
}
std::unique_ptr<kernels::Staging> make_staging(Device device, std::size_t bytes) {
  return device.is_cpu() ? nullptr : module_for(device).staging(device.index(), bytes);
}
std::string new_sums_id(Device device) { return module_for(device).new_sums_id(); }
std::unique_ptr<kernels::RankSums> make_sums(Device device, const std::string& id, int rank, int ranks) {
  return module_for(device).sums(device.index(), id, rank, ranks);
}

void throw_bad_class(const std::string& before, const kernels::BadClass& found, const std::string& after) {
  throw ValueError(before + "target " + std::to_string(found.row) + " is " + format_number(found.target) +
                   ", a class from 0 to " + std::to_string(found.classes - 1) + " expected" + after);
}

bool cuda_available() { return device_count() > 0; }
std::string cuda_unavailable_reason() { return cuda_module().reason; }
int device_count() { return cuda_module().devices; }

std::string device_name(Device device) { return module_for(device).device_name(device.index()); }
DeviceMemory device_memory(Device device) {
  const kernels::MemorySize size = module_for(device).device_memory(device.index());
  return {size.free, size.total};
}
void synchronize(Device device) {
  if (device.is_cuda()) module_for(device).synchronize(device.index());
}
double seconds_on(Device device, const std::function<void()>& work) {
  if (device.is_cuda()) return module_for(device).seconds_of(device.index(), work);
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The same three values, in the same order.
static_assert(static_cast<int>(MatmulPrecision::FP32) == static_cast<int>(kernels::Precision::FP32) &&
              static_cast<int>(MatmulPrecision::TF32) == static_cast<int>(kernels::Precision::TF32) &&
              static_cast<int>(MatmulPrecision::BF16) == static_cast<int>(kernels::Precision::BF16));
void set_matmul_precision(Device device, MatmulPrecision precision) {
  module_for(device).set_precision(device.index(), static_cast<kernels::Precision>(precision));
}
MatmulPrecision matmul_precision(Device device) {
  return static_cast<MatmulPrecision>(module_for(device).precision(device.index()));
}

}  // namespace handgrad
