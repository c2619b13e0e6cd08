// The README's program, verbatim, as a user would write it outside this project.
#include <cstdio>
#include <handgrad/handgrad.hpp>
namespace hg = handgrad;

int main() {
  hg::manual_seed(0);
  hg::Tensor<float> x{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y{{0}, {1}, {1}, {0}};

  hg::Sequential net{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)};  // float; hg::Linear<double>(2, 4) for double
  hg::BCEWithLogitsLoss loss;
  hg::SGD sgd(net.parameters(), {.lr = 0.5});

  for (int epoch = 0; epoch < 1000; ++epoch) {
    const auto& z = net.forward(x);
    auto value = loss.forward(z, y);  // value.item() brings the number over
    if (epoch % 100 == 0 || epoch == 999) std::printf("epoch %d loss %.7f\n", epoch, static_cast<double>(value.item()));
    sgd.zero_grad();
    net.backward(loss.backward());  // δ = ∂L/∂z goes in, the chain runs
    sgd.step();
  }

  // Learnt: every logit on its target's side.
  const auto z = net.forward(x);
  for (std::size_t i = 0; i < 4; ++i)
    if ((z.item(i, 0) > 0) != (y.item(i, 0) > 0.5f)) return 1;
}
