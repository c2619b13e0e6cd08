#pragma once
// The processor as a device, for the classes over a device in kernels/*.hpp.

// The instruction set that a file is compiled for has a namespace of its own, so that several can be linked together.
#ifndef HANDGRAD_CPU_ARCH
#define HANDGRAD_CPU_ARCH native
#endif

namespace handgrad::kernels::cpu {
inline namespace HANDGRAD_CPU_ARCH {

struct Cpu {};

}  // namespace HANDGRAD_CPU_ARCH
}  // namespace handgrad::kernels::cpu
