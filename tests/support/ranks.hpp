#pragma once
// What tests on several threads need.
#include <mutex>

namespace handgrad::test {

/// Held by a rank while it checks: Boost.Test is for one thread at a time. Not across a sum, for which all ranks meet.
inline std::unique_lock<std::mutex> one_at_a_time() {
  static std::mutex mutex;
  return std::unique_lock(mutex);
}

}  // namespace handgrad::test
