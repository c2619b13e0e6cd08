#pragma once
// The kernels' side of a device. Not installed: for the library's own sources.
#include <cstddef>
#include <memory>
#include <string>

#include "handgrad/base/device.hpp"
#include "kernels/backend.hpp"
#include "kernels/device.hpp"

namespace handgrad {

/// A device's operations: `backend<T>(x.device()).linear.forward(…)`; handgrad/base/views.hpp makes their arguments.
/// This and the functions below throw DeviceError, with the reason, for a device that does not exist.
template <class T>
const kernels::Backend<T>& backend(Device device);
kernels::Memory& memory(Device device);
/// Null on the CPU, where there is nothing to gain.
std::unique_ptr<kernels::StepGraph> make_step_graph(Device device);
std::unique_ptr<kernels::Staging> make_staging(Device device, std::size_t bytes);
/// NCCL's sums: one rank makes an identifier, which all give. They throw where there is no NCCL, too.
std::string new_sums_id(Device device);
std::unique_ptr<kernels::RankSums> make_sums(Device device, const std::string& id, int rank, int ranks);

/// The ValueError for a bad target found by a loss over rows; `before` and `after` say where.
[[noreturn]] void throw_bad_class(const std::string& before, const kernels::BadClass& found,
                                  const std::string& after = "");

}  // namespace handgrad
