#include "handgrad/distributed/data_parallel.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/distributed/sync_batch_norm.hpp"
#include "handgrad/layers/dropout.hpp"

namespace handgrad {

namespace {

// Numbers summed along with the gradients, at the start of the first bucket.
enum Header : std::size_t {
  Rows,      // nᵣ
  Averaged,  // whether this rank's loss averages
  Active,    // whether it has a batch
  Stop,      // whether it wants to stop
  room = 16
};

// Each gradient begins at a multiple of this many elements, aligned as if allocated alone.
constexpr std::size_t aligned(std::size_t elements) { return (elements + 15) / 16 * 16; }

template <class T>
std::string description(const Layer<T>& net) {
  const std::string type = sizeof(T) == sizeof(float) ? " float\n" : " double\n";
  std::string text;
  for (const auto& [name, parameter] : net.named_parameters())
    text += name + " " + parameter.shape().str() + (parameter.requires_grad() ? "" : " frozen") + type;
  for (const auto& [name, buffer] : net.named_buffers()) text += name + " " + buffer.value().shape().str() + type;
  return text;
}

std::string short_number(double number) { return formatted("%.6g", number); }

template <class T>
Tensor<T>& gradient(Parameter<T>& parameter) {
  const bool written = parameter.has_grad();
  Tensor<T>& grad = parameter.accumulate().first;
  if (!written) parameter.zero_grad();
  return grad;
}

/// The SyncBatchNorms of a network.
template <class T>
void collect(Layer<T>& layer, std::vector<SyncBatchNorm<T>*>& found) {
  if (auto* norm = dynamic_cast<SyncBatchNorm<T>*>(&layer)) found.push_back(norm);
  for (const auto& [name, child] : layer.children()) collect(*child, found);
}

template <class T>
void spread(Layer<T>& layer, std::uint32_t rank) {
  if (auto* dropout = dynamic_cast<Dropout<T>*>(&layer)) {
    auto state = dropout->state();
    state.stream = (state.stream & 0xffff) | rank << 16;  // assumes fewer than 65536 layers in a network
    dropout->set_state(state);
  }
  for (const auto& [name, child] : layer.children()) spread(*child, rank);
}

}  // namespace

/// The single thread that sums bucket after bucket while the backward runs.
template <class T>
struct DataParallel<T>::Worker {
  explicit Worker(DataParallel& parallel) : thread([this, &parallel] { work(parallel); }) {}
  ~Worker() {
    {
      const std::lock_guard lock(mutex);
      ended = true;
    }
    changed.notify_all();
    thread.join();
  }

  void give(const Bucket& bucket) {
    {
      const std::lock_guard lock(mutex);
      waiting.push_back(&bucket);
    }
    changed.notify_all();
  }
  void finish() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting.empty(); });
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
  }
  bool idle() {
    const std::lock_guard lock(mutex);
    return waiting.empty();
  }

  void work(DataParallel& parallel) {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return ended || !waiting.empty(); });
      if (waiting.empty()) return;
      const Bucket& bucket = *waiting.front();
      lock.unlock();
      std::exception_ptr thrown;
      try {
        parallel.sum(bucket);
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      waiting.pop_front();
      if (thrown) {
        failure = thrown;
        waiting.clear();
      }
      changed.notify_all();
    }
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<const Bucket*> waiting;  // the first is being summed
  std::exception_ptr failure;
  bool ended = false;
  std::thread thread;
};

template <class T>
DataParallel<T>::DataParallel(Layer<T>& net, Communicator& communicator, DataParallelOptions options)
    : net_(net), communicator_(communicator), options_(options) {
  require_same(communicator, "DataParallel", "the parameter or buffer", description(net));
  if (options.same_seed)
    require_same(communicator, "DataParallel", "the seed", std::to_string(default_generator().initial_seed()),
                 "manual_seed(n) with the same n on all of them, or DataParallelOptions::same_seed = false where each "
                 "is to have its own");
  parameters_ = net.parameters();
  if (parameters_.empty()) throw ValueError("DataParallel: a network without parameters: nothing to train");
  std::reverse(parameters_.begin(), parameters_.end());
  lay_out();
  broadcast();
  spread_random();
}

template <class T>
DataParallel<T>::~DataParallel() {
  // Left by an error during a backward: the others must not wait for what will not come.
  if (worker_ && !worker_->idle())
    communicator_.abort("rank " + std::to_string(communicator_.rank()) + " left a backward unfinished");
}

/// Places the gradients in one arena, last layer first, and cuts it into buckets; does nothing if they are already
/// there.
template <class T>
void DataParallel<T>::lay_out() {
  bool there = !rooms_.empty();
  for (std::size_t i = 0; there && i < rooms_.size(); ++i) there = gradient(parameters_[i]).data() == rooms_[i].data();
  if (there) return;

  const Device device = parameters_[0].value().device();
  std::size_t size = room;
  for (const Parameter<T>& parameter : parameters_) {
    if (parameter.value().device() != device)
      throw DeviceError("DataParallel: parameters on " + device.str() + " and on " + parameter.value().device().str() +
                        "; they are summed together on one device");
    size += aligned(parameter.numel());
  }
  if (!arena_.defined() || arena_.device() != device) arena_ = make_arena(size, device);
  device_sums_ = device.is_cpu() ? nullptr : communicator_.sums_on(device);
  host_ = device.is_cpu() ? arena_ : zeros<T>({device_sums_ ? std::size_t{room} : size});
  rooms_.clear();
  worker_.reset();
  buckets_ = {{0, room, 0, 0, 0}};
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if ((buckets_.back().end - buckets_.back().begin) * sizeof(T) >= options_.bucket_bytes)
      buckets_.push_back({buckets_.back().end, buckets_.back().end, i, i, 0});
    Bucket& bucket = buckets_.back();
    rooms_.push_back(arena_.rows(bucket.end, bucket.end + parameters_[i].numel()).reshape(parameters_[i].shape()));
    Tensor<T>& grad = gradient(parameters_[i]);
    if (parameters_[i].has_grad()) rooms_[i].copy_from(grad);
    grad = rooms_[i];
    bucket.end += aligned(parameters_[i].numel());
    ++bucket.last;
  }
  if (communicator_.size() == 1 || !device.is_cpu()) return;
  if (buckets_.size() > 1 && communicator_.beside()) worker_ = std::make_unique<Worker>(*this);
  if ((!worker_ && !shared_) || buckets_[0].last == 0) return;
  buckets_[0].begin = room;  // the header goes before, so that the sums of gradients know N
  buckets_.insert(buckets_.begin(), {0, room, 0, 0, 0});
}

template <class T>
Tensor<T> DataParallel<T>::make_arena(std::size_t size, Device device) {
  std::shared_ptr<void> memory;
  if (device.is_cpu() && communicator_.size() > 1) memory = communicator_.memory(size * sizeof(T));
  shared_ = memory != nullptr;
  if (shared_) return Tensor<T>::borrow(static_cast<T*>(memory.get()), {size}, memory);
  return zeros<T>({size}, device);
}

template <class T>
void DataParallel<T>::loss(const Loss<T>& loss) {
  if (told_ || loss.reduction() == Reduction::None) return;
  const bool mean = loss.reduction() == Reduction::Mean;
  const double count = mean ? loss.averaged_over() : 1;
  if (count_ && (mean != mean_ || count != *count_))
    throw StateError("DataParallel: " + loss.name() + " averages over " + short_number(count) +
                     " rows, the loss before it over " + short_number(*count_) +
                     ", in one backward; averaged_over(n) says by how many rows this rank counts");
  count_ = count;
  mean_ = mean;
}

template <class T>
void DataParallel<T>::begin(const Layer<T>& root) {
  mine_ = &root == &net_ && communicator_.size() > 1;
  if (mine_) {
    lay_out();
    if (summed_) {
      const bool kept = std::any_of(parameters_.begin(), parameters_.end(), [](const auto& p) { return p.has_grad(); });
      // Gradients the ranks have already summed are carried by one of them; with a mean all may, as their shares add up
      // to 1.
      if (kept && !mean_ && !is_first())
        for (Parameter<T>& parameter : parameters_) parameter.zero_grad();
      summed_ = false;
    }
    rows_ += count_.value_or(1);
    communicator_.set_loss_weight(count_.value_or(1));
    if (!alone_) prepare(true);
  }
  count_.reset();
  told_ = false;
}

template <class T>
void DataParallel<T>::prepare(bool active) {
  T* header = host_.data();
  header[Rows] = static_cast<T>(rows_);
  header[Averaged] = active && mean_;
  header[Active] = active;
  header[Stop] = stop_;
  launched_ = next_ = 0;
  for (Bucket& bucket : buckets_)
    bucket.pending = static_cast<std::size_t>(
        std::count_if(parameters_.begin() + static_cast<std::ptrdiff_t>(bucket.first),
                      parameters_.begin() + static_cast<std::ptrdiff_t>(bucket.last),
                      [](const Parameter<T>& parameter) { return parameter.requires_grad(); }));
  if (!device_sums_) return;
  communicator_.all_reduce(std::span<T>(header, room));  // by the host, beside the device's work: N before the sums
  take(header);
}

/// What the ranks have summed along with their gradients.
template <class T>
void DataParallel<T>::take(const T* header) {
  divisor_ = header[Averaged] > 0 && header[Rows] > 0 ? static_cast<double>(header[Rows]) : 1;
  stop_requested_ = header[Stop] > 0;
  others_train_ = header[Active] > 0;
}

template <class T>
void DataParallel<T>::ready(Parameter<T>& parameter) {
  if (!mine_ || alone_ || !(worker_ || device_sums_)) return;
  std::size_t i = next_, looked = 0;
  while (looked < parameters_.size() && !parameters_[i].same_as(parameter)) i = (i + 1) % parameters_.size(), ++looked;
  if (looked == parameters_.size()) return;
  next_ = (i + 1) % parameters_.size();
  for (Bucket& bucket : buckets_)
    if (bucket.first <= i && i < bucket.last) --bucket.pending;
  // In arena order, which is the same on all ranks.
  while (launched_ < buckets_.size() && buckets_[launched_].pending == 0) launch(launched_++);
}

template <class T>
void DataParallel<T>::launch(std::size_t i) {
  const Bucket& bucket = buckets_[i];
  for (std::size_t p = bucket.first; p < bucket.last; ++p)
    if (!parameters_[p].has_grad()) rooms_[p].fill(T(0));
  if (worker_) worker_->give(bucket);
  if (!device_sums_) return;
  // g ← Σᵣ (nᵣ/N)·gᵣ, in the order of the device's operations
  const std::size_t begin = bucket.begin == 0 ? std::size_t{room} : bucket.begin;
  const kernels::Vector<T> gradients{arena_.data() + begin, bucket.end - begin};
  const double factor = (mean_ ? rows_ : 1) / divisor_;
  if (factor != 1) backend<T>(arena_.device()).elements.scale(gradients, static_cast<T>(factor));
  device_sums_->add(gradients.data, gradients.size);
}

template <class T>
void DataParallel<T>::end(const Layer<T>&) {
  if (!std::exchange(mine_, false) || alone_) return;
  finish();
}

template <class T>
void DataParallel<T>::finish() {
  while (launched_ < buckets_.size()) launch(launched_++);
  if (worker_) {
    worker_->finish();
  } else if (device_sums_) {
    device_sums_->finish();
  } else {
    if (!arena_.device().is_cpu()) {
      const std::vector<T> header(host_.data(), host_.data() + room);
      host_.copy_from(arena_);
      std::copy(header.begin(), header.end(), host_.data());
    }
    for (const Bucket& bucket : buckets_) sum(bucket);
    if (!arena_.device().is_cpu()) arena_.copy_from(host_);
  }
  rows_ = 0;
  summed_ = true;
}

// g ← (1/N)·Σᵣ nᵣ·gᵣ
template <class T>
void DataParallel<T>::sum(const Bucket& bucket) {
  Communicator& ranks = worker_ ? *communicator_.beside() : communicator_;
  const std::size_t header = bucket.begin == 0 ? std::size_t{room} : 0;
  const std::span<T> all(host_.data() + bucket.begin, bucket.end - bucket.begin), gradients = all.subspan(header);
  const T weight = mean_ ? static_cast<T>(rows_) : T(1);
  if (header == 0) return ranks.all_reduce(all, weight, static_cast<T>(1 / divisor_));
  for (T& g : gradients) g *= weight;
  ranks.all_reduce(all);
  take(all.data());
  const T factor = static_cast<T>(1 / divisor_);
  for (T& g : gradients) g *= factor;
}

template <class T>
void DataParallel<T>::join(const std::function<void()>& step) {
  std::vector<SyncBatchNorm<T>*> norms;
  collect(net_, norms);
  const bool known = std::all_of(norms.begin(), norms.end(), [](auto* norm) { return norm->has_run(); });
  if (communicator_.size() > 1 && norms.size() > 1 && !known)
    throw StateError("DataParallel::join: rank " + std::to_string(communicator_.rank()) +
                     " has had no batch, and does not know the order in which the network's " +
                     std::to_string(norms.size()) + " SyncBatchNorms sum; at least one batch on each rank expected");
  while (communicator_.size() > 1) {
    lay_out();
    for (Parameter<T>& parameter : parameters_) {
      parameter.zero_grad();
      if (parameter.requires_grad()) parameter.accumulate().first.fill(T(0));
    }
    rows_ = 0;
    communicator_.set_loss_weight(0);
    SyncBatchNorm<T>::forward_without_rows(norms);
    prepare(false);
    SyncBatchNorm<T>::backward_without_rows(norms);
    finish();
    if (!others_train_) break;
    step();
  }
  for (Parameter<T>& parameter : parameters_) parameter.zero_grad();
}

template <class T>
void DataParallel<T>::broadcast() {
  for (Parameter<T>& parameter : parameters_) communicator_.broadcast(parameter.value());
  broadcast_buffers();
}

template <class T>
void DataParallel<T>::broadcast_buffers() {
  for (auto [name, buffer] : net_.named_buffers()) communicator_.broadcast(buffer.value());
  for (auto [name, counter] : net_.named_counters()) communicator_.broadcast(counter.value());
}

template <class T>
void DataParallel<T>::spread_random() {
  spread(net_, static_cast<std::uint32_t>(communicator_.rank()));
}

template class DataParallel<float>;
template class DataParallel<double>;

}  // namespace handgrad
