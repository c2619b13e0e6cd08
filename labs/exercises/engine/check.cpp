#include "exercises/engine/check.hpp"

#include <cctype>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <ostream>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/random.hpp"

namespace handgrad::exercises {

Tensor<double> tensor(const Matrix& m) {
  if (taking_over) taking_over();
  return Tensor<double>({static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols())}, m.elements());
}
Tensor<double> tensor(const Vector& v) {
  if (taking_over) taking_over();
  return Tensor<double>({static_cast<std::size_t>(v.size())}, v.elements());
}
Tensor<double> tensor(double number) { return Tensor<double>(Shape{}, {number}); }

Matrix matrix(const Tensor<double>& t) {
  const int rows = static_cast<int>(t.shape().rows()), cols = static_cast<int>(t.shape().columns());
  Matrix m(rows, cols);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) m(i, j) = t.data()[i * cols + j];
  return m;
}
Vector vector(const Tensor<double>& t) {
  Vector v(static_cast<int>(t.numel()));
  for (int i = 0; i < v.size(); ++i) v(i) = t.data()[i];
  return v;
}

Matrix random_matrix(int rows, int cols, std::uint64_t seed) {
  Generator generator(seed);
  return matrix(randn<double>({static_cast<std::size_t>(rows), static_cast<std::size_t>(cols)}, generator));
}
Vector random_vector(int size, std::uint64_t seed) {
  Generator generator(seed);
  return vector(randn<double>({static_cast<std::size_t>(size)}, generator));
}

Matrix linear(const Matrix& x, const Matrix& W, const Vector& b) {
  Matrix y(x.rows(), W.rows());
  for (int n = 0; n < x.rows(); ++n)
    for (int o = 0; o < W.rows(); ++o) {
      y(n, o) = b(o);
      for (int i = 0; i < x.cols(); ++i) y(n, o) += x(n, i) * W(o, i);
    }
  return y;
}

Matrix each(Matrix z, const std::function<double(double)>& f) {
  for (int i = 0; i < z.rows(); ++i)
    for (int j = 0; j < z.cols(); ++j) z(i, j) = f(z(i, j));
  return z;
}

double sigmoid(double z) { return z < 0 ? std::exp(z) / (1 + std::exp(z)) : 1 / (1 + std::exp(-z)); }

Tensor<double> projected(const Matrix& y, const Matrix& delta) {
  Tensor<double> terms = tensor(y);
  for (std::size_t i = 0; i < terms.numel(); ++i) terms.data()[i] *= delta.elements()[i];
  return terms;
}

std::string name_at(const std::string& line, unsigned column) {
  if (line.empty() || column == 0) return "";
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  std::size_t at = std::min<std::size_t>(column - 1, line.size() - 1);
  if (line[at] == ')')  // some compilers point to where the call ends
    for (int open = 1; at > 0 && open > 0;) open += line[--at] == ')' ? 1 : line[at] == '(' ? -1 : 0;
  while (at < line.size() && letter(line[at])) ++at;  // others to where it begins
  std::size_t begin = at;
  while (begin > 0 && letter(line[begin - 1])) --begin;
  return line.substr(begin, at - begin);
}

namespace {

std::vector<Registered>& registry() {
  static std::vector<Registered> all;
  return all;
}

double error_of(double got, double expected) {
  const double error = std::abs(got - expected) / std::max(1e-8, std::abs(got) + std::abs(expected));
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

template <class... A>
std::string formatted(const char* format, A... values) {
  char text[200];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string index_of(std::size_t flat, const Shape& shape) {
  std::string text;
  for (int dim = static_cast<int>(shape.rank()); dim-- > 0; flat /= shape[dim])
    text = std::to_string(flat % shape[dim]) + (text.empty() ? "" : ", ") + text;
  return shape.rank() == 0 ? "" : "[" + text + "]";
}

}  // namespace

Registration::Registration(const char* exercise, std::vector<std::string> functions, void (*run)(Check&)) {
  registry().push_back({exercise, std::move(functions), run});
}

const Registered& check_of(const std::string& exercise) {
  for (const Registered& registered : registry())
    if (registered.exercise == exercise) return registered;
  throw ValueError("no check for the exercise '" + exercise + "'");
}

Check::Check(const std::string& exercise, const Entry* entries) : report_{exercise, 1e-7, {}, {}}, entries_(entries) {}

void (*Check::find(const std::string& name, const char* type) const)() {
  for (const Entry* entry = entries_; entry->name; ++entry) {
    if (name != entry->name) continue;
    if (std::strcmp(type, entry->type) != 0)
      throw ValueError("the signature of " + name + " was changed; `reset` shows the one that is expected");
    return entry->function;
  }
  throw ValueError("there is no function " + name);
}

void Check::value(const std::string& name, const Tensor<double>& got, const Tensor<double>& expected,
                  const std::vector<KnownMistake>& mistakes, const GradientStep& step, double tolerance) {
  TensorReport t;
  t.name = name;
  t.names_gradient = true;
  t.shape = expected.shape();
  t.analytic = got;
  t.numeric = expected;
  t.step = step;
  t.mistakes = mistakes;
  t.verdict = Verdict::Fail;
  if (!(got.shape() == expected.shape())) {
    t.reason = "has shape " + got.shape().str() + ", " + expected.shape().str() + " expected";
  } else {
    for (std::size_t i = 0; i < expected.numel(); ++i) {
      const double a = got.data()[i], n = expected.data()[i];
      t.worst.push_back({i, a, n, error_of(a, n)});
    }
    t.checked = expected.numel();
    std::sort(t.worst.begin(), t.worst.end(), [](const auto& x, const auto& y) { return x.error > y.error; });
    if (t.worst.size() > 5) t.worst.resize(5);
    if (t.worst_error() <= tolerance) t.verdict = Verdict::Pass;
  }
  report_.tensors.push_back(std::move(t));
}

void Check::gradient(const FunctionGradient& gradient) {
  GradientReport own = check_gradients(report_.subject, {gradient});
  report_.tensors.push_back(std::move(own.tensors[0]));
}

std::vector<KnownMistake> left_out(int count, const std::string& what,
                                   const std::function<Tensor<double>(int k)>& share) {
  const auto sum = [&](int from, int to) {
    Tensor<double> total = share(from).clone();
    for (int k = from + 1; k < to; ++k) {
      const Tensor<double> term = share(k);
      for (std::size_t i = 0; i < total.numel(); ++i) total.data()[i] += term.data()[i];
    }
    return total;
  };
  const std::string last = std::to_string(count - 1),
                    loop = "the bounds of the loop over it: from 0, while < " + std::to_string(count) + " here";
  return {{sum(1, count), Cause::TermMissing, "the first " + what + ", number 0, is left out of the sum",
           "with its share it is right", loop},
          {sum(0, count - 1), Cause::TermMissing, "the last " + what + ", number " + last + ", is left out of the sum",
           "with its share it is right", loop}};
}

void Check::holds(const std::string& name, bool condition, const KnownMistake& mistake) {
  value(name, tensor(condition ? 1.0 : 0.0), tensor(1.0));
  if (condition) return;
  TensorReport& t = report_.tensors.back();
  t.reason = "no";
  t.analytic = tensor(0.5);  // not zero, which would be reported first
  t.worst.clear();
  t.mistakes = {mistake};
  t.mistakes[0].gradient = t.analytic;
  t.numeric = tensor(3.0);  // and no constant of the catalogue
}

namespace {

/// "element (5, 0) of delta, a matrix of 5 rows and 7 columns, in line 9: db(o) += delta(o, n);"; of a place in ours
/// without name and line.
std::string said_of(const stepping::OutOfRange& error) {
  std::string what = error.what();
  const std::string file = error.place.file_name();
  if (file.ends_with("check.cpp")) return what;
  std::ifstream in(file);
  std::string line;
  for (unsigned n = 0; n < error.place.line() && std::getline(in, line);) ++n;
  if (const std::string name = name_at(line, error.place.column()); !name.empty())
    what.insert(what.find(" of a ") + 4, name + ", ");
  line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
  return what + ", in line " + std::to_string(error.place.line()) + ": " + line;
}

void threw(Check& check, const std::string& what) {
  check.holds("it ran", false,
              {{},
               Cause::Other,
               "your function threw: " + what,
               "it came to this before anything more could be compared",
               "the bounds of the loops, and the order of the indices: rows first"});
}

}  // namespace

Check run_check(const std::string& exercise, const Entry* entries) {
  Check check(exercise, entries);
  try {
    check_of(exercise).run(check);
  } catch (const stepping::OutOfRange& error) {
    threw(check, said_of(error));
  } catch (const std::exception& error) {
    threw(check, error.what());
  }
  return check;
}

void print_verdict(std::ostream& out, const Check& check, bool colour) {
  const GradientReport& report = check.report();
  const auto paint = [&](const char* code, const std::string& text) {
    return colour ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  };
  bool blamed = false;
  for (const TensorReport& t : report.tensors) {
    const std::string shape = t.shape.rank() == 0 || t.analytic.numel() == 0 ? "" : " " + t.shape.str();
    std::string name = t.name + shape;
    const auto width = std::count_if(name.begin(), name.end(), [](char c) { return (c & 0xC0) != 0x80; });  // UTF-8
    if (width < 22) name.append(static_cast<std::size_t>(22 - width), ' ');
    if (t.verdict == Verdict::Pass) {
      out << "  " << name << paint("32", " ok    ") << (t.checked > 0 ? formatted(" error %.0e", t.worst_error()) : "")
          << '\n';
      continue;
    }
    out << "  " << name << paint("31", " WRONG ");
    if (!t.worst.empty()) out << formatted(" error %.0e, at most 1e-07 expected", t.worst_error());
    if (!t.reason.empty()) out << ' ' << t.reason;
    out << '\n';
    if (blamed) continue;  // consequences of the first are not explained again
    blamed = true;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, t.worst.size()); ++i)
      out << "    " << index_of(t.worst[i].index, t.shape)
          << formatted(" yours %.8g, expected %.8g\n", t.worst[i].analytic, t.worst[i].numeric);
  }
  if (report.passed()) return;
  const Diagnosis diagnosis = report.diagnose();
  out << "\n  " << paint("1", "What is wrong: ") << diagnosis.what << "\n  " << paint("1", "Evidence:      ")
      << diagnosis.evidence << "\n  " << paint("1", "Where to look: ") << diagnosis.where << '\n';
  std::istringstream paper(check.smallest_wrong());
  std::string line;
  if (std::getline(paper, line))
    out << "\n  The smallest case that goes wrong, to be redone on paper:\n    " << line << '\n';
  while (std::getline(paper, line)) out << "    " << line << '\n';
}

}  // namespace handgrad::exercises
