// Printing as in PyTorch (torch/_tensor_str.py): four decimals, or integers as `1.`, or scientific notation for the
// whole tensor if its numbers are too far apart; all of one width; beyond 1000 elements only three from each end.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "handgrad/base/format.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad {
namespace {

constexpr std::size_t edge = 3, threshold = 1000, line_width = 80;

struct Format {
  enum Kind { Integer, Fixed, Scientific } kind = Integer;
  std::size_t width = 1;

  std::string bare(double v) const {
    if (std::isnan(v)) return "nan";
    if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
    return formatted(kind == Integer ? "%.0f." : kind == Fixed ? "%.4f" : "%.4e", v);
  }
  std::string operator()(double v) const {
    std::string text = bare(v);
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
  }
};

template <class V>
Format choose_format(const V& shown) {
  Format format;
  double largest = 0, smallest = INFINITY;
  bool any = false;
  for (double v : shown) {
    if (!std::isfinite(v)) continue;
    if (v != std::ceil(v)) format.kind = Format::Fixed;
    if (v != 0) {
      any = true;
      largest = std::max(largest, std::abs(v));
      smallest = std::min(smallest, std::abs(v));
    }
  }
  const bool integers = format.kind == Format::Integer;
  if (any && (largest / smallest > 1000 || largest > 1e8 || (!integers && smallest < 1e-4)))
    format.kind = Format::Scientific;
  for (double v : shown)  // as torch, where 0, -0, nan and inf may be wider than the column
    if (std::isfinite(v) && v != 0) format.width = std::max(format.width, format.bare(v).size());
  return format;
}

template <class T>
class Printer {
 public:
  Printer(std::ostream& out, const Tensor<T>& x)
      : out_(out), shape_(x.shape()), v_(x.to_vector()), cut_(v_.size() > threshold) {
    std::vector<double> shown;
    collect(0, 0, shown);
    format_ = choose_format(shown);
  }
  void print() {
    if (shape_.rank() == 0)
      out_ << Format{format_.kind, 0}(v_[0]);
    else
      block(0, 0, 7);
  }

 private:
  template <class F>
  void each(std::size_t n, F&& visit) const {  // visit(i), and visit(n) for the ellipsis
    const bool cut = cut_ && n > 2 * edge;
    for (std::size_t i = 0; i < n; ++i) {
      if (cut && i == edge) {
        visit(n);
        i = n - edge;
      }
      visit(i);
    }
  }
  std::size_t stride(std::size_t dim) const {
    std::size_t n = 1;
    for (std::size_t i = dim + 1; i < shape_.rank(); ++i) n *= shape_[static_cast<int>(i)];
    return n;
  }
  void collect(std::size_t dim, std::size_t offset, std::vector<double>& shown) const {
    if (dim == shape_.rank()) return shown.push_back(static_cast<double>(v_[offset]));
    const std::size_t n = shape_[static_cast<int>(dim)];
    each(n, [&](std::size_t i) {
      if (i < n) collect(dim + 1, offset + i * stride(dim), shown);
    });
  }
  void block(std::size_t dim, std::size_t offset, std::size_t indent) {
    const std::size_t n = shape_[static_cast<int>(dim)];
    const bool last = dim + 1 == shape_.rank();
    const std::size_t per_line =
        std::max<std::size_t>(1, (line_width - std::min(line_width, indent)) / (format_.width + 2));
    std::size_t on_line = 0;
    bool first = true;
    out_ << '[';
    each(n, [&](std::size_t i) {
      if (last) {
        if (!first) out_ << (on_line % per_line == 0 ? ",\n" + std::string(indent + 1, ' ') : ", ");
        i == n ? out_ << " ..." : out_ << format_(v_[offset + i]);
        ++on_line;
      } else {
        if (!first) out_ << ',' << std::string(shape_.rank() - dim - 1, '\n') << std::string(indent + 1, ' ');
        if (i == n)
          out_ << "...";
        else
          block(dim + 1, offset + i * stride(dim), indent + 1);
      }
      first = false;
    });
    out_ << ']';
  }

  std::ostream& out_;
  Shape shape_;
  std::vector<T> v_;
  bool cut_;
  Format format_;
};

}  // namespace

template <class T>
std::ostream& operator<<(std::ostream& out, const Tensor<T>& x) {
  out << "tensor(";
  if (x.numel() == 0)
    out << "[]" << (x.rank() == 1 ? "" : ", size=" + x.shape().str());
  else
    Printer<T>(out, x).print();
  if (x.device().is_cuda()) out << ", device='" << x.device().str() << "'";
  if (std::is_same_v<T, double>) out << ", dtype=float64";
  return out << ')';
}

template std::ostream& operator<<(std::ostream&, const Tensor<float>&);
template std::ostream& operator<<(std::ostream&, const Tensor<double>&);

}  // namespace handgrad
