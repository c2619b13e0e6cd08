
// σ(z) = 1/(1 + e⁻ᶻ)
double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

// σ′ as a function of the output y = σ(z)
double sigmoid_derivative(double y) {
  return y * (1 - y);
}

