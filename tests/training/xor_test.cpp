// The README's program: XOR, with the losses that PyTorch gets from the same seed.
#include <boost/test/unit_test.hpp>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

namespace hg = handgrad;
using handgrad::test::check_close;
using handgrad::test::Reference;

BOOST_AUTO_TEST_CASE(every_loss_is_pytorchs) {
  const Reference reference = Reference::file("xor");
  std::vector<float> losses;

  hg::manual_seed(0);
  hg::Tensor<float> x{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y{{0}, {1}, {1}, {0}};

  hg::Sequential net{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)};
  hg::BCEWithLogitsLoss loss;
  hg::SGD sgd(net.parameters(), {.lr = 0.5});

  for (int epoch = 0; epoch < 1000; ++epoch) {
    const auto& z = net.forward(x);
    auto value = loss.forward(z, y);
    sgd.zero_grad();
    net.backward(loss.backward());
    sgd.step();
    losses.push_back(value.item());
  }

  check_close(losses, reference["losses"].numbers(), 1e-5, "loss");
  check_close(net.forward(x), reference["logits"].tensor<float>(), 1e-5, "logits");
  for (const auto& [name, parameter] : net.named_parameters())
    check_close(parameter.value(), reference["parameters"][name.c_str()].tensor<float>(), 1e-5, name);
  BOOST_TEST(losses.back() < 0.01f);
}
