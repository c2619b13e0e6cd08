#pragma once
#include <handgrad/handgrad.hpp>
#include <vector>

#include "common/lab.hpp"

/// The notebook's chapters: what a neuron is (neurons.cpp), lines and curves (regression.cpp), two moons (moons.cpp).
void neurons(handgrad::labs::Lab& lab);
void regression(handgrad::labs::Lab& lab);
void moons(handgrad::labs::Lab& lab);

/// The notebook's training loop: the whole data set as one batch. Returns the loss before each step.
std::vector<double> fit_model(handgrad::Layer<float>& model, handgrad::Optimizer<float>& optim,
                              handgrad::Loss<float>& loss_op, const handgrad::Tensor<float>& X,
                              const handgrad::Tensor<float>& y, int n_iter);

/// 0, 1, … n−1, the x axis of a history.
std::vector<double> iterations(std::size_t n);
