#include "handgrad/base/device.hpp"

#include <charconv>

#include "handgrad/base/errors.hpp"

namespace handgrad {

std::string Device::str() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(index_); }

Device Device::parse(const std::string& text) {
  if (text == "cpu") return cpu();
  if (text == "cuda") return cuda();
  if (text.starts_with("cuda:")) {
    int index = -1;
    const char* end = text.data() + text.size();
    auto [rest, error] = std::from_chars(text.data() + 5, end, index);
    if (error == std::errc() && rest == end && index >= 0) return cuda(index);
  }
  throw ValueError("device '" + text + "': expected cpu, cuda or cuda:0, cuda:1, …");
}

}  // namespace handgrad
