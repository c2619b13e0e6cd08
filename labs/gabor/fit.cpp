// A function with two parameters, learnt from noisy points.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/plot.hpp"
#include "gabor/gabor.hpp"
#include "gabor/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;

namespace {

constexpr double true_w1 = 3, true_w2 = 15;

struct Data {
  hg::Samples<float> train, val, test;
};
Data draw_data() {
  Data data;
  data.train = hg::make_gabor(300, 0.1, true_w1, true_w2);
  data.val = hg::make_gabor(200, 0.2, true_w1, true_w2);
  data.test = hg::make_gabor(100, 0.3, true_w1, true_w2);
  return data;
}

void print_parameters(const hg::Layer<float>& model) {
  for (const auto& [name, parameter] : model.named_parameters())
    std::cout << "Parameter " << name << " = " << parameter.value().item() << '\n';
}

void the_layer(Lab& lab) {
  lab.section("3.1  The Gabor function as a layer of one's own");
  Gabor<double> layer(2, 14);
  const hg::GradientReport report = hg::check_gradients(layer, hg::randn<double>({7, 1}));
  std::cout << report << '\n';
  if (!report) throw hg::StateError("gabor: the layer's backward is not the gradient of its forward");

  lab.section("3.2  Saved and loaded");
  Gabor<float> model(true_w1, true_w2);
  print_parameters(model);
  const std::string path = lab.out("gabor.safetensors");
  hg::write_safetensors(path, model.state_dict());
  Gabor<float> again;
  again.load_state_dict(hg::read_safetensors<float>(path).tensors);
  std::cout << "loaded into a new layer:\n";
  print_parameters(again);
}

struct Config {
  std::uint64_t seed = 0xABCD;
  int epochs = 200;
  double learning_rate = 0.1, momentum = 0;
  std::size_t batch_size = 100;
  double w1 = 2, w2 = 14;
};

struct Run {
  std::vector<double> train_loss, val_loss;  // per epoch
  std::vector<double> w1, w2;                // before the first step and after each
  int best_epoch = 0;
  std::vector<hg::NamedTensor<float>> best;
};

Run train(const Data& data, const Config& cfg, hg::Device device) {
  hg::manual_seed(cfg.seed);
  hg::DataLoader train_loader(hg::TensorDataset(data.train.x, data.train.y),
                              {.batch_size = cfg.batch_size, .shuffle = true, .drop_last = true, .device = device});
  hg::DataLoader val_loader(hg::TensorDataset(data.val.x, data.val.y),
                            {.batch_size = cfg.batch_size, .device = device});
  Gabor<float> model(cfg.w1, cfg.w2);
  model.to(device);
  hg::SGD optimizer(model.parameters(), {.lr = cfg.learning_rate, .momentum = cfg.momentum});
  hg::MSELoss loss_fn;

  Run run;
  double best_metric = std::numeric_limits<double>::infinity();
  run.w1.push_back(cfg.w1), run.w2.push_back(cfg.w2);
  for (int epoch = 1; epoch <= cfg.epochs; ++epoch) {
    double train_loss = 0, val_loss = 0;
    model.train();
    for (const auto& [x, y] : train_loader) {
      train_loss += loss_fn.forward(model.forward(x), y).item();
      optimizer.zero_grad();
      model.backward(loss_fn.backward());
      optimizer.step();
      run.w1.push_back(model.w1.value().item()), run.w2.push_back(model.w2.value().item());
    }
    model.eval();
    for (const auto& [x, y] : val_loader) val_loss += loss_fn.forward(model.forward(x), y).item();
    run.train_loss.push_back(train_loss / static_cast<double>(train_loader.size()));
    run.val_loss.push_back(val_loss / static_cast<double>(val_loader.size()));
    if (run.val_loss.back() < best_metric) {
      best_metric = run.val_loss.back();
      run.best = model.state_dict();
      run.best_epoch = epoch;
    }
  }
  return run;
}

double mean_squared_error(Gabor<float>& model, const hg::Samples<float>& data) {
  return hg::mean_squared_error(data.y, model.forward(data.x));
}

void first_batches(Lab& lab, const Data& data) {
  lab.section("4.2  Batches");
  hg::DataLoader train_loader(hg::TensorDataset(data.train.x, data.train.y),
                              {.batch_size = 10, .shuffle = true, .drop_last = true});
  hg::DataLoader val_loader(hg::TensorDataset(data.val.x, data.val.y), {.batch_size = data.val.x.size(0)});
  const auto first = train_loader.begin();
  std::cout << "x = " << first->x << "\ny = " << first->y << '\n';
  const auto whole = val_loader.begin();
  std::cout << "validation: x " << whole->x.shape().str() << ", y " << whole->y.shape().str() << '\n';

  lab.section("4.4  One step of the optimizer");
  Gabor<float> model(2, 14);
  hg::SGD optimizer(model.parameters(), {.lr = 0.01});
  hg::MSELoss loss_fn;
  std::cout << "Loss: " << loss_fn.forward(model.forward(first->x), first->y).item() << '\n';
  print_parameters(model);
  optimizer.zero_grad();
  model.backward(loss_fn.backward());
  optimizer.step();
  std::cout << "after the step:\n";
  print_parameters(model);
}

/// The training loss over (w₁, w₂), with the paths of descents on it.
Plot surface(const std::string& title, const hg::Samples<float>& data, double w1_low, double w1_high, double w2_low,
             double w2_high, const std::vector<std::pair<std::string, const Run*>>& runs) {
  const std::size_t n = 80;
  const auto w1 = hg::linspace<double>(w1_low, w1_high, n), w2 = hg::linspace<double>(w2_low, w2_high, n);
  std::vector<double> loss;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      Gabor<float> model(w1.item(j), w2.item(i));
      loss.push_back(mean_squared_error(model, data));
    }
  Plot plot(title, "w₁", "w₂");
  plot.surface(w1, w2, loss, "mean squared error", Plot::Scale::Sequential)
      .contours({0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3});
  for (const auto& [name, run] : runs) plot.line(run->w1, run->w2, name);
  std::vector<double> start[2], end[2];
  for (const auto& [name, run] : runs) {
    start[0].push_back(run->w1.front()), start[1].push_back(run->w2.front());
    end[0].push_back(run->w1.back()), end[1].push_back(run->w2.back());
  }
  plot.marks(start[0], start[1], "start").marks(end[0], end[1], "end");
  return plot;
}

std::vector<double> epochs(std::size_t n) {
  std::vector<double> numbers(n);
  for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<double>(i + 1);
  return numbers;
}

/// The weights of the run's best epoch.
Gabor<float> best_model(const Run& run) {
  Gabor<float> model;
  model.load_state_dict(run.best);
  return model;
}

/// Close enough to the truth: w₁ within 0.05, w₂ within 0.3.
bool reached(const Gabor<float>& model) {
  return std::abs(model.w1.value().item() - true_w1) <= 0.05 && std::abs(model.w2.value().item() - true_w2) <= 0.3;
}

void print_epochs(const Run& run) {
  for (const int epoch : {1, 2, 5, 10, 20, 50, 100, 200}) {
    const auto i = static_cast<std::size_t>(epoch - 1);
    std::cout << "epoch " << std::setw(3) << epoch << "  loss " << run.train_loss[i] << "  val_loss " << run.val_loss[i]
              << '\n';
  }
}

void pictures(Lab& lab, const Data& data, const Run& plain, const Run& run) {
  const hg::Device device = lab.options.device;
  Plot loss("Gabor: SGD, lr 0.1, batches of 100", "epoch", "mean squared error");
  const auto numbers = epochs(run.train_loss.size());
  loss.line(numbers, plain.train_loss, "training").line(numbers, plain.val_loss, "validation");
  loss.line(numbers, run.train_loss, "training, momentum").line(numbers, run.val_loss, "validation, momentum").log_y();
  Gabor<float> model = best_model(run);
  Plot fit("Test data and fit", "x", "y");
  fit.points(data.test.x, data.test.y, "test data, σ = 0.3").line(data.train.x, model.forward(data.train.x), "fit");
  Gabor<float> truth(true_w1, true_w2);
  fit.line(data.train.x, truth.forward(data.train.x), "truth");
  Plot training("Training data, σ = 0.1", "x", "y"), validation("Validation data, σ = 0.2", "x", "y");
  training.points(data.train.x, data.train.y, "data").line(data.train.x, truth.forward(data.train.x), "truth");
  validation.points(data.val.x, data.val.y, "data").line(data.val.x, truth.forward(data.val.x), "truth");
  draw(lab, "fit", {training, validation, loss, fit}, 2);

  // Near the truth the surface is one valley; further away there are others, in which descents end.
  const Plot near = surface("The loss around the truth, and two descents", data.train, 1.6, 4.4, 12.5, 17.5,
                            {{"plain", &plain}, {"momentum 0.9", &run}});
  const Run others[] = {train(data, {.w1 = 0, .w2 = 20}, device), train(data, {.w1 = -4, .w2 = 12}, device),
                        train(data, {.w1 = 7, .w2 = 8}, device)};
  const Plot wide =
      surface("Further away: where other starts end", data.train, -6, 10, 4, 26,
              {{"(2, 14)", &plain}, {"(0, 20)", &others[0]}, {"(-4, 12)", &others[1]}, {"(7, 8)", &others[2]}});
  draw(lab, "surface", {near, wide}, 2);
  std::cout << "\nFrom other starts, on the same data, plain:\n";
  for (const Run& other : others)
    std::cout << "  (" << other.w1.front() << ", " << other.w2.front() << ") → (" << other.w1.back() << ", "
              << other.w2.back() << "), training loss " << other.train_loss.back() << '\n';
  lab.figures.shape("002.gabor.curves");
}

}  // namespace

void gabor_fit(Lab& lab) {
  the_layer(lab);
  lab.section("4    Data: w₁ = 3, w₂ = 15, noise 0.1, 0.2 and 0.3");
  lab.stays_on_cpu("what the Gabor layer computes, with xtensor; its tensors lie where you say");
  const hg::Device device = lab.options.device;
  const Data data = draw_data();
  std::cout << "training " << data.train.x.size(0) << ", validation " << data.val.x.size(0) << ", test "
            << data.test.x.size(0) << " points from -15 to 15\n";
  first_batches(lab, data);

  lab.section("4.5  200 epochs from (2, 14): SGD, lr 0.1, batches of 100");
  const Run plain = train(data, {}, device);
  print_epochs(plain);

  lab.section("4.6  The best epoch's parameters on test data");
  const std::string path = lab.out("gabor.safetensors");
  hg::write_safetensors(path, plain.best);
  Gabor<float> model;
  model.load_state_dict(hg::read_safetensors<float>(path).tensors);
  std::cout << "of epoch " << plain.best_epoch << ":\n";
  print_parameters(model);
  std::cout << "Ground truth w1 = " << true_w1 << ", w2 = " << true_w2
            << "\nTest Loss: " << mean_squared_error(model, data.test) << " (the noise alone: 0.3² = 0.09)\n";

  lab.section("4.7  The descent had not arrived: the same 200 epochs with momentum 0.9");
  std::cout << "The best epoch is the last one: the loss was still falling, along the bottom of a long valley (see\n"
               "the picture), where a plain step hardly moves. Momentum adds up the steps that agree.\n\n";
  const Run run = train(data, {.momentum = 0.9}, device);
  print_epochs(run);
  model = best_model(run);
  std::cout << "of epoch " << run.best_epoch << ":\n";
  print_parameters(model);
  std::cout << "Test Loss: " << mean_squared_error(model, data.test)
            << " (from 100 points: 0.09 ± 0.013 for the truth itself)\n";
  lab.figures.reach("002.gabor.fit", {model.w1.value().item(), model.w2.value().item()}, printed("3.00 15.00"),
                    reached(model));
  lab.figures.weights("fit", run.best);
  pictures(lab, data, plain, run);

  std::cout << "\nWith other data and other batches, w1, w2 and test loss:\n"
            << "  seed      plain                          momentum 0.9\n";
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    hg::manual_seed(seed);
    const Data other = draw_data();
    std::cout << std::setw(6) << seed;
    for (const double momentum : {0.0, 0.9}) {
      Gabor<float> found = best_model(train(other, {.seed = seed, .momentum = momentum}, device));
      std::cout << "      " << found.w1.value().item() << "  " << found.w2.value().item() << "  "
                << mean_squared_error(found, other.test);
    }
    std::cout << '\n';
  }
}
