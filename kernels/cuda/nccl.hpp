#pragma once
// Sums between devices by NCCL, whose library is loaded when somebody first asks for one.
#include <memory>
#include <string>

#include "kernels/cuda/context.hpp"

namespace handgrad::kernels::cuda {

std::string new_nccl_id();
std::unique_ptr<RankSums> make_nccl_sums(Context& context, const std::string& id, int rank, int ranks);

}  // namespace handgrad::kernels::cuda
