// Cases that are small enough to be redone on paper.
#include <cmath>
#include <cstdio>

#include "exercises/engine/check.hpp"

namespace handgrad::exercises {

namespace {

double paper_number(int k, int kind) {
  constexpr double numbers[] = {2, -1, 3, 1, 4, -2, 0.5, -3, 1.5};
  return numbers[(k + 2 * kind) % 9];
}

std::string text(double v) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.6g", v == 0 ? 0 : v);
  return digits;
}

/// 3, [1 2 3] or [1 2; 3 4]
std::string text(const Tensor<double>& t) {
  if (t.rank() == 0) return text(t.item());
  const std::size_t columns = t.size(static_cast<int>(t.rank()) - 1);
  std::string all = "[";
  for (std::size_t i = 0; i < t.numel(); ++i) all += (i == 0 ? "" : i % columns == 0 ? "; " : " ") + text(t.data()[i]);
  return all + "]";
}

std::string given(const Paper& paper) {
  std::string all;
  for (const auto& [name, value] : paper.inputs) all += (all.empty() ? "" : "   ") + name + " = " + text(value);
  return all;
}

bool right(const Tensor<double>& got, const Tensor<double>& expected) {
  if (!(got.shape() == expected.shape())) return false;
  for (std::size_t i = 0; i < got.numel(); ++i) {
    const double a = got.data()[i], n = expected.data()[i];
    if (a != n && !(std::abs(a - n) <= 1e-6 * std::max(1.0, std::abs(n)))) return false;
  }
  return true;
}
bool right(const Paper& paper) { return right(paper.got, paper.expected); }

std::string outcome(const Paper& paper) {
  if (right(paper)) return paper.name + " = " + text(paper.got) + ", as it should be";
  return paper.name + ": yours " + text(paper.got) + ", expected " + text(paper.expected);
}

}  // namespace

Paper first_wrong(std::vector<std::pair<std::string, Tensor<double>>> inputs, const std::vector<Compared>& results) {
  std::size_t k = 0;
  while (k + 1 < results.size() && right(results[k].got, results[k].expected)) ++k;
  return {std::move(inputs), results[k].name, results[k].got, results[k].expected};
}

Matrix paper_matrix(int rows, int cols, int kind) {
  Matrix m(rows, cols);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) m(i, j) = paper_number(i * cols + j, kind);
  return m;
}
Vector paper_vector(int size, int kind) {
  Vector v(size);
  for (int i = 0; i < size; ++i) v(i) = paper_number(i, kind);
  return v;
}

Tensor<double> slope(const Tensor<double>& value, const std::function<Tensor<double>(const Tensor<double>&)>& forward) {
  const auto sum = [&](const Tensor<double>& at) {
    double total = 0;
    for (const double term : forward(at).to_vector()) total += term;
    return total;
  };
  Tensor<double> result = value.clone();
  for (std::size_t i = 0; i < value.numel(); ++i) {
    Tensor<double> up = value.clone(), down = value.clone();
    up.data()[i] += 1e-4;
    down.data()[i] -= 1e-4;
    result.data()[i] = std::round((sum(up) - sum(down)) / 2e-4 * 1e7) / 1e7;
  }
  return result;
}

void Check::on_paper(std::function<Paper(int, int, int)> make) {
  on_paper(static_cast<int>(std::size(paper_sizes)),
           [make = std::move(make)](int k) { return make(paper_sizes[k][0], paper_sizes[k][1], paper_sizes[k][2]); });
}

std::string Check::smallest_wrong() const {
  for (int k = 0; k < papers_.first; ++k) try {
      const Paper paper = papers_.second(k);
      if (!right(paper)) return given(paper) + "\n" + outcome(paper);
    } catch (const std::exception&) {  // the check tells so where it comes to that
    }
  return "";
}

std::string Check::step_through(const std::function<void(bool, const std::string&)>& listen) const {
  if (papers_.first == 0) return "";
  int k = 0;
  for (; k + 1 < papers_.first && right(papers_.second(k)); ++k) {
  }

  listen(true, given(papers_.second(k)));
  const Paper paper = papers_.second(k);
  listen(false, "");
  return outcome(paper);
}

}  // namespace handgrad::exercises
