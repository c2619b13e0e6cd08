#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// db = ∂L/∂b       delta = ∂L/∂y (N×C) → db (C)
Vector linear_db(const Matrix& delta) {
  Vector db(delta.cols());
  return db;
}

// END -------------------------------------------------------------------------------------------
