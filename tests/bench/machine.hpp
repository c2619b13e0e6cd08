#pragma once

namespace bench {

/// What the machine can do: 10⁹ floating-point operations a second, by chains of fused multiply-adds in registers, on
/// so many threads at once.
double peak_gflops(int threads);
/// 10⁹ bytes read a second from a buffer that fits no cache.
double read_gbytes(int threads);

}  // namespace bench
