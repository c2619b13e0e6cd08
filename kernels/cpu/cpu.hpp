#pragma once

namespace handgrad::kernels::cpu {

/// The processor as a device, for the classes in kernels/*.hpp that take one.
struct Cpu {};

}  // namespace handgrad::kernels::cpu
