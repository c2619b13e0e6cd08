
// db = ∂L/∂b       delta = ∂L/∂y (N×C) → db (C)
Vector linear_db(const Matrix& delta) {
  Vector db(delta.cols());
  for (int n = 0; n < delta.rows(); ++n)
    for (int o = 0; o < delta.cols(); ++o) db(o) += delta(n, o);
  return db;
}

