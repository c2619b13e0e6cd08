// Every loss against PyTorch: values and gradients for each reduction, from reference/losses.json.
#include <limits>

#include "handgrad/base/random.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/l2_penalty.hpp"
#include "handgrad/losses/mse.hpp"
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
      handle.fill(std::numeric_limits<T>::quiet_NaN());  // an element not rewritten shows
    }
    check_close(backward(), dx, Place::tolerance, where + " gradient again");
    check_close(loss->forward(x, target), value, Place::tolerance, where + " value again");
    if (!none) {  // the upstream gradient scales
      const Tensor<T> upstream = full<T>({}, T(-2), device);
      Tensor<double> scaled = dx.clone();
      for (double* g = scaled.data(); g != scaled.data() + scaled.numel(); ++g) *g *= -2;
      check_close(loss->backward(upstream), scaled, 2 * Place::tolerance, where + " with an upstream gradient");
    }
  }
}

// torch has no loss on probabilities with class weights: −Σ wⱼyⱼ·log softmax(z)ⱼ, computed in two ways.
HANDGRAD_TEST_EVERYWHERE(categorical_cross_entropy_of_softmax_is_cross_entropy) {
  using T = typename Place::T;
  Generator generator(7);
  const Tensor<T> z = randn<T>({5, 3}, generator).to(Place::device()), w = Tensor<T>{0.5, 2, 3}.to(Place::device());
  const Tensor<T> soft = Softmax<T>().forward(randn<T>({5, 3}, generator).to(Place::device()));
  const Tensor<T> classes = Tensor<T>{0, 2, 1, 1, 0}.to(Place::device());
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum, Reduction::None})
    for (const Tensor<T>& y : {soft, classes})
      for (const Tensor<T>& weight : {Tensor<T>(), w}) {
        CrossEntropyLoss<T> of_logits({.weight = weight, .reduction = reduction});
        CategoricalCrossEntropyLoss<T> of_probabilities({.weight = weight, .reduction = reduction});
        Softmax<T> softmax;
        const auto doubles = [](const Tensor<T>& x) {
          const std::vector<T> v = x.to_vector();
          return Tensor<double>(x.shape(), std::vector<double>(v.begin(), v.end()));
        };
        const Tensor<T>& value = of_logits.forward(z, y);
        check_close(of_probabilities.forward(softmax.forward(z), y), doubles(value), Place::tolerance, "value");
        const Tensor<T> upstream = randn<T>(value.shape(), generator).to(Place::device());
        check_close(softmax.backward(of_probabilities.backward(upstream)), doubles(of_logits.backward(upstream)),
                    Place::tolerance, "gradient");
      }
}

HANDGRAD_TEST_EVERYWHERE(losses_of_any_rank_are_of_elements) {
  using T = typename Place::T;
  Generator generator(8);
  MSELoss<T> mse;
  L1Loss<T> l1;
  BCELoss<T> bce;
  BCEWithLogitsLoss<T> logits;
  for (Loss<T>* loss : std::initializer_list<Loss<T>*>{&mse, &l1, &bce, &logits})
    for (const Shape& shape : {Shape{}, Shape{2, 1, 3, 5}}) {
      const Tensor<T> p = rand<T>(shape, generator).to(Place::device()),
                      y = rand<T>(shape, generator).to(Place::device());
      const T value = loss->forward(p, y).item();
      const Tensor<T> dp = loss->backward().clone();
      BOOST_TEST((dp.shape() == shape));
      BOOST_TEST(loss->forward(p.reshape({p.numel()}), y.reshape({p.numel()})).item() == value);
      BOOST_TEST((loss->backward() == dp.reshape({p.numel()})));
    }
}

HANDGRAD_TEST_EVERYWHERE(the_l2_penalty_is_of_all_weights_together) {
  using T = typename Place::T;
  std::vector<Parameter<T>> weights{Tensor<T>{{1, -2}, {3, 0.5}}, Tensor<T>{4}};
  for (auto& weight : weights) weight.to(Place::device());
  L2Penalty<T> penalty(weights, 0.25);
  BOOST_TEST(penalty.forward().item() == T(0.25 * (1 + 4 + 9 + 0.25 + 16)));
  BOOST_TEST(penalty.forward().item() == T(0.25 * (1 + 4 + 9 + 0.25 + 16)));
  penalty.backward();
  BOOST_TEST((weights[0].grad() == Tensor<T>{{0.5, -1}, {1.5, 0.25}}));
  penalty.backward();
  BOOST_TEST((weights[1].grad() == Tensor<T>{4}));
}
