#include "handgrad/fusion/linear_activation_linear.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/contract/gradient_hook.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/fusion/linear_activation.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"

namespace handgrad::fusion {

namespace {

// The longest chain at the end: a Linear, then any number of pairs of activation and Linear.
template <class T>
std::size_t match(Layers<T> layers) {
  std::size_t first = layers.size() - 1;
  if (!exactly<Linear<T>>(*layers[first])) return 0;
  while (first >= 2 && activation(*layers[first - 1]) && exactly<Linear<T>>(*layers[first - 2])) first -= 2;
  const std::size_t count = layers.size() - first;
  return count > 1 ? count : 0;
}

// Whether Linear, activation and Linear last ran one after the other (each can run alone), and δ is needed throughout.
template <class T>
bool ran_in_a_row(Layers<T> three) {
  const Access<T> linear(*three[0]), f(*three[1]), next(*three[2]);
  return next.x.data() == f.y.data() && next.x.shape() == f.x.shape() && linear.y.data() == f.x.data() && f.wants_dx &&
         next.wants_dx;
}

template <class T>
Done<T> backward(Layers<T> layers, const Tensor<T>& dy) {
  std::size_t i = layers.size() - 1;
  if (!ran_in_a_row(layers.subspan(i - 2, 3))) return {};
  Access<T>(*layers[i]).accept_gradient(dy);
  const Tensor<T>* delta = &dy;
  auto& k = backend<T>(dy.device()).linear;
  for (bool db_done = false;; db_done = true) {
    auto& linear = static_cast<Linear<T>&>(*layers[i]);
    Access<T> own(linear);
    if (linear.weight.requires_grad() || (!db_done && linear.bias.requires_grad()))
      k.backward_parameters(view::matrix(own.x), view::matrix(*delta), view::gradient(linear.weight),
                            db_done ? kernels::Gradient<T>{} : view::gradient(linear.bias));
    GradientUses<T>::done(linear.weight);
    if (!db_done) GradientUses<T>::done(linear.bias);
    if (i < 2 || !ran_in_a_row(layers.subspan(i - 2, 3))) {
      const Done<T> done{own.wants_dx ? &own.dx : &own.not_wanted(), layers.size() - i};
      if (!own.wants_dx) return done;
      own.dx.reserve(own.x.shape(), own.x.device());
      k.backward_input(view::matrix(*delta), view::matrix(linear.weight), view::matrix(own.dx));
      return done;
    }
    i -= 2;
    auto& before = static_cast<Linear<T>&>(*layers[i]);
    Access<T> f(*layers[i + 1]);
    f.dx.reserve(f.x.shape(), f.x.device());
    k.backward_through(view::matrix(*delta), view::matrix(linear.weight),
                       static_cast<ActivationLayer<T>&>(*layers[i + 1]).formula(), view::matrix(f.x), view::matrix(f.y),
                       f.note.is_of(f.y) ? f.note.content.data() : nullptr, view::matrix(f.dx),
                       view::gradient(before.bias));
    GradientUses<T>::done(before.bias);
    delta = &f.dx;
  }
}

}  // namespace

template <class T>
Pattern<T> linear_activation_linear() {
  return {.name = "Linear, activation, Linear …", .match_backward = match<T>, .backward = backward<T>};
}

template Pattern<float> linear_activation_linear();
template Pattern<double> linear_activation_linear();

}  // namespace handgrad::fusion
