
// L = (1/N) Σₙ (pₙ − yₙ)² over all N rows. They come in parts of unequal size, one after the other: this one has rows
// `from` to `to − 1` of the N; the gradients of the parts are added up by whoever calls.
// p, y (N) → delta = ∂L/∂p of the part's rows (to − from)
Vector part_delta(const Vector& p, const Vector& y, int from, int to) {
  Vector delta(to - from);
  for (int n = from; n < to; ++n) delta(n - from) = 2 * (p(n) - y(n)) / p.size();
  return delta;
}

