#include "handgrad/distributed/communicator.hpp"

#include <cstdint>
#include <sstream>

#include "kernels/device.hpp"

namespace handgrad {

template <class T>
void Communicator::all_reduce(Tensor<T>& x) {
  if (kernels::RankSums* sums = x.device().is_cpu() ? nullptr : sums_on(x.device())) {
    sums->add(x.data(), x.numel());
    sums->finish();
    return;
  }
  Tensor<T> host = x.cpu();
  all_reduce(std::span<T>(host.data(), host.numel()));
  if (!x.device().is_cpu()) x.copy_from(host);
}

template <class T>
void Communicator::broadcast(Tensor<T>& x, int root) {
  Tensor<T> host = x.cpu();
  broadcast(std::as_writable_bytes(std::span<T>(host.data(), host.numel())), root);
  if (!x.device().is_cpu()) x.copy_from(host);
}

template <class T>
static void weighted(Communicator& communicator, std::span<T> x, T weight, T factor) {
  if (weight != 1)
    for (T& element : x) element *= weight;
  communicator.all_reduce(x);
  if (factor != 1)
    for (T& element : x) element *= factor;
}

void Communicator::all_reduce(std::span<float> x, float weight, float factor) { weighted(*this, x, weight, factor); }
void Communicator::all_reduce(std::span<double> x, double weight, double factor) { weighted(*this, x, weight, factor); }

std::string broadcast(Communicator& communicator, std::string text, int root) {
  std::uint64_t length = text.size();
  communicator.broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
  text.resize(length);
  communicator.broadcast(std::as_writable_bytes(std::span(text.data(), text.size())), root);
  return text;
}

std::vector<std::string> all_gather(Communicator& communicator, const std::string& mine) {
  std::vector<std::string> all;
  for (int root = 0; root < communicator.size(); ++root) all.push_back(broadcast(communicator, mine, root));
  return all;
}

std::vector<double> all_gather(Communicator& communicator, std::span<const double> mine) {
  const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size_bytes());
  std::vector<double> all;
  for (const std::string& part : all_gather(communicator, bytes)) {
    const std::size_t before = all.size();
    all.resize(before + part.size() / sizeof(double));
    part.copy(reinterpret_cast<char*>(all.data() + before), part.size());
  }
  return all;
}

double all_reduce(Communicator& communicator, double mine) {
  communicator.all_reduce(std::span(&mine, 1));
  return mine;
}

// The first pair of lines in which two texts differ.
static std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  std::istringstream as(a), bs(b);
  for (;;) {
    std::string line_a, line_b;
    const bool more_a = bool(std::getline(as, line_a)), more_b = bool(std::getline(bs, line_b));
    if (!more_a) line_a = "nothing";
    if (!more_b) line_b = "nothing";
    if (line_a != line_b || (!more_a && !more_b)) return {line_a, line_b};
  }
}

void require_same(Communicator& communicator, const std::string& where, const std::string& what,
                  const std::string& mine, const std::string& advice) {
  // Compare a hash first: with many ranks, texts would be long.
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : mine) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::uint64_t expected = hash;
  communicator.broadcast(std::as_writable_bytes(std::span(&expected, 1)), 0);
  if (all_reduce(communicator, hash == expected ? 0.0 : 1.0) == 0) return;
  const std::vector<std::string> all = all_gather(communicator, mine);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    const auto [theirs, first] = first_difference(all[rank], all[0]);
    throw ValueError(where + ": rank " + std::to_string(rank) + " has " + what + " " + theirs + ", rank 0 has " +
                     first + (advice.empty() ? "" : "; " + advice));
  }
}

template void Communicator::all_reduce(Tensor<float>&);
template void Communicator::all_reduce(Tensor<double>&);
template void Communicator::broadcast(Tensor<float>&, int);
template void Communicator::broadcast(Tensor<double>&, int);

}  // namespace handgrad
