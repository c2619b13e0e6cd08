// Notebook 004: neurons, layers, activations, losses and their descent from scratch. Here they come from handgrad,
// whose forwards and backwards are derived in README.md beside this file.
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "from_scratch/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

const Tensor<float> batch{{1, 2, 3, 2.5}, {2, 5, -1, 2}, {-1.5, 2.7, 3.3, -0.8}};

void neurons_and_layers(Lab& lab) {
  lab.section("1.1  One neuron: z = Σ wᵢxᵢ + b");
  hg::Neuron neuron(Tensor<float>{-0.2, 0.3, -0.5, 0.7}, Tensor<float>{3.14});
  const Tensor<float> x{1, 2, 3, 4};
  const Tensor<float> z = neuron.forward(x);
  std::cout << "w = " << neuron.weight.value() << "\nb = " << neuron.bias.value() << "\nx = " << x << "\nz = " << z
            << '\n';
  lab.figures.exact("004.neuron", z, full_float("4.840000152587891"));

  lab.section("1.2  A layer of three neurons: z = x·Wᵀ + b");
  hg::Linear layer(Tensor<float>{{-0.2, 0.3, -0.5, 0.7}, {0.5, -0.91, 0.26, -0.5}, {-0.26, -0.27, 0.17, 0.87}},
                   Tensor<float>{3.14, 2.71, 7.2});
  const Tensor<float> z_vector = layer.forward(x);
  std::cout << "W = " << layer.weight.value() << "\nz = " << z_vector << '\n';
  lab.figures.exact("004.linear.vector", z_vector, printed("4.8400 0.1700 10.3900"));

  lab.section("1.3  The same layer on a batch: one row an example, (3, 4)·(4, 3) → (3, 3)");
  const Tensor<float> z_batch = layer.forward(batch);
  std::cout << "x = " << batch << "\nz = " << z_batch << '\n';
  lab.figures.exact("004.linear.batch", z_batch,
                    printed("3.7900 0.9200 9.0850  6.1400 -2.1000 6.9000  2.0400 0.7610 6.7260"));

  lab.section("1.4  Weights and biases drawn from N(0, 1)");
  hg::manual_seed(0);
  auto drawn = hg::Linear<float>::standard_normal(4, 3);
  const Tensor<float> z_drawn = drawn.forward(batch);
  std::cout << "W = " << drawn.weight.value() << "\nb = " << drawn.bias.value() << "\nz = " << z_drawn << '\n';
  lab.figures.exact("004.linear.randn", z_drawn,
                    printed("-5.0178 0.5240 -3.9319  4.0738 -6.7887 -3.5657  -11.6052 -0.3882 -3.1959"));

  lab.section("1.5  Two layers, 4 → 3 → 7, one after the other");
  hg::manual_seed(0);
  hg::Sequential net{hg::Linear<float>::standard_normal(4, 3), hg::Linear<float>::standard_normal(3, 7)};
  const Tensor<float> z_two = net.forward(batch);
  std::cout << net << "\nz = " << z_two << '\n';
  lab.figures.exact("004.two_layers", z_two,
                    printed("5.1553 1.1916 -4.7817 3.6611 -9.6546 0.1692 5.8099 "
                            "-0.8347 0.0913 3.1227 3.5542 5.4400 4.9157 8.2533 "
                            "8.8057 -1.1342 -7.8488 6.7415 -11.1044 5.1500 5.6152"));
}

void activations(Lab& lab) {
  hg::manual_seed(0);
  const Tensor<float> z = hg::randn({4, 3});

  lab.section("2.1  ReLU: max(z, 0)");
  hg::ReLU relu;
  const Tensor<float> positive = relu.forward(z);
  std::cout << "z = " << z << "\nReLU(z) = " << positive << '\n';
  lab.figures.exact("004.relu", positive,
                    printed("1.5410 0.0000 0.0000  0.5684 0.0000 0.0000  0.4033 0.8380 0.0000  0.0000 0.0000 0.1820"));

  lab.section("2.2  Softmax over each row: eᶻ / Σ eᶻ");
  hg::Softmax softmax(1);
  const Tensor<float> p = softmax.forward(z);
  std::cout << "softmax(z) = " << p << '\n';
  lab.figures.exact("004.softmax", p,
                    printed("0.8446 0.1349 0.0205  0.7511 0.1438 0.1051  0.3484 0.5382 0.1134  0.2762 0.2277 0.4961"));
  // The notebook takes exp of z as it is; float32 overflows beyond e⁸⁸.
  const Tensor<float> large{{1000, 1001, 1002}};
  const Tensor<float> as_written = xt::exp(large.xt()) / xt::sum(xt::exp(large.xt()))();
  std::cout << "\nof z = " << large << "\n  as the notebook writes it: " << as_written
            << "\n  with the row's maximum subtracted first: " << softmax.forward(large) << '\n';

  lab.section("2.3  ELU: z above 0, α(eᶻ − 1) below, α = 1.409");
  hg::ELU elu(1.409);
  const Tensor<float> bent = elu.forward(z);
  std::cout << "ELU(z) = " << bent << '\n';
  lab.figures.exact(
      "004.elu", bent,
      printed("1.5410 -0.3583 -1.2495  0.5684 -0.9327 -1.0611  0.4033 0.8380 -0.7227  -0.4677 -0.6331 0.1820"));
}

void losses(Lab& lab) {
  const Tensor<float> y{{2}, {3}, {4}};

  lab.section("3.1  Mean squared error of one neuron");
  hg::manual_seed(0);
  auto neuron = hg::Linear<float>::standard_normal(4, 1);
  const Tensor<float> z = neuron.forward(batch);
  hg::MSELoss mse;
  const Tensor<float> mean = mse.forward(z, y);
  std::cout << "z = " << z << "\ny = " << y << "\nMSE = " << mean << '\n';
  lab.figures.exact("004.mse", mean, full_float("101.30004119873047"));

  lab.section("3.2  Categorical cross-entropy of a softmax: over which dimension?");
  hg::manual_seed(0);
  auto layer = hg::Linear<float>::standard_normal(4, 3);
  const Tensor<float> logits = layer.forward(batch);
  const Tensor<float> first_class{{1, 0, 0}, {1, 0, 0}, {1, 0, 0}};
  hg::CategoricalCrossEntropyLoss cce(hg::Reduction::None);
  // The notebook's own fraction. exp is rounded to float from double, so that the figure is the same on every
  // processor.
  const Tensor<float> exps = xt::exp(xt::cast<double>(logits.xt()));
  const Tensor<float> p_batch = exps.xt() / xt::sum(exps.xt(), 0);
  const Tensor<float> loss_batch = cce.forward(p_batch, first_class).clone();
  std::cout << "The notebook's Softmax() takes dimension 0. Then it is over the batch that the probabilities of a\n"
               "class sum to 1:\n"
            << p_batch << "\n  sums of the rows: " << Tensor<float>(xt::sum(p_batch.xt(), 1))
            << "\n  loss of each row: " << loss_batch << '\n';
  lab.figures.exact("004.cce", loss_batch, printed("9.0918e+00 1.1272e-04 1.5679e+01"));
  hg::Softmax over_batch(0), over_classes(1);
  std::cout << "\nThe second loss is known to 6e-8 only: that far apart are two floats at p = 0.99989, and the last\n"
               "rounding decides between them. With the maximum subtracted first it may be the other one.\n"
               "CrossEntropyLoss, on logits, knows no such trouble.\n"
               "  loss of each row: "
            << cce.forward(over_batch.forward(logits), first_class) << '\n';
  const Tensor<float> p_classes = over_classes.forward(logits);
  std::cout << "\nOver dimension 1 the probabilities of an example sum to 1, as meant:\n"
            << p_classes << "\n  sums of the rows: " << Tensor<float>(xt::sum(p_classes.xt(), 1))
            << "\n  loss of each row: " << cce.forward(p_classes, first_class) << '\n';

  lab.section("3.3  Squared error with an L2 penalty: Σ (z − t)² + λ Σ w², λ = 1.409");
  hg::MSELoss sum(hg::Reduction::Sum);
  hg::L2Penalty penalty({neuron.weight}, 1.409);
  const float data_loss = sum.forward(z, y).item(), penalty_loss = penalty.forward().item();
  std::cout << data_loss << " + " << penalty_loss << " = " << data_loss + penalty_loss << '\n';
  lab.figures.exact("004.mse_l2", data_loss + penalty_loss, printed("314.5113"));
}

}  // namespace

HANDGRAD_LAB(from_scratch, "004", "neurons, layers, losses and descent with nothing ready-made") {
  std::cout << std::fixed << std::setprecision(4);
  lab.stays_on_cpu("all but the last section, which look at each number as it comes");
  neurons_and_layers(lab);
  activations(lab);
  losses(lab);
  descent(lab);
  relu_network(lab);
}
