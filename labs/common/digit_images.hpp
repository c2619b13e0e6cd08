#pragma once
// MNIST, or drawn digits where it is not at hand, for the labs that read digits.
#include <cstddef>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/metrics/classification.hpp"

namespace handgrad::labs {

struct Digits {
  static constexpr std::size_t side = 28, pixels = side * side, classes = 10;
  Tensor<float> x_train, y_train, x_test, y_test;  // (N, 784) from 0 to 1, (N)
};

/// MNIST's training and test images; of the test images alone the first 8,000 to train and the rest to test; without
/// any, drawn ones, likewise. Says which.
Digits read_digits(const Lab& lab);

/// The class with the largest logit of each row: softmax keeps the order.
std::vector<long> largest(const Tensor<float>& logits);

/// Which class was taken for which.
void print_confusion(const ConfusionMatrix& matrix);

/// The mistakes among the test digits, drawn; then some that are right, if there is room.
void draw_mistakes(const Lab& lab, const Digits& data, const std::vector<long>& predicted);

}  // namespace handgrad::labs
