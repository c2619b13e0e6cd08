
// y = sin(h)·exp(−h²/32), h = w1 + 0.06·w2·x
double gabor(double w1, double w2, double x) {
  const double h = w1 + 0.06 * w2 * x;
  return std::sin(h) * std::exp(-h * h / 32);
}

// dw1 = ∂L/∂w1 and dw2 = ∂L/∂w2 for L = 1/N Σ (y − t)²       x, t (N)
void gabor_gradient(double w1, double w2, const Vector& x, const Vector& t, double& dw1, double& dw2) {
  dw1 = dw2 = 0;
  for (int n = 0; n < x.size(); ++n) {
    const double h = w1 + 0.06 * w2 * x(n), bell = std::exp(-h * h / 32);
    const double delta = 2 * (gabor(w1, w2, x(n)) - t(n)) / x.size();
    const double dh = delta * (std::cos(h) * bell - std::sin(h) * bell * h / 16);
    dw1 += dh;
    dw2 += dh * 0.06 * x(n);
  }
}

