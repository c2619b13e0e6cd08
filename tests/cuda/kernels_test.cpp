// Every operation of the backend on CUDA devices against the CPU, on sizes where indexing goes wrong: one element, one
// less and one more than a warp and a block, several blocks, rows longer than a block handles at once. Outputs begin as
// NaN. On emulated devices (tests/cuda/emulation) this runs on any machine.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/base/xtensor.hpp"
#include "support/typed.hpp"

using namespace handgrad;

namespace {

const std::size_t sizes[] = {1, 31, 33, 127, 129, 1000};

/// Runs the same operation on both devices: op(backend, inputs, output…), with outputs that begin as NaN.
template <class T>
struct Both {
  Device gpu;
  double tolerance = std::is_same_v<T, double> ? 1e-11 : 2e-5;

  template <class Op>
  void agree(const char* what, const std::vector<Tensor<T>>& in, const std::vector<Shape>& out, Op op) const {
    std::vector<std::vector<Tensor<T>>> results;
    for (const Device device : {Device::cpu(), gpu}) {
      std::vector<Tensor<T>> inputs, outputs;
      for (const Tensor<T>& x : in) inputs.push_back(x.defined() ? x.to(device).clone() : x);
      for (const Shape& shape : out) outputs.push_back(full<T>(shape, std::numeric_limits<T>::quiet_NaN(), device));
      op(backend<T>(device), inputs, outputs);
      results.emplace_back();
      for (const auto& list : {outputs, inputs})  // inputs too: some change, none by accident
        for (const Tensor<T>& x : list) results.back().push_back(x.cpu());
    }
    for (std::size_t k = 0; k < results[0].size(); ++k) {
      const std::vector<T> a = results[0][k].to_vector(), b = results[1][k].to_vector();
      std::size_t bad = 0, first = a.size();
      for (std::size_t i = 0; i < a.size(); ++i)
        if (!(std::abs(a[i] - b[i]) <= tolerance * (1 + std::abs(a[i]))) && bad++ == 0) first = i;
      BOOST_TEST(bad == 0u, what << ", tensor " << k << " of shape " << results[0][k].shape().str() << ": " << bad
                                 << " elements differ, the first is [" << first << "]: cpu " << (bad ? a[first] : T(0))
                                 << ", cuda " << (bad ? b[first] : T(0)));
    }
  }
};

template <class T>
Tensor<T> random(const Shape& shape) {
  return randn<T>(shape);
}
template <class T>
kernels::Targets<T> targets(const Tensor<T>& p, const Tensor<T>& y) {
  return {y.data(), !(y.shape() == p.shape())};
}
template <class T>
Tensor<T> positive(const Shape& shape) {
  Tensor<T> x = Tensor<T>::empty(shape);
  return uniform_(x, 0.05, 0.95);
}

}  // namespace

HANDGRAD_TEST_CUDA(elements) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  const Both<T> both{Place::device()};
  for (const std::size_t n : sizes) {
    const Tensor<T> x = random<T>({n}), y = random<T>({n});
    both.agree("fill", {}, {{n}}, [](const K& k, V&, V& out) { k.elements.fill(view::vector(out[0]), T(3)); });
    both.agree("scale", {x}, {}, [](const K& k, V& in, V&) { k.elements.scale(view::vector(in[0]), T(-2)); });
    both.agree("add", {x, y}, {},
               [](const K& k, V& in, V&) { k.elements.add(view::vector(in[0]), T(0.5), view::vector(in[1])); });
    both.agree("multiply_rows, same shape", {x, y}, {}, [](const K& k, V& in, V&) {
      k.elements.multiply_rows(view::rows_of(in[0], in[1].numel()), view::vector(in[1]));
    });
    both.agree("multiply_rows", {random<T>({n, 7}), x}, {}, [](const K& k, V& in, V&) {
      k.elements.multiply_rows(view::rows_of(in[0], in[1].numel()), view::vector(in[1]));
    });
    both.agree("gather_rows", {random<T>({9, n})}, {{4, n}}, [](const K& k, V& in, V& out) {
      k.elements.gather_rows(view::matrix(in[0]), view::vector(Tensor<double>{8, 0, 3, 3}.to(in[0].device())),
                             view::matrix(out[0]));
    });
    both.agree("sum_of_squares", {x}, {{}}, [](const K& k, V& in, V& out) {
      k.elements.sum_of_squares(view::vector(in[0]), T(0.5), out[0].data());
    });
    // A view not aligned to 16 bytes
    both.agree("add to rows", {random<T>({n + 1, 1}), random<T>({n + 1, 1})}, {}, [&](const K& k, V& in, V&) {
      Tensor<T> rows = in[0].rows(1, n + 1);
      k.elements.add(view::vector(rows), T(2), view::vector(in[1].rows(1, n + 1)));
    });
  }
  both.agree("sum_of_squares of many", {random<T>({100003})}, {{}},
             [](const K& k, V& in, V& out) { k.elements.sum_of_squares(view::vector(in[0]), T(1), out[0].data()); });
}

HANDGRAD_TEST_CUDA(products) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  const Both<T> both{Place::device()};
  for (const std::size_t m : {1, 5, 33})
    for (const std::size_t n : {1, 7, 31})
      for (const std::size_t k : {1, 3, 129})
        for (const bool ta : {false, true})
          for (const bool tb : {false, true})
            for (const T beta : {T(0), T(1)})
              both.agree("matmul",
                         {ta ? random<T>({k, m}) : random<T>({m, k}), tb ? random<T>({n, k}) : random<T>({k, n}),
                          random<T>({m, n})},
                         {}, [&](const K& kernel, V& in, V&) {
                           kernel.products.matmul(view::matrix(in[0]), ta, view::matrix(in[1]), tb, beta,
                                                  view::matrix(in[2]));
                         });
  for (const std::size_t rows : {1, 33, 300})
    for (const std::size_t in : {1, 129})
      for (const std::size_t out : {1, 2, 33}) {
        const Tensor<T> x = random<T>({rows, in}), W = random<T>({out, in}), b = random<T>({out}),
                        dy = random<T>({rows, out});
        for (const formulas::Activation& f : {formulas::Activation(formulas::ReLU{}), {formulas::Tanh{}}})
          for (const bool bias : {false, true})
            for (const bool fused : {false, true})
              both.agree("linear_forward", {x, W, b}, {{rows, out}}, [&](const K& k, V& v, V& y) {
                k.linear.forward(view::matrix(v[0]), view::matrix(v[1]), view::vector(bias ? &v[2] : nullptr),
                                 fused ? &f : nullptr, view::matrix(y[0]));
              });
        both.agree("linear_backward_input", {dy, W}, {{rows, in}}, [](const K& k, V& v, V& dx) {
          k.linear.backward_input(view::matrix(v[0]), view::matrix(v[1]), view::matrix(dx[0]));
        });
        for (const T beta : {T(0), T(1)})
          for (const bool bias : {false, true})
            both.agree("linear_backward_parameters", {x, dy, random<T>({out, in}), random<T>({out})}, {},
                       [&](const K& k, V& v, V&) {
                         k.linear.backward_parameters(
                             view::matrix(v[0]), view::matrix(v[1]), {v[2].data(), beta},
                             bias ? kernels::Gradient<T>{v[3].data(), beta} : kernels::Gradient<T>{});
                       });
      }
}

// Back through a Linear and the activation before it to the Linear before that, with and without what its forward
// noted. z = x·Wᵀ + b of small integers and ½ is exact, so on the same side of 0 on both devices.
HANDGRAD_TEST_CUDA(back_through_an_activation) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  Both<T> both{Place::device()};
  both.tolerance *= 10;  // sums over 300 floats, in two orders
  const auto whole = [](const Shape& shape) { return randint<T>(-3, 4, shape); };
  for (const std::size_t rows : {1, 33, 300})
    for (const std::size_t width : {1, 31, 129})
      for (const std::size_t out : {1, 7})
        for (const formulas::Activation& f :
             {formulas::Activation(formulas::ReLU{}), {formulas::Tanh{}}, {formulas::LeakyReLU{0.2}}})
          for (const bool bias : {false, true})
            for (const bool masked : {false, true})
              for (const T beta : {T(0), T(1)})
                both.agree("activation_linear_backward",
                           {whole({rows, 5}), whole({width, 5}), full<T>({width}, T(0.5)), random<T>({out, width}),
                            random<T>({rows, out}), random<T>({width})},
                           {{rows, width}, {rows, width}, {rows, width}}, [&](const K& k, V& v, V& o) {
                             Tensor<T>&z = o[0], &y = o[1], &dz = o[2];
                             k.linear.forward(view::matrix(v[0]), view::matrix(v[1]), view::vector(v[2]), nullptr,
                                              view::matrix(z));
                             Tensor<T> mask;
                             if (const std::size_t size = masked ? k.linear.mask_size(f, y.size(0), y.size(1)) : 0)
                               mask = full<T>({size}, T(-1), z.device());
                             const bool written =
                                 k.linear.forward(view::matrix(v[0]), view::matrix(v[1]), view::vector(v[2]), &f,
                                                  view::matrix(y), mask.data());
                             if (mask.defined() && device_name(z.device()).starts_with("emulation"))
                               BOOST_TEST(written == (std::is_same_v<T, float>));
                             k.linear.backward_through(
                                 view::matrix(v[4]), view::matrix(v[3]), f, view::matrix(z), view::matrix(y),
                                 written ? mask.data() : nullptr, view::matrix(dz),
                                 bias ? kernels::Gradient<T>{v[5].data(), beta} : kernels::Gradient<T>{});
                           });
}

HANDGRAD_TEST_CUDA(lines) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  Both<T> both{Place::device()};
  both.tolerance *= 10;  // sums over a thousand floats, in two orders
  std::vector<std::pair<Shape, int>> cases = {
      {{3, 5, 7}, 0}, {{3, 5, 7}, 1}, {{3, 5, 7}, 2}, {{2, 2500}, 1}, {{700, 3}, 0}};
  for (const std::size_t n : sizes) cases.push_back({{33, n}, 1});
  for (const auto& [shape, dim] : cases) {
    const Tensor<T> z = random<T>(shape), dy = random<T>(shape);
    both.agree("softmax_forward", {z}, {shape},
               [&, d = dim](const K& k, V& v, V& y) { k.softmax.forward(view::lines(v[0], d), view::lines(y[0], d)); });
    both.agree("log_softmax_forward", {z}, {shape}, [&, d = dim](const K& k, V& v, V& y) {
      k.softmax.log_forward(view::lines(v[0], d), view::lines(y[0], d));
    });
    both.agree("softmax_backward", {z, dy}, {shape}, [&, d = dim](const K& k, V& v, V& dz) {
      k.softmax.backward(view::lines(v[0], d), view::lines(v[1], d), view::lines(dz[0], d));
    });
    both.agree("log_softmax_backward", {z, dy}, {shape}, [&, d = dim](const K& k, V& v, V& dz) {
      k.softmax.log_backward(view::lines(v[0], d), view::lines(v[1], d), view::lines(dz[0], d));
    });
  }
}

HANDGRAD_TEST_CUDA(norms) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  const Both<T> both{Place::device()};
  for (const Shape& shape : {Shape{2, 1}, Shape{33, 31}, Shape{129, 33}, Shape{5000, 3}, Shape{4, 1500}}) {
    const std::size_t rows = shape[0], columns = shape[1];
    const Tensor<T> x = random<T>(shape), dy = random<T>(shape), gamma = random<T>({columns}),
                    beta = random<T>({columns});
    for (const bool affine : {false, true}) {
      for (const bool of_batch : {false, true})
        for (const bool cumulative : {false, true})
          both.agree("batch_norm_forward", {x, gamma, beta, random<T>({columns}), positive<T>({columns})},
                     {shape, {2, columns}, {columns}}, [&](const K& k, V& v, V& out) {
                       Tensor<double> count = full<double>({}, 4.0).to(v[0].device());
                       k.norms.batch_norm_forward(view::matrix(v[0]), view::vector(affine ? &v[1] : nullptr),
                                                  view::vector(affine ? &v[2] : nullptr), T(1e-5),
                                                  {v[3].data(), v[4].data(), count.data(), T(0.1), cumulative},
                                                  of_batch, view::matrix(out[1]), view::vector(out[2]),
                                                  view::matrix(out[0]));
                       BOOST_TEST(count.cpu().item() == (of_batch ? 5 : 4));
                     });
      for (const bool of_batch : {false, true})
        for (const T factor : {T(0), T(1)})
          both.agree("batch_norm_backward",
                     {x, dy, gamma, random<T>({2, columns}), positive<T>({columns}), random<T>({columns}),
                      random<T>({columns})},
                     {shape, {2, columns}}, [&](const K& k, V& v, V& out) {
                       kernels::Gradient<T> dgamma, dbeta;
                       if (affine) dgamma = {v[5].data(), factor}, dbeta = {v[6].data(), factor};
                       k.norms.batch_norm_backward(view::matrix(v[0]), view::matrix(v[1]),
                                                   view::vector(affine ? &v[2] : nullptr), view::matrix(v[3]),
                                                   view::vector(v[4]), of_batch, view::matrix(out[1]), dgamma, dbeta,
                                                   view::matrix(out[0]));
                     });
      both.agree("layer_norm_forward", {x, gamma, beta}, {shape, {2, rows}, {rows}}, [&](const K& k, V& v, V& out) {
        k.norms.layer_norm_forward(view::matrix(v[0]), view::vector(affine ? &v[1] : nullptr),
                                   view::vector(affine ? &v[2] : nullptr), T(1e-5), view::matrix(out[1]),
                                   view::vector(out[2]), view::matrix(out[0]));
      });
      both.agree("layer_norm_backward",
                 {x, dy, gamma, random<T>({2, rows}), positive<T>({rows}), random<T>({columns}), random<T>({columns})},
                 {shape}, [&](const K& k, V& v, V& out) {
                   kernels::Gradient<T> dgamma, dbeta;
                   if (affine) dgamma = {v[5].data(), T(1)}, dbeta = {v[6].data(), T(0)};
                   k.norms.layer_norm_backward(view::matrix(v[0]), view::matrix(v[1]),
                                               view::vector(affine ? &v[2] : nullptr), view::matrix(v[3]),
                                               view::vector(v[4]), dgamma, dbeta, view::matrix(out[0]));
                 });
    }
  }
}

HANDGRAD_TEST_CUDA(dropout_draws_the_cpus_masks) {
  using T = typename Place::T;
  for (const std::size_t n : {1, 3, 4, 5, 129, 1000, 40001})
    for (const double p : {0.1, 0.5, 1.0})
      for (const double before : {0.0, 41.0}) {
        const Tensor<T> x = random<T>({n});
        std::vector<Tensor<T>> results;
        std::vector<double> steps;
        for (const Device device : {Device::cpu(), Place::device()}) {
          Tensor<T> y = full<T>({n}, std::numeric_limits<T>::quiet_NaN(), device);
          Tensor<double> step = full<double>({}, before, device);
          backend<T>(device).dropout.apply({p, 0x123456789abcdefull, 7}, true, step.data(), view::vector(x.to(device)),
                                           view::vector(y));
          results.push_back(y.cpu());
          steps.push_back(step.item());
        }
        BOOST_TEST((results[0] == results[1]));
        BOOST_TEST(steps[1] == before + 1);
      }
}

HANDGRAD_TEST_CUDA(losses) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  const Both<T> both{Place::device()};
  const formulas::ElementLoss all[] = {formulas::SquaredError{}, formulas::AbsoluteError{},
                                       formulas::BinaryCrossEntropy{}, formulas::ClampedBinaryCrossEntropy{},
                                       formulas::BinaryCrossEntropyWithLogits{}};
  for (const std::size_t n : {std::size_t{1}, std::size_t{33}, std::size_t{1000}, std::size_t{20011}}) {
    const Tensor<T> p = positive<T>({n}), y = positive<T>({n}), w = positive<T>({n}), q = positive<T>({n});
    for (const auto& f : all)
      for (const bool weighted : {false, true}) {
        both.agree("element_loss_forward", {p, y, w, q}, {{}, {n}}, [&](const K& k, V& v, V& out) {
          const auto *a = weighted ? &v[2] : nullptr, *b = weighted ? &v[3] : nullptr;
          k.losses.element_forward(f, view::vector(v[0]), view::vector(v[1]), view::vector(a), view::vector(b),
                                   kernels::Reduction::Mean, T(0.25), out[0].data());
          k.losses.element_forward(f, view::vector(v[0]), view::vector(v[1]), view::vector(a), view::vector(b),
                                   kernels::Reduction::None, T(1), out[1].data());
        });
        both.agree("element_loss_backward", {p, y, w, q}, {{n}}, [&](const K& k, V& v, V& out) {
          k.losses.element_backward(f, view::vector(v[0]), view::vector(v[1]), view::vector(weighted ? &v[2] : nullptr),
                                    view::vector(weighted ? &v[3] : nullptr), T(0.25), view::vector(out[0]));
        });
      }
  }
  using kernels::RowLoss;
  for (const std::size_t rows : {1, 31, 129, 300})
    for (const std::size_t classes : {2, 33, 129}) {
      const Tensor<T> p = positive<T>({rows, classes}), w = positive<T>({classes});
      const Tensor<T> index = randint<T>(0, static_cast<std::int64_t>(classes), {rows});
      for (const Tensor<T>& y : {index, positive<T>({rows, classes})})
        for (const RowLoss loss : {RowLoss::CrossEntropy, RowLoss::NegativeLogLikelihood, RowLoss::Categorical})
          for (const bool weighted : {false, true}) {
            both.agree("row_loss_forward", {p, y, w}, {{}, {}, {}, {}, {rows}, {}}, [&](const K& k, V& v, V& out) {
              const auto* a = weighted ? &v[2] : nullptr;
              k.losses.row_forward(loss, view::matrix(v[0]), targets(p, v[1]), view::vector(a),
                                   kernels::Reduction::Mean, out[0].data(), out[1].data());
              k.losses.row_forward(loss, view::matrix(v[0]), targets(p, v[1]), view::vector(a), kernels::Reduction::Sum,
                                   out[2].data(), out[3].data());
              k.losses.row_forward(loss, view::matrix(v[0]), targets(p, v[1]), view::vector(a),
                                   kernels::Reduction::None, out[5].data(), out[4].data());
            });
            both.agree(
                "row_loss_backward", {p, y, w, full<T>({}, T(3))}, {{rows, classes}}, [&](const K& k, V& v, V& out) {
                  k.losses.row_backward(loss, view::matrix(v[0]), targets(p, v[1]),
                                        view::vector(weighted ? &v[2] : nullptr), v[3].data(), view::matrix(out[0]));
                });
          }
    }
}

HANDGRAD_TEST_CUDA(a_class_that_does_not_exist_is_reported_with_the_next_value) {
  using T = typename Place::T;
  const Device device = Place::device();
  const auto& k = backend<T>(device);
  const Tensor<T> p = positive<T>({200, 3}).to(device);
  for (const T wrong : {T(3), T(-1), T(0.5), std::numeric_limits<T>::quiet_NaN()}) {
    Tensor<T> y = zeros<T>({200});
    y.data()[170] = y.data()[150] = wrong;
    Tensor<T> divisor = zeros<T>({}, device), value = zeros<T>({}, device);
    k.losses.row_forward(kernels::RowLoss::CrossEntropy, view::matrix(p), targets(p, y.to(device)), {},
                         kernels::Reduction::Mean, divisor.data(), value.data());
    BOOST_CHECK_EXCEPTION(value.item(), ValueError, [&](const ValueError& error) {
      const std::string text = error.what();
      return text.find("target 150 is ") == 0 && text.find("a class from 0 to 2 expected") != std::string::npos;
    });
    BOOST_TEST(std::isnan(value.item()));  // said once
  }
}

HANDGRAD_TEST_CUDA(optimizers) {
  using T = typename Place::T;
  using K = kernels::Backend<T>;
  using V = std::vector<Tensor<T>>;
  Both<T> both{Place::device()};
  const formulas::UpdateRule rules[] = {
      formulas::SGD{.lr = 0.1},
      formulas::SGD{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true},
      formulas::Adam{.lr = 0.01, .weight_decay = 0.1, .correction1 = 0.1, .correction2_root = 0.03},
      formulas::Adam{.lr = 0.01, .weight_decay = 0.1, .decoupled = true},
      formulas::Adam{.lr = 0.01, .weight_decay = 0.1, .amsgrad = true},
      formulas::RMSprop{.lr = 0.01},
      formulas::RMSprop{.lr = 0.01, .weight_decay = 0.1, .momentum = 0.9},
      formulas::RMSprop{.lr = 0.01, .momentum = 0.9, .centered = true},
      formulas::Adagrad{.lr = 0.1, .weight_decay = 0.1},
      formulas::Adadelta{.weight_decay = 0.1},
      formulas::NAdam{.weight_decay = 0.1, .of_gradient = 0.01, .of_mean = 0.02, .correction2 = 0.1},
      formulas::Lion{.lr = 0.1, .weight_decay = 0.1},
      formulas::Muon{.rate = 0.1, .decay = 0.01},
  };
  // More tensors than one launch takes, of many sizes, one spanning several blocks
  std::vector<Tensor<T>> parameters;
  for (std::size_t i = 0; i < 100; ++i) parameters.push_back(random<T>({i % 7 == 0 ? 4095 + i : i + 1}));
  for (const auto& rule : rules) {
    const auto states = static_cast<std::size_t>(std::visit([](const auto& r) { return r.states(); }, rule));
    V in;
    for (const Tensor<T>& w : parameters) {
      in.push_back(w);
      in.push_back(random<T>(w.shape()));
      for (std::size_t s = 0; s < states; ++s)
        in.push_back(s == states - 1 && states == 3 ? zeros<T>(w.shape()) : positive<T>(w.shape()));
    }
    both.agree("optimize", in, {}, [&](const K& k, V& v, V&) {
      std::vector<kernels::Update<T>> updates;
      for (std::size_t i = 0; i < v.size(); i += 2 + states) {
        kernels::Update<T> u{view::vector(v[i]), v[i + 1].data(), {}, rule};
        for (std::size_t s = 0; s < states; ++s) u.state[s] = v[i + 2 + s].data();
        // Groups with different rules
        if (i > v.size() / 2)
          if (auto* adam = std::get_if<formulas::Adam>(&u.rule)) adam->weight_decay = 0;
        updates.push_back(u);
      }
      k.optimizers.optimize(updates);
    });
  }
  both.tolerance *= 10;
  for (const double p : {1.0, 2.0, 3.0, std::numeric_limits<double>::infinity()})
    for (const T most : {T(0.5), T(1e6)})
      both.agree("clip_norm", parameters, {{}}, [&](const K& k, V& v, V& out) {
        std::vector<kernels::Vector<T>> grads;
        for (Tensor<T>& g : v) grads.push_back(view::vector(g));
        k.optimizers.clip_norm(grads, most, p, out[0].data());
      });
  for (const std::size_t n : {1, 33, 20000})
    both.agree("normalize", {random<T>({n})}, {{}},
               [](const K& k, V& v, V& out) { k.optimizers.normalize(view::vector(v[0]), T(1e-7), out[0].data()); });
  both.agree("normalize nothing", {zeros<T>({5})}, {{}},
             [](const K& k, V& v, V& out) { k.optimizers.normalize(view::vector(v[0]), T(1e-7), out[0].data()); });
  both.agree("clip_value", parameters, {}, [&](const K& k, V& v, V&) {
    std::vector<kernels::Vector<T>> grads;
    for (Tensor<T>& g : v) grads.push_back(view::vector(g));
    k.optimizers.clip_value(grads, T(0.3));
  });
}

// The same call gives the same bits: the order of sums depends only on the shape.
HANDGRAD_TEST_CUDA(runs_are_repeatable) {
  using T = typename Place::T;
  const Device device = Place::device();
  const auto& k = backend<T>(device);
  const Tensor<T> x = random<T>({3000, 33}).to(device), dy = random<T>({3000, 1}).to(device);
  std::vector<Tensor<T>> sums, grads;
  for (int run = 0; run < 4; ++run) {
    Tensor<T> value = zeros<T>({}, device), dW = zeros<T>({1, 33}, device), db = zeros<T>({1}, device);
    k.elements.sum_of_squares(view::vector(x), T(1), value.data());
    k.linear.backward_parameters(view::matrix(x), view::matrix(dy), {dW.data(), T(0)}, {db.data(), T(0)});
    sums.push_back(value.cpu());
    grads.push_back(dW.cpu());
    BOOST_TEST((sums.back() == sums.front()));
    BOOST_TEST((grads.back() == grads.front()));
  }
}
