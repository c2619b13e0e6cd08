#include "kernels/optimizers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <variant>

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// Many tensors in one launch. A block works on a chunk of one tensor; `first_block` says where each tensor's blocks
// begin. Kernel arguments are limited to 4 KiB: more tensors than fit take several launches.
constexpr unsigned chunk = 4096;

template <class Row>
constexpr std::size_t most_rows = 3600 / (sizeof(Row) + sizeof(unsigned));

template <class Row>
struct Table {
  unsigned first_block[most_rows<Row> + 1];
  Row row[most_rows<Row>];

  /// The elements of this block: their tensor, and the range.
  struct Part {
    const Row& row;
    std::size_t begin, end;
  };
  __device__ Part part() const {
    unsigned t = 0;
    while (blockIdx.x >= first_block[t + 1]) ++t;
    const std::size_t begin = std::size_t{blockIdx.x - first_block[t]} * chunk;
    return {row[t], begin, begin + chunk < row[t].n ? begin + chunk : row[t].n};
  }
};

/// Calls run(table, blocks, number of blocks before these) for each table that the rows fill.
template <class Row, class Items, class MakeRow, class Run>
unsigned for_tables(const Items& items, MakeRow make_row, Run run) {
  unsigned before = 0;
  for (std::size_t begin = 0; begin < items.size(); begin += most_rows<Row>) {
    Table<Row> table{};
    unsigned blocks = 0, t = 0;
    for (const auto& item : items.subspan(begin, std::min(most_rows<Row>, items.size() - begin))) {
      const Row row = make_row(item);
      table.row[t] = row;
      blocks += static_cast<unsigned>((row.n + chunk - 1) / chunk);
      table.first_block[++t] = blocks;
    }
    if (blocks > 0) run(table, blocks, before);
    before += blocks;
  }
  return before;
}

// row.step(rule, i) for each element.
template <class Rule, class Row>
__global__ void __launch_bounds__(threads) update_kernel(Rule rule, Table<Row> table) {
  const auto part = table.part();
  for (std::size_t i = part.begin + threadIdx.x; i < part.end; i += threads) part.row.step(rule, i);
}

// A parameter, its gradient and its N states.
template <class T, int N>
struct Parameter {
  T* value;
  const T* grad;
  std::array<T*, N == 0 ? 1 : N> state;
  std::size_t n;
  template <class Rule>
  __device__ void step(const Rule& rule, std::size_t i) const {
    T s[N + 1], w = value[i];
    for (int k = 0; k < N; ++k) s[k] = state.data()[k][i];
    rule.step(w, grad[i], s);
    value[i] = w;
    for (int k = 0; k < N; ++k) state.data()[k][i] = s[k];
  }
};

template <int N, class T, class Rule>
void update(Context& context, const Rule& rule, std::span<const Update<T>> updates) {
  using Row = Parameter<T, N>;
  for_tables<Row>(
      updates,
      [](const Update<T>& u) {
        Row row{u.value.data, u.grad, {}, u.value.size};
        for (int k = 0; k < N; ++k) row.state[static_cast<std::size_t>(k)] = u.state[static_cast<std::size_t>(k)];
        return row;
      },
      [&](const Table<Row>& table, unsigned blocks, unsigned) {
        context.launch(update_kernel<Rule, Row>, blocks, threads, rule, table);
      });
}

template <class T>
struct Clipped {
  T* grad;
  std::size_t n;
  template <class Rule>
  __device__ void step(const Rule& rule, std::size_t i) const {
    grad[i] = rule(grad[i]);
  }
};
template <class T>
Clipped<T> clipped(const Vector<T>& g) {
  return {g.data, g.size};
}

// Σ |g|ᵖ or max |g| of each block, for one norm over all gradients
template <class T>
__global__ void __launch_bounds__(threads) norm_kernel(double p, double* partial, Table<Clipped<T>> table) {
  const Group<threads> block;
  const auto part = table.part();
  const bool largest = p == HUGE_VAL;
  double total = 0;
  for (std::size_t i = part.begin + threadIdx.x; i < part.end; i += threads) {
    const double g = formulas::abs(static_cast<double>(part.row.grad[i]));
    total = largest ? Maximum()(total, g) : total + (p == 2 ? g * g : std::pow(g, p));
  }
  total = largest ? block.max(total) : block.sum(total);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

template <class T>
__global__ void __launch_bounds__(threads)
    norm_finish_kernel(unsigned blocks, double p, const double* partial, T* norm) {
  const Group<threads> block;
  const bool largest = p == HUGE_VAL;
  double total = 0;
  for (unsigned i = threadIdx.x; i < blocks; i += threads)
    total = largest ? Maximum()(total, partial[i]) : total + partial[i];
  total = largest ? block.max(total) : std::pow(block.sum(total), 1 / p);
  if (threadIdx.x == 0) *norm = static_cast<T>(total);
}

template <class T>
struct ToNorm {
  const T* norm;
  T max_norm;
  __device__ T operator()(T g) const {
    const T factor = max_norm / (*norm + T(1e-6));
    return factor < T(1) || factor != factor ? g * factor : g;
  }
};
template <class T>
struct ToRange {
  T bound;
  __device__ T operator()(T g) const { return g < -bound ? -bound : g > bound ? bound : g; }
};

}  // namespace

template <class D, class T>
void OptimizersOn<D, T>::optimize(std::span<const Update<T>> updates) {
  const auto guard = device_.use();
  // One launch for each group of parameters with the same rule.
  for (std::size_t begin = 0, end = 0; begin < updates.size(); begin = end) {
    while (end < updates.size() && updates[end].rule == updates[begin].rule) ++end;
    const auto group = updates.subspan(begin, end - begin);
    std::visit(
        [&](const auto& rule) {
          using Rule = std::decay_t<decltype(rule)>;
          switch (rule.states()) {
            case 0:
              if constexpr (may_have<Rule>(0)) update<0>(device_, rule, group);
              break;
            case 1:
              if constexpr (may_have<Rule>(1)) update<1>(device_, rule, group);
              break;
            case 2:
              if constexpr (may_have<Rule>(2)) update<2>(device_, rule, group);
              break;
            default:
              if constexpr (may_have<Rule>(3)) update<3>(device_, rule, group);
          }
        },
        updates[begin].rule);
  }
}

// ‖g‖ₚ = (Σ |gᵢ|ᵖ)^(1/p),  ‖g‖∞ = max |gᵢ|;  g ← g·min(1, max_norm/(‖g‖ + 1e-6))
template <class D, class T>
void OptimizersOn<D, T>::clip_norm(std::span<const Vector<T>> grads, T max_norm, double p, T* norm) {
  const auto guard = device_.use();
  using Row = Clipped<T>;
  std::size_t blocks = 0;
  for (const Vector<T>& g : grads) blocks += (g.size + chunk - 1) / chunk;
  double* partial = device_.template scratch<double>(blocks);
  for_tables<Row>(grads, clipped<T>, [&](const Table<Row>& table, unsigned here, unsigned before) {
    device_.launch(norm_kernel<T>, here, threads, p, partial + before, table);
  });
  device_.launch(norm_finish_kernel<T>, 1, threads, static_cast<unsigned>(blocks), p, partial, norm);
  for_tables<Row>(grads, clipped<T>, [&](const Table<Row>& table, unsigned here, unsigned) {
    device_.launch(update_kernel<ToNorm<T>, Row>, here, threads, ToNorm<T>{norm, max_norm}, table);
  });
}

namespace {

template <class T>
struct StoreRoot {
  T* norm;
  __device__ void operator()(double sum) const { *norm = static_cast<T>(formulas::sqrt(sum)); }
};
template <class T>
struct Square {
  const T* x;
  __device__ double operator()(std::size_t i) const { return static_cast<double>(x[i]) * static_cast<double>(x[i]); }
};
template <class T>
struct OverNorm {
  const T* norm;
  T eps;
  __device__ T operator()(T x) const { return x / (*norm < eps ? eps : *norm); }
};

}  // namespace

template <class D, class T>
void OptimizersOn<D, T>::normalize(Vector<T> x, T eps, T* norm) {
  const auto guard = device_.use();
  sum(device_, x.size, Square<T>{x.data}, StoreRoot<T>{norm});
  map(device_, x.size, x.data, OverNorm<T>{norm, eps}, static_cast<const T*>(x.data));
}

template <class D, class T>
void OptimizersOn<D, T>::clip_value(std::span<const Vector<T>> grads, T bound) {
  const auto guard = device_.use();
  using Row = Clipped<T>;
  for_tables<Row>(grads, clipped<T>, [&](const Table<Row>& table, unsigned here, unsigned) {
    device_.launch(update_kernel<ToRange<T>, Row>, here, threads, ToRange<T>{bound}, table);
  });
}

template class OptimizersOn<cuda::Context, float>;
template class OptimizersOn<cuda::Context, double>;

}  // namespace handgrad::kernels
