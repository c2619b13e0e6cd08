#pragma once
// The lab's network and how it is trained, for its test as well.
#include "common/digit_training.hpp"
#include "handgrad/layers.hpp"

namespace handgrad::labs {

template <class T>
Sequential<T> convolutional_network() {
  return Sequential<T>{Conv2d<T>(1, 8, 5, {.padding = 2}),
                       ReLU<T>(),
                       MaxPool2d<T>(2),
                       Conv2d<T>(8, 24, 3, {.padding = 1}),
                       ReLU<T>(),
                       MaxPool2d<T>(2),
                       Flatten<T>(),
                       Dropout<T>(0.5),
                       Linear<T>(24 * 7 * 7, Digits::classes)};
}

inline DigitRecipe convolutional_recipe(bool quick) { return {.lr = 2e-3, .batch_size = 64, .epochs = quick ? 8 : 20}; }

}  // namespace handgrad::labs
