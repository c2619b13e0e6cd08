#pragma once

namespace handgrad::kernels::cpu {

/// The processor as a device, for the classes over a device in kernels/*.hpp.
struct Cpu {};

}  // namespace handgrad::kernels::cpu
