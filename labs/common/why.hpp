#pragma once
#include <string>

#include "handgrad/trace/trace.hpp"

namespace handgrad::labs {

/// A one-sentence explanation of an assignment for somebody who sees it for the first time; empty if unknown, as for a
/// user's own layer.
std::string why(const trace::Trace& trace, std::size_t assignment);

}  // namespace handgrad::labs
