#include "handgrad/layers/window_trace.hpp"

#include <algorithm>

namespace handgrad::detail {

namespace {

constexpr std::size_t most_terms = 50'000;

WindowPlaces made(const Shape& shape, std::size_t elements) {
  WindowPlaces made{{shape, {}}, false};
  made.small = made.places.shape.numel() * elements <= most_terms;
  if (made.small) made.places.numbers.reserve(made.places.shape.numel());
  return made;
}

}  // namespace

WindowPlaces patches(const Planes& x, bool batched, std::size_t spatial, const formulas::Axis& rows,
                     const formulas::Axis& columns) {
  Shape shape;
  if (batched) shape.push_back(x.batch);
  if (spatial == 2) shape.push_back(rows.out);
  shape.push_back(columns.out);
  shape.push_back(x.channels * rows.kernel * columns.kernel);
  WindowPlaces p = made(shape, x.batch * x.channels * x.height * x.width);
  if (!p.small) return p;
  for (std::size_t n = 0; n < x.batch; ++n)
    for (std::size_t i = 0; i < rows.out; ++i)
      for (std::size_t j = 0; j < columns.out; ++j)
        for (std::size_t c = 0; c < x.channels; ++c)
          for (std::size_t u = 0; u < rows.kernel; ++u)
            for (std::size_t v = 0; v < columns.kernel; ++v) {
              const std::size_t h = rows.input(i, u), w = columns.input(j, v);
              const bool there = h < rows.in && w < columns.in;
              p.places.numbers.push_back(
                  there ? static_cast<double>(((n * x.channels + c) * x.height + h) * x.width + w) : -1);
            }
  return p;
}

WindowPlaces windows(std::size_t planes, const formulas::Axis& rows, const formulas::Axis& columns,
                     const formulas::Averaging* how) {
  // The widest window determines the number of places.
  const auto width = [&](const formulas::Axis& a) {
    std::size_t most = how ? 0 : a.kernel;
    for (std::size_t i = 0; how && i < a.out; ++i) {
      const formulas::Span s = formulas::span(a, i, *how);
      most = std::max(most, s.end - s.begin);
    }
    return most;
  };
  const auto input = [&](const formulas::Axis& a, std::size_t i, std::size_t u) {
    if (!how) return a.input(i, u);
    const formulas::Span s = formulas::span(a, i, *how);
    return s.begin + u < s.end ? s.begin + u : a.in;
  };
  const std::size_t kh = width(rows), kw = width(columns);
  WindowPlaces p = made({planes * rows.out, columns.out, kh * kw}, planes * rows.in * columns.in);
  if (!p.small) return p;
  for (std::size_t plane = 0; plane < planes; ++plane)
    for (std::size_t i = 0; i < rows.out; ++i)
      for (std::size_t j = 0; j < columns.out; ++j)
        for (std::size_t u = 0; u < kh; ++u)
          for (std::size_t v = 0; v < kw; ++v) {
            const std::size_t h = input(rows, i, u), w = input(columns, j, v);
            const bool there = h < rows.in && w < columns.in;
            p.places.numbers.push_back(there ? static_cast<double>((plane * rows.in + h) * columns.in + w) : -1);
          }
  return p;
}

}  // namespace handgrad::detail
