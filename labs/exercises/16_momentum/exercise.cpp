#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// v ← μ·v + g,  w ← w − η·v       w, v, g (D); lr = η, mu = μ
void momentum_step(Vector& w, Vector& v, const Vector& g, double lr, double mu) {
}

// END -------------------------------------------------------------------------------------------
