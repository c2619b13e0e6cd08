#pragma once
// Kernels that other files call: defined in the .cu file of their subject.
#include <cstddef>

namespace handgrad::kernels::cuda {

class Context;

/// elements.cu: float to the nearest bfloat16.
void round_to_bfloat16(Context& context, std::size_t n, const float* x, unsigned short* y);

}  // namespace handgrad::kernels::cuda
