#pragma once
// Runs a Sequential, fused where possible, and the same layers one by one.
#include <string>
#include <vector>

#include "handgrad/containers/sequential.hpp"
#include "support/check.hpp"

namespace handgrad::test {

/// Whether a fused path on the CPU must agree with the unfused one to the last bit, or up to rounding.
constexpr bool fused_bit_for_bit = true;

/// y, dx and the gradients of all parameters, in that order.
template <class T>
using Results = std::vector<Tensor<T>>;

template <class T>
Results<T> results(const Sequential<T>& net, const Tensor<T>& y, const Tensor<T>& dx) {
  Results<T> all{y.clone(), dx.clone()};
  for (const auto& parameter : net.parameters()) all.push_back(parameter.grad().clone());
  return all;
}

/// Fused, for a Sequential whose dx is requested.
template <class T>
Results<T> together(Sequential<T>& net, const Tensor<T>& x, const Tensor<T>& dy) {
  const Tensor<T> y = net.forward(x);
  return results(net, y, net.backward(dy));
}

template <class T>
Tensor<T> forward_one_by_one(Sequential<T>& net, const Tensor<T>& x) {
  Tensor<T> y = x;
  for (std::size_t i = 0; i < net.size(); ++i) y = net[i].forward(y);
  return y;
}
template <class T>
Tensor<T> backward_one_by_one(Sequential<T>& net, Tensor<T> dy) {
  for (std::size_t i = net.size(); i-- > 0;) dy = net[i].backward(dy);
  return dy;
}
template <class T>
Results<T> one_by_one(Sequential<T>& net, const Tensor<T>& x, const Tensor<T>& dy) {
  const Tensor<T> y = forward_one_by_one(net, x);
  return results(net, y, backward_one_by_one(net, dy));
}

template <class T>
void check_same(const Results<T>& actual, const Results<T>& expected, double tolerance, const std::string& what) {
  BOOST_TEST_REQUIRE(actual.size() == expected.size());
  const auto name = [](std::size_t i) { return i == 0 ? "y" : i == 1 ? "dx" : "gradient " + std::to_string(i - 2); };
  for (std::size_t i = 0; i < actual.size(); ++i)
    check_close(actual[i], expected[i], fused_bit_for_bit && actual[i].device().is_cpu() ? 0 : tolerance,
                what + ", " + name(i));
}

}  // namespace handgrad::test
