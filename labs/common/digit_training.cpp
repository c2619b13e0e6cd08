#include "common/digit_training.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>

#include "common/plot.hpp"

namespace handgrad::labs {

Digits as_images(Digits data) {
  for (Tensor<float>* x : {&data.x_train, &data.x_test}) *x = x->reshape({x->size(0), 1, Digits::side, Digits::side});
  return data;
}

std::vector<long> predict(Sequential<float>& net, const Tensor<float>& x) {
  const bool training = net.is_training();
  const Device device = net.parameters()[0].value().device();
  net.eval();
  std::vector<long> classes;
  for (std::size_t i = 0; i < x.size(0); i += 500) {
    const Tensor<float> some = x.rows(i, std::min(i + 500, x.size(0)));
    for (const long k : largest(net.forward(some.to(device)).cpu())) classes.push_back(k);
  }
  net.train(training);
  return classes;
}

void train_digits(const Lab& lab, Sequential<float>& net, const Digits& data, const DigitRecipe& recipe) {
  const Device device = lab.options.device;
  net.to(device);
  std::cout << net << "\n\n";
  std::vector<double> numbers, losses, errors;
  const auto report = [&](const EpochResult& result) {
    const double accuracy = accuracy_score(data.y_test, predict(net, data.x_test));
    numbers.push_back(result.epoch);
    losses.push_back(result.loss);
    errors.push_back(100 * (1 - accuracy));
    std::cout << "epoch " << std::setw(3) << result.epoch << std::fixed << std::setprecision(4) << "  training loss "
              << result.loss << std::setprecision(2) << "  test accuracy " << 100 * accuracy << " %" << std::endl;
    return true;
  };
  // The whole data set moves to the network's device at once: it fits into any GPU, and is shuffled there.
  if (fit_digits(net, data.x_train.to(device), data.y_train.to(device), recipe, report).end ==
      History::End::Interrupted)
    throw Interrupted();
  Plot loss_plot("Training loss", "epoch", "cross-entropy"), error_plot("Test error", "epoch", "% of the test digits");
  loss_plot.line(numbers, losses);
  error_plot.line(numbers, errors);
  draw(lab, "training", {loss_plot, error_plot}, 2);
}

void report_digits(const Lab& lab, Sequential<float>& net, const Digits& data) {
  const std::vector<long> predicted = predict(net, data.x_test);
  std::cout << classification_report(data.y_test, predicted, {.digits = 3});
  print_confusion(confusion_matrix(data.y_test, predicted));
  lab.figures.shape(lab.figures.lab() + ".accuracy", accuracy_score(data.y_test, predicted));
  draw_mistakes(lab, data, predicted);
}

}  // namespace handgrad::labs
