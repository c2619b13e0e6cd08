#include "handgrad/containers/blocks.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/views.hpp"

namespace handgrad {
namespace {

/// A tensor seen along a dimension: `outer` rows of `size`·`inner` elements.
struct Rows {
  std::size_t outer = 1, inner = 1;
  Rows(const Shape& shape, int dim) {
    for (int d = 0; d < dim; ++d) outer *= shape[d];
    for (int d = dim + 1; d < static_cast<int>(shape.rank()); ++d) inner *= shape[d];
  }
};

}  // namespace

int detail::dimension(const Shape& shape, int dim) {
  const int rank = static_cast<int>(shape.rank()), from_0 = dim < 0 ? rank + dim : dim;
  if (from_0 < 0 || from_0 >= rank)
    throw ShapeError("dimension " + std::to_string(dim) + " of a tensor of shape " + shape.str());
  return from_0;
}

Shape detail::joined_shape(const std::vector<Shape>& parts, int dim, const std::string& what) {
  if (parts.empty()) throw ShapeError("nothing to put side by side");
  const int d = dimension(parts[0], dim);
  Shape whole = parts[0];
  whole[d] = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Shape others = parts[i];
    if (others.rank() == whole.rank()) others[d] = parts[0][d];
    if (!(others == parts[0]))
      throw ShapeError(what + " " + std::to_string(i) + " has shape " + parts[i].str() + ", " + what + " 0 " +
                       parts[0].str() + "; side by side along dimension " + std::to_string(d) +
                       ", all other sizes must be equal");
    whole[d] += parts[i][d];
  }
  return whole;
}

template <class T>
void detail::Blocks<T>::join(const std::vector<Tensor<T>>& parts, int dim, Tensor<T>& whole) {
  const int d = dimension(whole.shape(), dim);
  const Rows rows(whole.shape(), d);
  const std::size_t row = whole.shape()[d] * rows.inner;
  if (whole.device().is_cpu()) {
    std::size_t before = 0;
    for (const Tensor<T>& part : parts) {
      const std::size_t width = part.shape()[d] * rows.inner;
      for (std::size_t o = 0; o < rows.outer; ++o)
        std::copy_n(part.data() + o * width, width, whole.data() + o * row + before);
      before += width;
    }
    return;
  }
  std::vector<std::size_t> key{0, rows.outer, row};
  for (const Tensor<T>& part : parts) key.push_back(part.shape()[d] * rows.inner);
  auto gather = std::find_if(gathers_.begin(), gathers_.end(), [&](const Gather& g) { return g.of == key; });
  if (gather == gathers_.end()) {
    // The parts form a stack; each row of the whole takes from one part after the other.
    Gather made{key, row, {}};
    for (std::size_t i = 3; i < key.size(); ++i) made.width = std::gcd(made.width, key[i]);
    std::vector<double> numbers;
    for (std::size_t o = 0; o < rows.outer; ++o) {
      std::size_t before = 0;
      for (std::size_t i = 3; i < key.size(); ++i) {
        for (std::size_t k = 0; k < key[i] / made.width; ++k)
          numbers.push_back(static_cast<double>((before + o * key[i]) / made.width + k));
        before += rows.outer * key[i];
      }
    }
    made.rows = Tensor<double>({numbers.size()}, numbers).to(whole.device());
    gathers_.push_back(std::move(made));
    gather = gathers_.end() - 1;
  }
  stack_.reserve({whole.numel()}, whole.device());
  std::size_t before = 0;
  for (const Tensor<T>& part : parts) {
    Tensor<T> place = stack_.rows(before, before + part.numel());
    place.copy_from(part.reshape({part.numel()}));
    before += part.numel();
  }
  const std::size_t lines = whole.numel() / gather->width;
  backend<T>(whole.device())
      .elements.gather_rows(view::rows_of(std::as_const(stack_), lines), view::vector(std::as_const(gather->rows)),
                            view::rows_of(whole, lines));
}

template <class T>
void detail::Blocks<T>::take(const Tensor<T>& whole, int dim, std::size_t first, Tensor<T>& part) {
  const int d = dimension(whole.shape(), dim);
  const Rows rows(whole.shape(), d);
  const std::size_t row = whole.shape()[d] * rows.inner, width = part.shape()[d] * rows.inner,
                    before = first * rows.inner;
  if (whole.device().is_cpu()) {
    for (std::size_t o = 0; o < rows.outer; ++o)
      std::copy_n(whole.data() + o * row + before, width, part.data() + o * width);
    return;
  }
  const std::vector<std::size_t> key{1, rows.outer, row, before, width};
  auto gather = std::find_if(gathers_.begin(), gathers_.end(), [&](const Gather& g) { return g.of == key; });
  if (gather == gathers_.end()) {
    Gather made{key, std::gcd(std::gcd(row, width), before), {}};
    std::vector<double> numbers;
    for (std::size_t o = 0; o < rows.outer; ++o)
      for (std::size_t k = 0; k < width / made.width; ++k)
        numbers.push_back(static_cast<double>((o * row + before) / made.width + k));
    made.rows = Tensor<double>({numbers.size()}, numbers).to(whole.device());
    gathers_.push_back(std::move(made));
    gather = gathers_.end() - 1;
  }
  backend<T>(whole.device())
      .elements.gather_rows(view::rows_of(whole, whole.numel() / gather->width),
                            view::vector(std::as_const(gather->rows)),
                            view::rows_of(part, part.numel() / gather->width));
}

template <class T>
void detail::add_to(Tensor<T>& y, const Tensor<T>& x) {
  backend<T>(y.device()).elements.add(view::vector(y), T(1), view::vector(x));
}

template <class T>
Tensor<T> cat(const std::vector<Tensor<T>>& tensors, int dim) {
  std::vector<Shape> shapes;
  for (const Tensor<T>& tensor : tensors) {
    shapes.push_back(tensor.shape());
    if (tensor.device() != tensors[0].device())
      throw DeviceError("cat: tensors on " + tensors[0].device().str() + " and on " + tensor.device().str());
  }
  try {
    const Shape shape = detail::joined_shape(shapes, dim, "tensor");
    auto whole = Tensor<T>::empty(shape, tensors[0].device());
    detail::Blocks<T>().join(tensors, dim, whole);
    return whole;
  } catch (Error& error) {
    error.prepend("cat: ");
    throw;
  }
}

template <class T>
std::vector<Tensor<T>> split(const Tensor<T>& x, const std::vector<std::size_t>& sizes, int dim) {
  std::vector<Tensor<T>> parts;
  std::size_t first = 0;
  Shape shape = x.shape();
  try {
    const int d = detail::dimension(shape, dim);
    if (std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) != shape[d])
      throw ShapeError("the sizes add up to " +
                       std::to_string(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0})) + ", dimension " +
                       std::to_string(d) + " of shape " + shape.str() + " expected");
    for (const std::size_t size : sizes) {
      shape[d] = size;
      parts.push_back(Tensor<T>::empty(shape, x.device()));
      if (size > 0) detail::Blocks<T>().take(x, d, first, parts.back());
      first += size;
    }
  } catch (Error& error) {
    error.prepend("split: ");
    throw;
  }
  return parts;
}

template class detail::Blocks<float>;
template class detail::Blocks<double>;
template void detail::add_to(Tensor<float>&, const Tensor<float>&);
template void detail::add_to(Tensor<double>&, const Tensor<double>&);
template Tensor<float> cat(const std::vector<Tensor<float>>&, int);
template Tensor<double> cat(const std::vector<Tensor<double>>&, int);
template std::vector<Tensor<float>> split(const Tensor<float>&, const std::vector<std::size_t>&, int);
template std::vector<Tensor<double>> split(const Tensor<double>&, const std::vector<std::size_t>&, int);

}  // namespace handgrad
