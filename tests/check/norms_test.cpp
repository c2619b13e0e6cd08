// Typical mistakes in a norm's backward, planted in five kinds of norms of several shapes; correct ones get no name.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/gradcheck.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/group_norm.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/rms_norm.hpp"

using namespace handgrad;

namespace {

enum class Kind { Layer, RMS, Batch, Group };

/// y = γ∘x̂ + β as a learner writes it: element k belongs to a set, over which it is normalised, and to a channel.
class UsersNorm : public Layer<double> {
 public:
  UsersNorm(Kind kind, const Shape& shape, std::size_t groups, std::string mistake)
      : kind_(kind), groups_(groups), mistake_(std::move(mistake)) {
    channels_ = kind == Kind::Layer || kind == Kind::RMS ? shape.columns() : shape[1];
    Generator generator(17);
    Tensor<double> scale = Tensor<double>::empty({channels_});
    weight_ = register_parameter("weight", uniform_(scale, 0.5, 2, generator));
    if (kind != Kind::RMS) bias_ = register_parameter("bias", randn<double>({channels_}, generator));
  }
  std::string name() const override { return "UsersNorm"; }

 protected:
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    const auto [set, count] = sets(x.shape());
    std::vector<double> mean(count), square(count), size(count);
    for (std::size_t k = 0; k < x.numel(); ++k) size[set[k]] += 1;
    for (std::size_t k = 0; k < x.numel(); ++k)
      if (kind_ != Kind::RMS) mean[set[k]] += x.data()[k] / size[set[k]];
    for (std::size_t k = 0; k < x.numel(); ++k)
      square[set[k]] += std::pow(x.data()[k] - mean[set[k]], 2) / size[set[k]];
    x_hat_.assign(x.numel(), 0);
    s_.assign(count, 0);
    for (std::size_t i = 0; i < count; ++i) s_[i] = 1 / std::sqrt(square[i] + 1e-5);
    for (std::size_t k = 0; k < x.numel(); ++k) {
      x_hat_[k] = (x.data()[k] - mean[set[k]]) * s_[set[k]];
      const std::size_t c = channel(x.shape(), k);
      y.data()[k] = weight_.value().data()[c] * x_hat_[k] + (bias_.defined() ? bias_.value().data()[c] : 0);
    }
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const auto [set, count] = sets(x.shape());
    std::vector<double> g(x.numel()), dgamma(channels_), dbeta(channels_);
    for (std::size_t k = 0; k < x.numel(); ++k) {
      const std::size_t c = channel(x.shape(), k);
      const double gamma = weight_.value().data()[c];
      g[k] = dy.data()[k] * (mistake_ == "γ missing" ? 1 : mistake_ == "γ twice" ? gamma * gamma : gamma);
      dgamma[c] += dy.data()[k] * x_hat_[k];
      dbeta[c] += dy.data()[k];
    }
    const bool everything = mistake_ == "means over everything";
    std::vector<double> mean_g(count), mean_gx(count), size(count);
    for (std::size_t k = 0; k < x.numel(); ++k) size[everything ? 0 : set[k]] += 1;
    for (std::size_t k = 0; k < x.numel(); ++k) {
      const std::size_t i = everything ? 0 : set[k];
      if (kind_ != Kind::RMS && mistake_ != "the mean is taken for a constant") mean_g[i] += g[k] / size[i];
      if (mistake_ != "the variance is taken for a constant") mean_gx[i] += g[k] * x_hat_[k] / size[i];
    }
    for (std::size_t k = 0; k < x.numel(); ++k) {
      const std::size_t i = everything ? 0 : set[k];
      dx.data()[k] = s_[set[k]] * (g[k] - mean_g[i] - x_hat_[k] * mean_gx[i]);
    }
    weight_.accumulate(Tensor<double>({channels_}, dgamma).xt());
    if (bias_.defined()) bias_.accumulate(Tensor<double>({channels_}, dbeta).xt());
  }

 private:
  std::size_t inner(const Shape& shape) const {
    return kind_ == Kind::Layer || kind_ == Kind::RMS ? 1 : shape.numel() / (shape[0] * shape[1]);
  }
  std::size_t channel(const Shape& shape, std::size_t k) const { return k / inner(shape) % channels_; }
  /// The set of each element, and the number of sets.
  std::pair<std::vector<std::size_t>, std::size_t> sets(const Shape& shape) const {
    std::vector<std::size_t> set(shape.numel());
    for (std::size_t k = 0; k < set.size(); ++k)
      set[k] = kind_ == Kind::Batch   ? channel(shape, k)
               : kind_ == Kind::Group ? k / (shape.numel() / (shape[0] * groups_))
                                      : k / channels_;
    const std::size_t count = kind_ == Kind::Batch   ? channels_
                              : kind_ == Kind::Group ? shape[0] * groups_
                                                     : shape.numel() / channels_;
    return {set, count};
  }

  Kind kind_;
  std::size_t groups_, channels_ = 0;
  std::string mistake_;
  Parameter<double> weight_, bias_;
  std::vector<double> x_hat_, s_;
};

Tensor<double> normal(const Shape& shape, std::uint64_t seed = 5) {
  Generator generator(seed);
  Tensor<double> x = Tensor<double>::empty(shape);
  return normal_(x, 0.5, 1.5, generator);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_norms_mistakes_are_named_in_every_kind_and_shape) {
  struct Place {
    const char* name;
    Kind kind;
    std::size_t groups;
    std::vector<Shape> shapes;
  };
  const std::vector<Place> all{{"LayerNorm", Kind::Layer, 1, {{5, 3}, {7, 5}, {2, 3, 5}}},
                               {"RMSNorm", Kind::RMS, 1, {{5, 3}, {7, 5}, {2, 3, 5}}},
                               {"BatchNorm1d", Kind::Batch, 1, {{5, 3}, {7, 5}, {3, 5, 7}}},
                               {"BatchNorm2d", Kind::Batch, 1, {{2, 3, 5, 3}, {3, 2, 2, 5}, {5, 3, 1, 7}}},
                               {"GroupNorm", Kind::Group, 2, {{3, 4, 5}, {5, 6, 3}, {2, 4, 3, 5}}}};
  std::map<Cause, std::set<std::string>> places;
  for (const auto& [name, kind, groups, shapes] : all)
    for (const Shape& shape : shapes) {
      UsersNorm right(kind, shape, groups, "");
      const GradientReport report = check_gradients(right, normal(shape));
      BOOST_TEST(report.passed(), name << shape.str() << report);
      for (const auto& [mistake, cause] : std::initializer_list<std::pair<const char*, Cause>>{
               {"γ missing", Cause::NormScale},
               {"γ twice", Cause::NormScale},
               {"means over everything", Cause::WrongAxis},
               {"the mean is taken for a constant", Cause::TermMissing},
               {"the variance is taken for a constant", Cause::TermMissing}}) {
        if (kind == Kind::RMS && std::string(mistake) == "the mean is taken for a constant") continue;
        UsersNorm wrong(kind, shape, groups, mistake);
        const GradientReport failed = check_gradients(wrong, normal(shape));
        const Diagnosis diagnosis = failed.diagnose();
        BOOST_TEST(diagnosis.cause == cause, name << shape.str() << ", " << mistake << ": " << cause
                                                  << " expected, got " << diagnosis.cause << "\n"
                                                  << diagnosis);
        places[cause].insert(name + shape.str());
      }
    }
  for (const Cause cause : {Cause::NormScale, Cause::WrongAxis, Cause::TermMissing})
    BOOST_TEST(places[cause].size() >= 15u);
}

BOOST_AUTO_TEST_CASE(a_right_norm_is_never_blamed) {
  Generator generator(13);
  const auto size = [&](std::int64_t top) { return static_cast<std::size_t>(generator.random() % top + 1); };
  for (int trial = 0; trial < 300; ++trial) {
    const std::size_t N = size(4) + 1, C = 2 * size(3), L = size(4) + 1;
    const std::uint64_t seed = generator.random();
    std::shared_ptr<Layer<double>> layer;
    Shape shape{N, C};
    switch (trial % 6) {
      case 0:
        layer = std::make_shared<LayerNorm<double>>(C);
        break;
      case 1:
        layer = std::make_shared<RMSNorm<double>>(C, RMSNormOptions{.eps = 1e-3});
        break;
      case 2:
        layer = std::make_shared<BatchNorm1d<double>>(C);
        shape = {N + 1, C};
        break;
      case 3:
        layer = std::make_shared<GroupNorm<double>>(2, C);
        shape = {N, C, L};
        break;
      case 4:
        layer = std::make_shared<BatchNorm2d<double>>(C);
        shape = {N, C, L, 2};
        break;
      default: {
        auto net = std::make_shared<Sequential<double>>();
        net->push_back(std::make_shared<Linear<double>>(C, C, false));
        net->push_back(std::make_shared<LayerNorm<double>>(C));
        net->push_back(std::make_shared<Tanh<double>>());
        net->push_back(std::make_shared<RMSNorm<double>>(C, RMSNormOptions{.eps = 1e-3}));
        layer = net;
      }
    }
    Generator parameters(seed);
    for (auto& [name, parameter] : layer->named_parameters()) uniform_(parameter.value(), 0.5, 2, parameters);
    const GradientReport report = check_gradients(*layer, normal(shape, seed));
    const Cause cause = report.diagnose().cause;
    const bool innocent = report.verdict() != Verdict::Fail &&
                          (cause == Cause::None || cause == Cause::ZeroGradient || cause == Cause::TooFew);
    BOOST_TEST(innocent, "trial " << trial << ": " << report << report.diagnose());
  }
}
