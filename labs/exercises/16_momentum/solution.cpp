
// v ← μ·v + g,  w ← w − η·v       w, v, g (D); lr = η, mu = μ
void momentum_step(Vector& w, Vector& v, const Vector& g, double lr, double mu) {
  for (int i = 0; i < w.size(); ++i) {
    v(i) = mu * v(i) + g(i);
    w(i) = w(i) - lr * v(i);
  }
}

