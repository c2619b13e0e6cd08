
// L = (1/N) Σₙ (pₙ − tₙ)² over all N rows. They come in parts of unequal size, one after the other: this one has rows
// `from` to `to − 1` of the N; the gradients of the parts are added up by whoever calls.
// p, t (N) → delta = ∂L/∂p of the part's rows (to − from)
Vector part_delta(const Vector& p, const Vector& t, int from, int to) {
  Vector delta(to - from);
  for (int n = from; n < to; ++n) delta(n - from) = 2 * (p(n) - t(n)) / p.size();
  return delta;
}

