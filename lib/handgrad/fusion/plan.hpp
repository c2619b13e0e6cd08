#pragma once
#include <cstddef>
#include <vector>

#include "handgrad/fusion/pattern.hpp"

namespace handgrad::fusion {

/// Which of a container's layers run as one. The container makes a new plan when its layers change, and runs it:
///
///     for (std::size_t i = 0; i < size();) h = &plan.forward(i, *h);
///     for (std::size_t i = size(); i > 0;) delta = &plan.backward(i, *delta);
///
/// A traced run is not fused.
template <class T>
class Plan {
 public:
  Plan() = default;
  explicit Plan(std::vector<Layer<T>*> layers);

  /// Runs layer i, or several from i on as one, and moves i past them. Returns the output of the last.
  const Tensor<T>& forward(std::size_t& i, const Tensor<T>& x) const;
  /// Goes back through layer i−1, or several down from there as one, and moves i to the lowest. Returns its dx.
  const Tensor<T>& backward(std::size_t& i, const Tensor<T>& dy) const;

  /// The pattern that begins with layer i in a forward, or ends with it in a backward; null if the layer runs alone.
  const Pattern<T>* forward_at(std::size_t i) const { return forward_[i].pattern; }
  const Pattern<T>* backward_at(std::size_t i) const { return backward_[i].pattern; }

 private:
  struct Step {
    const Pattern<T>* pattern = nullptr;
    std::size_t layers = 1;
  };
  std::vector<Layer<T>*> layers_;
  std::vector<Step> forward_, backward_;  // one for each layer
};

}  // namespace handgrad::fusion
