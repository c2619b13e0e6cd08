// Notebook 002: products on the CPU and the GPU, a gradient by hand, the Gabor function as a user-defined layer, XOR.
// The formulas are derived in README.md beside this file.
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <vector>

#include "gabor/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

/// Where the notebook would compute: the GPU, where there is one.
hg::Device best_device() { return hg::cuda_available() ? hg::Device::cuda() : hg::Device::cpu(); }

void devices(Lab& lab) {
  lab.section("2.1  Choosing a device");
  std::cout << "GPU is available: " << (hg::cuda_available() ? "yes" : "no, " + hg::cuda_unavailable_reason())
            << "\nDevice being used for operations: " << best_device().str() << '\n';

  lab.section("2.2  The same seed, the same numbers");
  hg::manual_seed(42);
  const Tensor<float> first = hg::rand({2, 3}), next = hg::rand({2, 3});
  hg::manual_seed(42);
  const Tensor<float> again = hg::rand({2, 3});
  std::cout << "manual_seed(42), rand({2, 3}): " << first << "\nonce more without a seed:      " << next
            << "\nmanual_seed(42) again:         " << again << "\nfirst and last are "
            << (first == again ? "equal, bit for bit" : "NOT EQUAL") << "; the one between them "
            << (first == next ? "TOO" : "is another") << ".\n";
  if (!(first == again) || first == next) throw hg::ValueError("2.2: a seed does not do what it is for");

  lab.section("2.3  To the device and back");
  const hg::Device device = best_device();
  Tensor<float> x = hg::zeros({2, 3});
  const Tensor<float> there = x.to(device), back = there.to(hg::Device::cpu());
  std::cout << "x on " << x.device().str() << ", x.to(" << device.str() << ") on " << there.device().str()
            << ", and back on " << back.device().str() << ": " << back << '\n';
  std::cout << (there.shares_with(x)
                    ? "A tensor that is where it is to go is not copied: both are one memory. clone() copies.\n"
                    : "On a GPU there is a copy of its own; what is written there is not seen here.\n");
}

/// The notebook's array of NumPy is an xtensor expression here: `x.xt()` is a view of the tensor's own memory.
void arrays(Lab& lab) {
  lab.section("2.5  Tensor and array");
  Tensor<float> tensor{0, 1, 2, 3};
  auto array = tensor.xt();
  std::cout << "tensor: " << tensor << '\n';
  array(1) = 10;
  array *= 2;
  std::cout << "array = tensor.xt(); array(1) = 10; array *= 2\ntensor: " << tensor
            << "\nOne memory, two names: what is written through the array is in the tensor.\n\n";
  const Tensor<float> copy = array + 0.f;
  array(0) = -1;
  std::cout << "copy = array + 0; array(0) = -1\ntensor: " << tensor << "\ncopy:   " << copy
            << "\nA tensor made from an expression has memory of its own.\n\n";
  const std::string file = lab.out("tensor.npy");
  hg::write_npy(file, tensor);
  const Tensor<float> read = hg::read_npy(file);
  std::cout << "Over a file, np.load(\"tensor.npy\") and np.save on the other side:\nwritten and read again: " << read
            << (read == tensor ? ", equal bit for bit\n" : ", NOT EQUAL\n");
  if (!(tensor == Tensor<float>{-1, 20, 4, 6}) || !(copy == Tensor<float>{0, 20, 4, 6}) || !(read == tensor))
    throw hg::ValueError("2.5: a tensor and its array do not share memory");
}

/// Seconds per product x·x, after a first one that loads and tunes the product library.
double time_of_product(const Tensor<float>& x, int times) {
  const auto product = [&] { hg::matmul(x, x); };
  product();
  return hg::seconds_on(x.device(),
                        [&] {
                          for (int i = 0; i < times; ++i) product();
                        }) /
         times;
}

void products(Lab& lab) {
  lab.section("2.4  A product of 5000×5000 numbers");
  hg::manual_seed(42);
  const Tensor<float> x = hg::rand({5000, 5000});
  const double gigaflop = 2 * 5000.0 * 5000 * 5000 * 1e-9;
  const auto print = [&](const char* where, double seconds) {
    std::cout << where << " time: " << std::setprecision(4) << seconds << " s, " << std::setprecision(0)
              << gigaflop / seconds << " GFLOP/s\n"
              << std::setprecision(4);
  };
  const double cpu = time_of_product(x, 1);
  print("CPU", cpu);
  if (!hg::cuda_available()) {
    std::cout << "No GPU: " << hg::cuda_unavailable_reason() << '\n';
    lab.figures.shape("002.matmul", cpu);
    return;
  }
  const double gpu = time_of_product(x.to(hg::Device::cuda()), 10);
  print("GPU", gpu);
  std::cout << "CPU/GPU time: " << cpu / gpu << '\n';
  lab.figures.shape("002.matmul", {cpu, gpu, cpu / gpu});
}

/// y = (1/N) Σ (xₙ + 2)² + 3
double mean_square(const std::vector<double>& x) {
  double sum = 0;
  for (const double xn : x) sum += (xn + 2) * (xn + 2) + 3;
  return sum / static_cast<double>(x.size());
}

void gradient_by_hand(Lab& lab) {
  lab.section("2.6  y = mean((x + 2)² + 3) and its gradient, step by step");
  hg::Parameter<float> x(Tensor<float>{0, 1, 2});
  const float N = 3;
  const Tensor<float> a = x.xt() + 2.f, b = xt::square(a.xt()), c = b.xt() + 3.f;
  const float y = xt::mean(c.xt())();
  std::cout << "x = " << x.value() << "\na = x + 2 = " << a << "\nb = a² = " << b << "\nc = b + 3 = " << c
            << "\ny = mean(c) = " << y << "\n\n";

  const Tensor<float> dc = xt::ones_like(c.xt()) / N, db = dc, da = 2 * a.xt() * db.xt(), dx = da;
  x.accumulate(dx.xt());
  std::cout << "dc = 1/N = " << dc << "\ndb = dc = " << db << "\nda = 2a·db = " << da << "\ndx = da = " << x.grad()
            << '\n';
  lab.figures.exact("002.mean_square", x.grad(), full_float("1.3333333333 2 2.6666666667"));

  std::cout << "by central differences: [";
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<double> up{0, 1, 2}, down = up;
    up[i] += 1e-5, down[i] -= 1e-5;
    std::cout << (i > 0 ? ", " : "") << (mean_square(up) - mean_square(down)) / 2e-5;
  }
  std::cout << "]\n\n";
  x.accumulate(dx.xt());
  std::cout << "A second backward adds: " << x.grad() << '\n';
  x.zero_grad();
  x.accumulate(dx.xt());
  std::cout << "Zeroed before:          " << x.grad() << '\n';
}

}  // namespace

HANDGRAD_LAB(gabor, "002", "products, the Gabor function as a layer of one's own, XOR") {
  std::cout << std::fixed << std::setprecision(4);
  devices(lab);
  products(lab);
  arrays(lab);
  gradient_by_hand(lab);
  gabor_fit(lab);
  xor_classifier(lab);
}
