#include "handgrad/base/shape.hpp"

#include "handgrad/base/errors.hpp"

namespace handgrad {

std::string Shape::str() const {
  std::string text = "(";
  for (std::size_t i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string(sizes_[i]);
  return text + (rank_ == 1 ? ",)" : ")");
}

void Shape::too_many() { throw ShapeError("a shape of more than 4 dimensions: tensors have rank 0 to 4"); }

}  // namespace handgrad
