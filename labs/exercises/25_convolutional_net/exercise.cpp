#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// One step of gradient descent.
// x: N images (H×W each), t (N) 0 or 1; W: F filters (3×3), v (F), b are changed; lr = η
void net_step(const std::vector<Matrix>& x, const Vector& t, std::vector<Matrix>& W, Vector& v, double& b, double lr) {
}

// END -------------------------------------------------------------------------------------------
