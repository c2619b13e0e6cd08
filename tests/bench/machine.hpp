#pragma once

namespace bench {

/// The machine's peak in 10⁹ floating-point operations per second, by chains of fused multiply-adds in registers on
/// `threads` threads.
double peak_gflops(int threads);
/// 10⁹ bytes per second read from a buffer that fits no cache.
double read_gbytes(int threads);

}  // namespace bench
