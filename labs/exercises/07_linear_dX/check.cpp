#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(linear_dX, {"linear_dX"}) {
  const auto linear_dX = check.function<Matrix(const Matrix&, const Matrix&)>("linear_dX");
  check.on_paper([=](int N, int D, int C) -> Paper {
    const Matrix W = paper_matrix(C, D, 0), delta = paper_matrix(N, C, 1);
    return {{{"delta", tensor(delta)}, {"W", tensor(W)}},
            "dx",
            tensor(linear_dX(delta, W)),
            slope(tensor(Matrix(N, D)),
                  [&](const Tensor<double>& x) { return projected(linear(matrix(x), W, Vector(C)), delta); })};
  });
  for (const int inputs : {7, 3}) {  // square, and not
    const Matrix x = random_matrix(5, inputs, 1), W = random_matrix(7, inputs, 2), delta = random_matrix(5, 7, 4);
    const Vector b = random_vector(7, 3);
    const auto of_neuron = [&](int o) {
      Matrix share(5, inputs);
      for (int n = 0; n < 5; ++n)
        for (int i = 0; i < inputs; ++i) share(n, i) = delta(n, o) * W(o, i);
      return tensor(share);
    };
    std::vector<KnownMistake> mistakes = left_out(7, "neuron", of_neuron);
    mistakes.push_back({of_neuron(6), Cause::Overwritten, "dx is not summed over the neurons",
                        "it is what the last neuron sends back alone", "dx(n, i) += in the loop over o"});
    check.gradient({inputs == 7 ? "dx, W square" : "dx",
                    tensor(linear_dX(delta, W)),
                    tensor(x),
                    [&](const Tensor<double>& value) { return projected(linear(matrix(value), W, b), delta); },
                    {tensor(x), tensor(linear(x, W, b)), tensor(delta), {}, {{"W", tensor(W)}, {"b", tensor(b)}}, 5},
                    mistakes});
  }
}
