#include "handgrad/check/cell.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace handgrad::detail {

namespace {

using Values = std::vector<double>;

/// The library's layout of a tensor: its element k is element from[k] of the tensor itself.
struct Moved {
  const Tensor<double>* own = nullptr;
  std::vector<std::size_t> from;
  Tensor<double> tensor;

  Moved(const Tensor<double>& original, const Shape& shape, std::vector<std::size_t> places)
      : own(&original), from(std::move(places)) {
    const Values elements = original.to_vector();
    Values moved;
    for (const std::size_t place : from) moved.push_back(elements[place]);
    tensor = Tensor<double>(shape, moved);
  }
  static Moved as_it_is(const Tensor<double>& original, const Shape& shape) {
    std::vector<std::size_t> places(original.numel());
    std::iota(places.begin(), places.end(), 0);
    return {original, shape, std::move(places)};
  }
  Grid back(const Grid& grid) const {
    Grid result(*own);
    for (std::size_t k = 0; k < from.size(); ++k) result.elements[from[k]] = grid.elements[k];
    return result;
  }
};

/// gates[g] is the block in which the library's gate g stands.
using Order = std::vector<std::size_t>;

Moved matrix(const Tensor<double>& W, std::size_t inputs, std::size_t units, const Order& gates) {
  const std::size_t rows = gates.size() * units;
  const bool transposed = W.size(0) == inputs && W.size(1) == rows;
  std::vector<std::size_t> places;
  for (const std::size_t block : gates)
    for (std::size_t j = 0; j < units; ++j)
      for (std::size_t i = 0; i < inputs; ++i)
        places.push_back(transposed ? i * rows + block * units + j : (block * units + j) * inputs + i);
  return {W, {rows, inputs}, std::move(places)};
}

Moved vector(const Tensor<double>& b, std::size_t units, const Order& gates) {
  std::vector<std::size_t> places;
  for (const std::size_t block : gates)
    for (std::size_t j = 0; j < units; ++j) places.push_back(block * units + j);
  return {b, b.shape(), std::move(places)};
}

bool is_matrix(const Tensor<double>& W, std::size_t inputs, std::size_t rows) {
  return W.rank() == 2 && ((W.size(0) == inputs && W.size(1) == rows) || (W.size(0) == rows && W.size(1) == inputs));
}

/// Which parameter is what.
struct Roles {
  const Tensor<double>*W = nullptr, *U = nullptr, *b = nullptr, *h = nullptr, *c = nullptr;
};

std::vector<Roles> roles(const GradientStep& step, std::size_t gate_count) {
  const std::size_t inputs = step.x.size(-1), units = step.y.size(-1), rows = gate_count * units;
  const Shape state{step.x.size(0), units};
  std::vector<const Tensor<double>*> all;
  for (const auto& [name, value] : step.parameters) all.push_back(&value);
  std::vector<Roles> found;
  for (const auto* W : all)
    for (const auto* U : all) {
      if (W == U || !is_matrix(*W, inputs, rows) || !is_matrix(*U, units, rows)) continue;
      Roles r{W, U};
      std::vector<const Tensor<double>*> states;
      bool fits = true;
      for (const auto* other : all) {
        if (other == W || other == U) continue;
        if (other->rank() == 1 && other->numel() == rows && !r.b)
          r.b = other;
        else if (other->shape() == state)
          states.push_back(other);
        else
          fits = false;
      }
      if (!fits || states.size() > (gate_count == 4 ? 2 : 1)) continue;
      if (!states.empty()) r.h = states[0];
      if (states.size() == 2) r.c = states[1];
      found.push_back(r);
      if (r.c) std::swap(r.h, r.c), found.push_back(r);
    }
  return found;
}

std::string order_text(const Order& gates) {
  const char* names[] = {"i", "f", "g", "o"};
  std::string text;
  for (std::size_t block = 0; block < gates.size(); ++block)
    for (std::size_t g = 0; g < gates.size(); ++g)
      if (gates[g] == block) text += std::string(block > 0 ? ", " : "") + names[g];
  return text;
}

/// With the parameters read so, if the step computes that.
std::vector<SequenceGuess> guesses_of(const GradientStep& step, const Tensor<double>& tensor, const Roles& r,
                                      const Order& gates) {
  const std::size_t batch = step.x.size(0), inputs = step.x.size(-1), units = step.y.size(-1);
  const bool one = step.x.rank() == 2;
  const auto of_one = [&](const Tensor<double>& t, std::size_t columns) {
    return one ? t.reshape({1, batch, columns}) : t;
  };
  std::vector<Moved> moved{matrix(*r.W, inputs, units, gates), matrix(*r.U, units, units, gates)};
  if (r.b) moved.push_back(vector(*r.b, units, gates));
  GradientStep own{of_one(step.x, inputs), of_one(step.y, units), of_one(step.dy, units), {}, {}, step.batch};
  for (const Moved& m : moved) own.parameters.emplace_back("", m.tensor);
  for (const auto& [state, name] : {std::pair(r.h, "h0"), std::pair(r.c, "c0")}) {
    if (!state) continue;
    moved.push_back(Moved::as_it_is(*state, state->shape()));
    own.sides.emplace_back(name, *state);
  }
  for (const auto& [name, value] : step.sides)  // what comes back to c
    if (gates.size() == 4 && name.starts_with("δ of ") && value.shape() == Shape{batch, units})
      own.sides.emplace_back("δ of c_n", value);
  moved.push_back(Moved::as_it_is(step.x, own.x.shape()));

  const Values value = tensor.to_vector();
  const auto found = std::find_if(moved.begin(), moved.end(), [&](const Moved& m) {
    return m.own->shape() == tensor.shape() && m.own->to_vector() == value;
  });
  if (found == moved.end()) return {};
  std::vector<SequenceGuess> guesses = sequence_guesses(own, found->tensor);
  for (SequenceGuess& guess : guesses) {
    guess.right = found->back(guess.right);
    guess.wrong = found->back(guess.wrong);
    if (guess.cause == Cause::GatesSwapped) guess.where = "the blocks of the gates are " + order_text(gates);
  }
  return guesses;
}

}  // namespace

std::vector<SequenceGuess> cell_guesses(const GradientStep& step, const Tensor<double>& tensor) {
  if (!step.x.defined() || !step.y.defined() || !step.dy.defined() || step.x.rank() < 2 || step.x.rank() > 3) return {};
  if (step.y.rank() != step.x.rank() || step.y.size(0) != step.x.size(0) || step.x.numel() > 10000) return {};
  for (const std::size_t gate_count : {std::size_t(1), std::size_t(4)})
    for (const Roles& r : roles(step, gate_count)) {
      Order gates(gate_count);
      std::iota(gates.begin(), gates.end(), 0);
      do {
        std::vector<SequenceGuess> guesses = guesses_of(step, tensor, r, gates);
        if (!guesses.empty()) return guesses;
      } while (std::next_permutation(gates.begin(), gates.end()));
    }
  return {};
}

}  // namespace handgrad::detail
