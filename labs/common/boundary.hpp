#pragma once
#include <functional>
#include <string>

#include "common/plot.hpp"
#include "handgrad/data/generators.hpp"

namespace handgrad::labs {

/// A binary classifier's output over the plane, with the points of `data` (x (N, 2), y (N, 1) of 0 and 1) and the
/// decision boundary. `probability` maps points (M, 2) to (M, 1).
Plot decision_boundary(const std::string& title, const Samples<float>& data,
                       const std::function<Tensor<float>(const Tensor<float>&)>& probability);

}  // namespace handgrad::labs
