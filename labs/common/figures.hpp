#pragma once
#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "handgrad/base/tensor.hpp"
#include "handgrad/contract/parameter.hpp"

namespace handgrad::labs {

/// Numbers in row-major order, from a number, a list, a vector or a tensor.
class Numbers {
 public:
  template <class N>
  requires std::is_arithmetic_v<N> Numbers(N number) : values_{static_cast<double>(number)} {}
  Numbers(std::initializer_list<double> numbers) : values_(numbers) {}
  template <class N>
  requires std::is_arithmetic_v<N> Numbers(const std::vector<N>& numbers) : values_(numbers.begin(), numbers.end()) {}
  template <class T>
  Numbers(const Tensor<T>& x) : Numbers(x.to_vector()) {}

  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
};

/// Numbers as a notebook prints them, and the tolerance for each.
struct Notebook {
  std::string text;
  std::vector<double> values;
  std::vector<double> tolerance;  // the largest |here − notebook| allowed, per value
  std::vector<int> decimals;      // digits after the point; −1: not in fixed notation
};

/// Rounded in printing: every printed digit must agree. `printed("5.8937 -6.0718")`, `printed("6.6135e-04")`. A number
/// printed without a point must agree exactly.
Notebook printed(const std::string& text);
/// Printed in full by a notebook that computes in float: 1e-5 relative.
Notebook full_float(const std::string& text);
/// Printed in full by a notebook that computes in double: 1e-12 relative.
Notebook full_double(const std::string& text);
/// For accumulated rounding: `relative` of each number.
Notebook within(double relative, const std::string& text);

enum class Kind { Exact, Reach, Shape };
const char* name(Kind kind);

struct Figure {
  std::string id;
  Kind kind;
  std::optional<Notebook> notebook;
  std::vector<double> here;
  std::optional<bool> agrees;  // empty if the notebook prints nothing
};

/// Of the weights `id`, in hexadecimal digits.
struct Hash {
  std::string id, value;
};

/// The figures of one lab, in the order of computation.
class Figures {
 public:
  explicit Figures(std::string lab) : lab_(std::move(lab)) {}

  /// Follows from code and seed: agrees if every number does, within the notebook's own digits.
  void exact(const std::string& id, const Numbers& here, const Notebook& notebook);
  /// Follows from code and seed, but the notebook prints nothing to compare.
  void exact(const std::string& id, const Numbers& here);
  /// The notebook claims an inequality (`loss < 0.22`): whether it `holds`.
  void exact(const std::string& id, const Numbers& here, const Notebook& notebook, bool holds);
  /// From an unseeded start in the notebook: `reached` says whether ours is as good or better.
  void reach(const std::string& id, const Numbers& here, const Notebook& notebook, bool reached);
  /// From an unseeded start, with nothing printed to reach.
  void reach(const std::string& id, const Numbers& here);
  /// A picture or a timing.
  void shape(const std::string& id, const Numbers& here = {});

  /// The weights at the end of a training, of which a 64-bit hash is kept: the same on every processor, with any number
  /// of threads (tests/labs/golden_test.cpp). It goes to the JSON file, not into the table.
  template <class T>
  void weights(const std::string& id, const std::vector<NamedTensor<T>>& state);

  const std::string& lab() const { return lab_; }
  const std::vector<Figure>& all() const { return figures_; }
  const std::vector<Hash>& hashes() const { return hashes_; }

 private:
  void add(Figure figure);
  std::string lab_;
  std::vector<Figure> figures_;
  std::vector<Hash> hashes_;
};

/// id | kind | notebook | here | agrees, for all labs, and a line with the totals; coloured if `colours`.
void print_table(std::ostream& out, const std::vector<Figures>& labs, bool colours);

/// `[{"lab": …, "figures": [{"id": …, "kind": …, "notebook": […], "here": […], "agrees": …}, …], "weights": {id: hash,
/// …}}, …]`
std::string to_json(const std::vector<Figures>& labs);

/// Whether no exact figure disagrees.
bool all_exact_agree(const std::vector<Figures>& labs);

}  // namespace handgrad::labs
