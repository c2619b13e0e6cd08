#include "common/boundary.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace handgrad::labs {

Plot decision_boundary(const std::string& title, const Samples<float>& data,
                       const std::function<Tensor<float>(const Tensor<float>&)>& probability) {
  const Tensor<float> x = data.x.cpu(), y = data.y.cpu();
  std::array<std::array<std::vector<float>, 2>, 2> points;  // class, coordinate
  std::array<std::vector<float>, 2> all;
  for (std::size_t i = 0; i < x.size(0); ++i)
    for (const std::size_t k : {0, 1}) {
      points[y.item(i, 0) > 0.5f][k].push_back(x.item(i, k));
      all[k].push_back(x.item(i, k));
    }
  constexpr std::size_t n = 100;
  std::array<Tensor<float>, 2> axes;
  for (const std::size_t k : {0, 1}) {
    const auto [low, high] = std::minmax_element(all[k].begin(), all[k].end());
    axes[k] = linspace<float>(*low - 0.3f, *high + 0.3f, n);
  }
  std::vector<float> grid;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) grid.insert(grid.end(), {axes[0].item(j), axes[1].item(i)});

  Plot plot(title, "x₁", "x₂");
  plot.surface(axes[0], axes[1], probability({{n * n, 2}, grid}), "probability of class 1", Plot::Scale::Probability)
      .contours({0.5})
      .points(points[0][0], points[0][1], "class 0")
      .points(points[1][0], points[1][1], "class 1");
  return plot;
}

}  // namespace handgrad::labs
