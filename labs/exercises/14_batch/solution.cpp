
// One part of a batch of `total` examples: adds its share of ∂L/∂w and ∂L/∂b to dw and db.
// x (n×D), t (n) of 0 and 1, w (D); dw (D) and db hold the shares of the parts before
void batch_gradient(const Matrix& x, const Vector& t, const Vector& w, double b, int total, Vector& dw, double& db) {
  for (int n = 0; n < x.rows(); ++n) {
    double z = b;
    for (int i = 0; i < w.size(); ++i) z += w(i) * x(n, i);
    const double delta = (1 / (1 + std::exp(-z)) - t(n)) / total;
    for (int i = 0; i < w.size(); ++i) dw(i) += delta * x(n, i);
    db += delta;
  }
}

