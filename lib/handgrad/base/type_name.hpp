#pragma once
#include <string>
#include <typeinfo>

namespace handgrad {

/// A class's name without namespace and template arguments: `Linear` for handgrad::Linear<float>.
std::string class_name(const std::type_info& type);

}  // namespace handgrad
