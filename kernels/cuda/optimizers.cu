#include <algorithm>

#include "kernels/cuda/backend.hpp"
#include "kernels/cuda/device.hpp"

namespace handgrad::kernels::cuda {

namespace {

// All parameters of a step in one launch. A block works on a chunk of one tensor; `first_block` says where each tensor's
// blocks begin. A kernel's arguments are limited to 4 KiB: a network of more tensors takes several launches.
constexpr unsigned chunk = 4096;

template <class Row, std::size_t N>
struct Table {
  unsigned tensors = 0;
  unsigned first_block[N + 1] = {};
  Row row[N];
};
template <class Row>
constexpr std::size_t table_size = 3600 / (sizeof(Row) + sizeof(unsigned));

template <class Rule, class Row, std::size_t N>
__global__ void __launch_bounds__(threads) update_kernel(Rule rule, Table<Row, N> table) {
  unsigned t = 0;
  while (blockIdx.x >= table.first_block[t + 1]) ++t;
  const Row& row = table.row[t];
  const std::size_t begin = std::size_t{blockIdx.x - table.first_block[t]} * chunk;
  const std::size_t end = begin + chunk < row.n ? begin + chunk : row.n;
  for (std::size_t i = begin + threadIdx.x; i < end; i += blockDim.x) row.step(rule, i);
}

template <class Row, class Rule, class Update, class MakeRow>
void update_all(Context& context, const Rule& rule, std::span<const Update> updates, MakeRow make_row) {
  constexpr std::size_t most = table_size<Row>;
  for (std::size_t begin = 0; begin < updates.size(); begin += most) {
    Table<Row, most> table{};
    unsigned blocks = 0;
    for (const Update& update : updates.subspan(begin, std::min(most, updates.size() - begin))) {
      const Row row = make_row(update);
      table.row[table.tensors] = row;
      blocks += static_cast<unsigned>((row.n + chunk - 1) / chunk);
      table.first_block[++table.tensors] = blocks;
    }
    if (blocks > 0) context.launch(update_kernel<Rule, Row, most>, blocks, threads, rule, table);
  }
}

template <class T>
struct SGDRow {
  T* value;
  const T* grad;
  T* velocity;
  std::size_t n;
  bool first;
  __device__ void step(const formulas::SGD& rule, std::size_t i) const {
    if (!velocity) return rule.step(value[i], grad[i]);
    T v = first ? T(0) : velocity[i];
    rule.step(value[i], grad[i], v, first);
    velocity[i] = v;
  }
};

}  // namespace

template <class T>
void CudaBackend<T>::sgd(const formulas::SGD& rule, std::span<const SGDUpdate<T>> updates) {
  const auto guard = context_.use();
  update_all<SGDRow<T>>(context_, rule, updates, [](const SGDUpdate<T>& u) {
    return SGDRow<T>{u.value->data(), u.grad->data(), u.velocity ? u.velocity->data() : nullptr, u.value->numel(),
                     u.first};
  });
}

#define HANDGRAD_INSTANTIATE(T) \
  template void CudaBackend<T>::sgd(const formulas::SGD&, std::span<const SGDUpdate<T>>);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cuda
