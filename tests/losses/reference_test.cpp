// Every loss against PyTorch: values and gradients for each reduction, from reference/losses.json.
#include <limits>

#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::make_loss;
using handgrad::test::Reference;

HANDGRAD_TEST_EVERYWHERE(losses_agree_with_torch) {
  using T = typename Place::T;
  const Device device = Place::device();
  for (const Reference reference : Reference::file("losses")["cases"]) {
    const std::string where = reference.where();
    const auto loss = make_loss<T>(reference, device);
    const Tensor<T> x = reference["x"].tensor<T>().to(device), target = reference["target"].tensor<T>().to(device);
    const Tensor<T> dy = reference["dy"].tensor<T>().to(device);
    const Tensor<double> value = reference["value"].tensor<double>(), dx = reference["dx"].tensor<double>();
    const bool none = loss->reduction() == Reduction::None;
    const auto backward = [&]() -> const Tensor<T>& { return none ? loss->backward(dy) : loss->backward(); };

    check_close(loss->forward(x, target), value, Place::tolerance, where + " value");
    check_close(backward(), dx, Place::tolerance, where + " gradient");
    for (const Tensor<T>* buffer : {&loss->forward(x, target), &backward()}) {
      Tensor<T> handle = *buffer;
      handle.fill(std::numeric_limits<T>::quiet_NaN());  // an element that is not written again shows
    }
    check_close(backward(), dx, Place::tolerance, where + " gradient again");
    check_close(loss->forward(x, target), value, Place::tolerance, where + " value again");
    if (!none) {  // an upstream gradient scales
      const Tensor<T> upstream = full<T>({}, T(-2), device);
      Tensor<double> scaled = dx.clone();
      for (double* g = scaled.data(); g != scaled.data() + scaled.numel(); ++g) *g *= -2;
      check_close(loss->backward(upstream), scaled, 2 * Place::tolerance, where + " with an upstream gradient");
    }
  }
}
