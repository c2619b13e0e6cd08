#pragma once
#include <string>

#include "handgrad/trace/trace.hpp"

namespace handgrad::labs {

/// Why an assignment is as it is, in a sentence for who sees it for the first time; empty where nothing is known, as of
/// a layer of one's own.
std::string why(const trace::Trace& trace, std::size_t assignment);

}  // namespace handgrad::labs
