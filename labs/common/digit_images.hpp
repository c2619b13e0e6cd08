#pragma once
// MNIST for the labs, or drawn digits if it is missing.
#include <cstddef>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/metrics/classification.hpp"

namespace handgrad::labs {

struct Digits {
  static constexpr std::size_t side = 28, pixels = side * side, classes = 10;
  Tensor<float> x_train, y_train, x_test, y_test;  // (N, 784) from 0 to 1, (N); or images (N, 1, 28, 28)
};

/// MNIST's training and test images; given only the test images, the first 8,000 to train and the rest to test; given
/// neither, drawn ones, likewise. Prints which.
Digits read_digits(const Lab& lab);

/// The class with the largest logit in each row; softmax keeps the order.
std::vector<long> largest(const Tensor<float>& logits);

/// How often each class was predicted as each.
void print_confusion(const ConfusionMatrix& matrix);

/// Draws the misclassified test digits, then some right ones if there is room.
void draw_mistakes(const Lab& lab, const Digits& data, const std::vector<long>& predicted);

}  // namespace handgrad::labs
