#pragma once
// The common part of containers that branch.
#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "handgrad/containers/blocks.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/contract/layer.hpp"

namespace handgrad::detail {

/// A single layer as it is, several as a Sequential.
template <class T, class... L>
std::shared_ptr<Layer<T>> as_one(L&&... layers) {
  static_assert((std::derived_from<std::remove_cvref_t<L>, Layer<T>> && ...),
                "all layers of a container are of one number type");
  static_assert((!std::is_lvalue_reference_v<L> && ...), "a container takes its layers over: std::move(layer)");
  if constexpr (sizeof...(L) == 1)
    return (std::make_shared<std::remove_cvref_t<L>>(std::move(layers)), ...);
  else
    return std::make_shared<Sequential<T>>(std::move(layers)...);
}

/// Runs `f` and puts the branch's name in front of any error.
template <class F>
decltype(auto) in_branch(const std::string& branch, F&& f) {
  try {
    return f();
  } catch (Error& error) {
    error.prepend(branch);
    throw;
  }
}

/// The shape of a branch's output; an error names the branch: "branch 1, Linear(4 → 1): …".
template <class T>
Shape branch_shape(const std::string& branch, const Layer<T>& layer, const Shape& input) {
  return in_branch(branch + ", " + (layer.children().empty() ? layer.label() + ": " : ""),
                   [&] { return layer.output_shape(input); });
}

/// A layer whose children are branches, each for x or a part of it.
template <class T>
class Branching : public Layer<T> {
 public:
  /// If any branch takes its input as indices, there is no dx.
  bool differentiable_input() const override;

 protected:
  void input_grad_changed() override;
};

/// A Branching whose outputs are side by side along a dimension, by default 1.
template <class T>
class SideBySide : public Branching<T> {
 public:
  int dim() const { return dim_; }
  std::size_t size() const { return this->children().size(); }
  /// Branch i, from 0. Throws ValueError if there is none.
  Layer<T>& operator[](std::size_t i) const;

 protected:
  /// Branch after branch, each with its part of δ.
  void backward_branches(const Tensor<T>& dy);

  int dim_ = 1;
  Blocks<T> blocks_;
  std::vector<Tensor<T>> outputs_, gradients_;  // handles of the branches' last results
  std::vector<Tensor<T>> deltas_;
};

}  // namespace handgrad::detail
