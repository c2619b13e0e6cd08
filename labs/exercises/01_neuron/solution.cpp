
// y = Σᵢ wᵢ·xᵢ + b        w (D), x (D)
double neuron(const Vector& w, double b, const Vector& x) {
  double y = b;
  for (int i = 0; i < w.size(); ++i) y += w(i) * x(i);
  return y;
}

// dwᵢ = ∂L/∂wᵢ, given delta = ∂L/∂y       x (D) → dw (D)
Vector neuron_dw(double delta, const Vector& x) {
  Vector dw(x.size());
  for (int i = 0; i < x.size(); ++i) dw(i) = delta * x(i);
  return dw;
}

