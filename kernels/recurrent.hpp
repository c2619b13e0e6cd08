#pragma once
// The steps of one recurrent layer in one direction. The products over all steps at once (of the input and of the
// gradients) are the caller's.
#include <cstddef>

#include "kernels/view.hpp"

namespace handgrad::kernels {

enum class RecurrentCell { Tanh, ReLU, LSTM, GRU };  // kernels/formulas/recurrent.hpp

/// Rows of W_ih and W_hh for each unit.
constexpr std::size_t gates_of(RecurrentCell cell) {
  return cell == RecurrentCell::LSTM ? 4 : cell == RecurrentCell::GRU ? 3 : 1;
}

/// N sequences of T steps through H units with G gates. Matrices of all steps hold step t in the N rows from t·N on.
/// States have one block of N rows more, the initial state: the first block or, with `reverse`, the last. The states
/// before all steps are thus one matrix of T·N rows.
template <class T>
struct Recurrence {
  RecurrentCell cell = RecurrentCell::Tanh;
  bool reverse = false;
  std::size_t steps = 0, batch = 0, units = 0;
  const T* W_hh = nullptr;  // (G·H × H)
  T* gates = nullptr;       // (T·N × G·H)
  T* h = nullptr;           // ((T+1)·N × H)
  T* kept = nullptr;        // likewise: an LSTM's c, a GRU's q of n; null for the others
  T* work = nullptr;        // (N × G·H), passed from a product to the cell

  std::size_t gate_count() const { return gates_of(cell); }
  /// The time step that is processed s-th.
  std::size_t step(std::size_t s) const { return reverse ? steps - 1 - s : s; }
  /// The blocks of the states after and before step t.
  std::size_t after(std::size_t t) const { return reverse ? t : t + 1; }
  std::size_t before(std::size_t t) const { return reverse ? t + 1 : t; }
};

/// A row of H numbers for each step and sequence, at data + t·step + n·row; with `last`, for the step processed last
/// only. Null: none.
template <class T>
struct StepRows {
  T* data = nullptr;
  std::size_t step = 0, row = 0;
  bool last = false;

  /// Step t's row for sequence n; null if there is none.
  T* at(std::size_t t, std::size_t n, bool comes_last) const {
    if (!data || (last && !comes_last)) return nullptr;
    return data + (last ? 0 : t * step) + n * row;
  }
};

template <class T>
class Recurrent {
 public:
  virtual ~Recurrent() = default;

  /// h_t = cell(x_t, h_{t−1}) for all t. `gates` holds x·W_ihᵀ (T·N × G·H) and receives the activated gates; h and kept
  /// hold their initial block and receive the others; h_t is also written to y. Biases may be null.
  virtual void forward(const Recurrence<T>& r, Vector<const T> b_ih, Vector<const T> b_hh, StepRows<T> y) = 0;
  /// From the last step to the first. dh (N×H) and, for a cell with a c, dc hold the gradients of the last states
  /// without dy's share, and receive those of the initial states; without `first_states`, dh is left meaningless. dp
  /// (T·N × G·H) = ∂L/∂(x·W_ihᵀ); dq = ∂L/∂(h₋·W_hhᵀ) for a GRU, null for the others, where it equals dp.
  virtual void backward(const Recurrence<T>& r, StepRows<const T> dy, bool first_states, T* dh, T* dc, T* dp,
                        T* dq) = 0;
  /// y[j, i] = x[i, j] for x (rows × columns × width), y (columns × rows × width).
  virtual void exchange(const T* x, std::size_t rows, std::size_t columns, std::size_t width, T* y) = 0;
};

/// On device D: cpu/recurrent.cpp, cuda/recurrent.cu.
template <class D, class T>
class RecurrentOn final : public Recurrent<T> {
 public:
  explicit RecurrentOn(D& device) : device_(device) {}
  void forward(const Recurrence<T>& r, Vector<const T> b_ih, Vector<const T> b_hh, StepRows<T> y) override;
  void backward(const Recurrence<T>& r, StepRows<const T> dy, bool first_states, T* dh, T* dc, T* dp, T* dq) override;
  void exchange(const T* x, std::size_t rows, std::size_t columns, std::size_t width, T* y) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
