// Section 1 of the notebook: the model, its loss and its descent, formula by formula, and what went wrong.
#include <cmath>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <tuple>
#include <vector>

#include "common/plot.hpp"
#include "common/text.hpp"
#include "logistic/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

constexpr double clamp = 1e-7;  // the notebook clamps probabilities to [1e-7, 1 − 1e-7] before taking logarithms

/// p = σ(x·w + b) for x (N, 3), w (3), b (1): N probabilities, as in the notebook's `model`.
struct Model {
  hg::Parameter<float> w, b;
  hg::Sequential<float> net;
};

/// w and b as the notebook draws them, divided by `divisor`.
Model draw_model(float divisor) {
  hg::manual_seed(1);
  const Tensor<float> w = hg::randn({3}), b = hg::randn({1});
  hg::Neuron<float> neuron(w.xt() / divisor, b.xt() / divisor);
  return {neuron.weight, neuron.bias, hg::Sequential{std::move(neuron), hg::Sigmoid()}};
}

Tensor<float> threshold(const Tensor<float>& p) { return xt::cast<float>(p.xt() > 0.5f); }

/// What `true_labels * torch.log(predicted_probs)` becomes if p has shape (N,) and t shape (N, 1): both are broadcast
/// to (N, N), and the loss is the mean of a table with ℓ(pⱼ, tᵢ) in row i and column j.
///
///     L = (1/N²) Σᵢⱼ ℓ(pⱼ, tᵢ)   ⇒   ∂L/∂pⱼ = (1/N²) Σᵢ (pⱼ − tᵢ)/(pⱼ(1−pⱼ)) = (1/N)·(pⱼ − t̄)/(pⱼ(1−pⱼ)),
///
/// and 0 where pⱼ was clamped. Only the labels' mean t̄ remains. The library's losses reject such shapes, so the table
/// is written out here.
struct BroadcastLoss {
  Tensor<float> table;  // (N, N)
  double value;
  Tensor<float> dp;  // (N,)
};

BroadcastLoss broadcast_loss(const Tensor<float>& p, const Tensor<float>& t) {
  const float low = clamp, high = 1 - low, n = static_cast<float>(p.numel());
  const Tensor<float> q = xt::clip(p.xt(), low, high);
  const Tensor<float> table = -(t.xt() * xt::log(q.xt()) + (1 - t.xt()) * xt::log(1 - q.xt()));
  const Tensor<float> pulls = (p.xt() - t.xt()) / (q.xt() * (1 - q.xt()));  // (N, N): row i pulls pⱼ to tᵢ
  const Tensor<float> inside = xt::cast<float>(p.xt() >= low && p.xt() <= high);
  return {table, xt::mean(table.xt())(), inside.xt() * xt::sum(pulls.xt(), {0}) / (n * n)};
}

/// 1000 epochs of descent. `step` computes the loss and δ = ∂L/∂p. Gradients present at the start are used.
template <class Step>
std::vector<double> descend(Model& model, const Tensor<float>& x, Step&& step, int epochs = 1000) {
  hg::SGD sgd(model.net.parameters(), {.lr = 1e-5});
  std::vector<double> losses;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto [loss, dp] = step(model.net.forward(x));
    model.net.backward(dp);
    sgd.step();
    sgd.zero_grad();
    losses.push_back(loss);
  }
  return losses;
}

void saturated(Lab& lab, const Tensor<float>& x, const Tensor<float>& y) {
  lab.section("1.2  Weights from N(0, 1)", "1");
  Model model = draw_model(1);
  std::cout << "w = " << model.w.value() << "\nb = " << model.b.value() << '\n';
  lab.figures.exact("000.init.w", model.w.value(), printed("0.6614 0.2669 0.0617"));
  lab.figures.exact("000.init.b", model.b.value(), printed("0.6213"));

  lab.section("1.3  The model: p = σ(x·w + b)", "1");
  const Tensor<float> p = model.net.forward(x);
  std::cout << "preds = " << threshold(p) << "\nprobs = " << p << '\n';

  lab.section("1.4  Binary cross-entropy, as the notebook writes it", "2");
  std::cout << "p has shape " << p.shape().str() << ", the targets have shape " << y.shape().str()
            << ". The library does not take them:\n\n";
  hg::BCELoss bce({.clamp = clamp});
  try {
    bce.forward(p, y);
  } catch (const hg::ShapeError& error) {
    std::cout << wrapped(std::string("ShapeError: ") + error.what(), 2) << "\n\n";
  }
  const BroadcastLoss faulty = broadcast_loss(p, y);
  std::cout << "PyTorch repeats both to (5, 5) without a word. Row i, column j is the loss of prediction j against\n"
            << "label i; only the diagonal was meant:\n"
            << faulty.table << "\nmean: " << faulty.value << '\n';
  lab.figures.exact("000.saturated.loss", faulty.value, full_float("6.376953601837158"));

  lab.section("1.5  The gradients are zero. Why?", "4");
  model.net.zero_grad();
  model.net.backward(faulty.dp);
  std::cout << "w.grad = " << model.w.grad() << "\nb.grad = " << model.b.grad() << '\n';
  lab.figures.exact("000.saturated.dw", model.w.grad(), printed("0 0 0"));
  lab.figures.exact("000.saturated.db", model.b.grad(), printed("0"));

  const Tensor<float> z = model.net[0].forward(x);
  std::cout << "\n   z = x·w + b    e⁻ᶻ in double    1 + e⁻ᶻ in float    p = σ(z)    σ′ = p(1−p) in float\n";
  for (std::size_t i = 0; i < z.numel(); ++i) {
    const float zi = z.item(i), pi = p.item(i), sum = 1 + std::exp(-zi);
    std::cout << std::fixed << std::setprecision(4) << std::setw(14) << zi << std::scientific << std::setprecision(3)
              << std::setw(17) << std::exp(-double(zi)) << std::fixed << std::setprecision(8) << std::setw(19) << sum
              << std::setw(14) << pi << std::setw(18) << pi * (1 - pi) << '\n';
  }
  std::cout << "\nThe inputs are near 100 and the weights near 1, so z is near 100. A float holds 24 bits: beside 1,\n"
               "what is below 2⁻²⁴ = 6.0e-08 is lost, so that p is exactly 1 from z = 16.6 on. Two factors of the\n"
               "chain dL/dz = ∂L/∂p · σ′(z) then are 0: σ′ = p(1−p), and ∂L/∂p behind the clamp at 1 − 1e-7. The\n"
               "sigmoid is saturated: nothing can be learnt from here, although two of five predictions are wrong.\n";

  lab.section("1.5b The loss on logits does not saturate", "4");
  const Tensor<float> labels = y.reshape({y.numel()});
  hg::BCEWithLogitsLoss on_logits;
  const float value = on_logits.forward(z, labels).item();
  const Tensor<float>& dz = on_logits.backward();
  model.net.zero_grad();
  model.net[0].backward(dz);
  std::cout << "Sigmoid and cross-entropy in one have ∂L/∂z = (p − t)/N: the factor p(1−p) has cancelled on paper,\n"
            << "before it could become 0. From the same weights, loss " << value << ":\n"
            << "dz = " << dz << "\nw.grad = " << model.w.grad() << "\nb.grad = " << model.b.grad() << '\n';
}

void print_epochs(const std::vector<double>& faulty, const std::vector<double>& fixed) {
  std::cout << " epoch    loss of the 5×5 table    loss of the 5 predictions\n";
  for (const std::size_t epoch : {0, 10, 20, 30, 40, 50, 100, 270, 500, 999})
    std::cout << std::setw(6) << epoch << std::fixed << std::setprecision(7) << std::setw(25) << faulty[epoch]
              << std::setw(29) << fixed[epoch] << '\n';
}

}  // namespace

void from_scratch_section(Lab& lab) {
  lab.section("1.1  Temperature, rainfall and humidity; more than 80 apples?");
  lab.stays_on_cpu("the first part, whose formulas are written with xtensor");
  const auto [x, y] = hg::apples();
  std::cout << x << '\n' << y << '\n';
  const Tensor<float> labels = y.reshape({y.numel()});  // (5,), like the probabilities
  saturated(lab, x, y);

  lab.section("1.5c The same draw, divided by 1000", "4");
  Model faulty = draw_model(1000);
  std::cout << "w = " << faulty.w.value() << "\nb = " << faulty.b.value() << '\n';
  lab.figures.exact("000.small.w", faulty.w.value(), printed("6.6135e-04 2.6692e-04 6.1677e-05"));
  const auto broadcast_step = [&targets =
                                   y](const Tensor<float>& p) {  // copies: Clang 14 captures no structured binding
    BroadcastLoss loss = broadcast_loss(p, targets);
    return std::pair{loss.value, loss.dp};
  };
  const Tensor<float> p_small = faulty.net.forward(x);
  const auto [small_loss, small_dp] = broadcast_step(p_small);
  faulty.net.backward(small_dp);
  std::cout << "preds = " << threshold(p_small) << "\nprobs = " << p_small << "\nloss = " << std::setprecision(16)
            << small_loss << "\nw.grad = " << faulty.w.grad() << "\nb.grad = " << faulty.b.grad() << '\n';
  lab.figures.exact("000.small.loss", small_loss, full_float("0.6857479810714722"));
  lab.figures.exact("000.small.dw", faulty.w.grad(), printed("-6.6817 -6.7453 -4.3082"));
  lab.figures.exact("000.small.db", faulty.b.grad(), printed("-0.0794"));

  lab.section("1.6  1000 epochs of gradient descent, and the same with targets shaped as the probabilities are", "5");
  // The previous cell's gradient is still there, so the first step is twice as long.
  const std::vector<double> faulty_losses = descend(faulty, x, broadcast_step);

  Model fixed = draw_model(1000);
  hg::BCELoss bce({.clamp = clamp});
  const auto fixed_step = [&](const Tensor<float>& p) {
    const double loss = bce.forward(p, labels).item();
    return std::pair{loss, bce.backward()};
  };
  fixed.net.backward(fixed_step(fixed.net.forward(x)).second);
  const Tensor<float> dw0 = fixed.w.grad().clone(), db0 = fixed.b.grad().clone();
  const std::vector<double> fixed_losses = descend(fixed, x, fixed_step);

  print_epochs(faulty_losses, fixed_losses);
  const Tensor<float> p_faulty = faulty.net.forward(x).clone(), p_fixed = fixed.net.forward(x).clone();
  for (const auto& [title, model, p] :
       {std::tuple{"of the table", &faulty, p_faulty}, {"of the predictions", &fixed, p_fixed}})
    std::cout << "\nafter 1000 epochs " << title << "\n  w       " << model->w.value() << "\n  b       "
              << model->b.value() << "\n  probs   " << p << "\n  preds   " << threshold(p) << "\n  labels  " << labels
              << '\n';
  const double mean = xt::mean(labels.xt())();
  std::cout << std::setprecision(4)
            << "\nIn the table each prediction meets all five labels, so that all are pulled to the labels' mean,\n"
            << mean << ". The best the model can do is to answer " << mean << " everywhere, which costs "
            << -(mean * std::log(mean) + (1 - mean) * std::log(1 - mean))
            << ":\nthe notebook's loss ends there, and the notebook concludes that 1000 epochs are too many.\n"
            << "With equal shapes the same descent learns";
  int trained = 1000;
  for (; trained < 100000 && !(threshold(fixed.net.forward(x)) == labels); trained += 100)
    descend(fixed, x, fixed_step, 100);
  std::cout << ": after " << trained << " epochs all five are right.\n";
  const std::vector<std::string> printed_losses{"0.6857479810714722", "0.6780029535293579", "0.6753175854682922",
                                                "0.6742188334465027", "0.6737637519836426", "0.6735718250274658",
                                                "0.6734099388122559", "0.6733264923095703"};
  const std::vector<std::size_t> epochs{0, 10, 20, 30, 40, 50, 100, 270};
  for (std::size_t i = 0; i < epochs.size(); ++i)
    lab.figures.exact("000.gd.loss" + std::to_string(epochs[i]), faulty_losses[epochs[i]],
                      full_float(printed_losses[i]));
  lab.figures.exact("000.gd.w", faulty.w.value(), printed("0.0032 0.0008 0.0013"));
  lab.figures.exact("000.gd.b", faulty.b.value(), printed("0.0007"));
  lab.figures.exact("000.gd.preds", threshold(p_faulty), printed("1 1 1 1 1"));
  lab.figures.exact("000.fixed.dw0", dw0);
  lab.figures.exact("000.fixed.db0", db0);
  for (const std::size_t epoch : {0, 10, 20, 30, 100, 270})
    lab.figures.exact("000.fixed.loss" + std::to_string(epoch), fixed_losses[epoch]);
  lab.figures.exact("000.fixed.probs", p_fixed);
  lab.figures.weights("table", faulty.net.state_dict());
  lab.figures.weights("predictions", fixed.net.state_dict());

  lab.section("1.6b The gradient that was left over", "6");
  Model zeroed = draw_model(1000);
  const std::vector<double> zeroed_losses = descend(zeroed, x, fixed_step, 101);
  std::cout << "A backward adds to the gradients. The notebook calls it once in the cell before its loop, and zeroes\n"
            << "only at the end of each step: the first step goes twice as far as lr says.\n\n"
            << " epoch    left over    zeroed before the loop\n"
            << std::fixed << std::setprecision(7);
  for (const std::size_t epoch : {0, 1, 2, 10, 20, 100})
    std::cout << std::setw(6) << epoch << std::setw(13) << fixed_losses[epoch] << std::setw(26) << zeroed_losses[epoch]
              << '\n';

  std::vector<double> numbers(1000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  Plot plot("Gradient descent, lr 1e-5: two ways to average the same five losses", "epoch", "binary cross-entropy");
  plot.line(numbers, faulty_losses, "(5,) against (5, 1): the notebook's 5×5 table")
      .line(numbers, fixed_losses, "(5,) against (5,): as meant");
  draw(lab, "broadcast", {plot});
}
