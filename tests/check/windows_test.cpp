// Mistakes of convolutions and pooling, planted in layers written as by a learner, are named; nothing is named in
// correct ones, including the library's.
#include <boost/test/unit_test.hpp>
#include <limits>
#include <set>

#include "handgrad/base/random.hpp"
#include "handgrad/check/gradcheck.hpp"
#include "handgrad/contract/layer.hpp"
#include "handgrad/layers/convolution.hpp"
#include "handgrad/layers/pooling.hpp"

using namespace handgrad;

namespace {

/// Output i of a dimension sees input i·stride + u·dilation − padding.
struct Steps {
  std::size_t kernel, stride, padding, dilation = 1;
  std::size_t outputs(std::size_t in) const { return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1; }
};

class MutantConvolution : public Layer<double> {
 public:
  MutantConvolution(std::size_t in, std::size_t out, Steps steps, std::string mistake = "")
      : in_(in), out_(out), s_(steps), m_(std::move(mistake)) {
    Generator generator(in + 10 * out);
    weight = register_parameter("weight", randn<double>({out, in, s_.kernel, s_.kernel}, generator));
    bias = register_parameter("bias", randn<double>({out}, generator));
  }
  Shape output_shape(const Shape& x) const override { return {x[0], out_, s_.outputs(x[2]), s_.outputs(x[3])}; }
  std::string name() const override { return "MutantConvolution"; }
  Parameter<double> weight, bias;

 protected:
  template <class F>  // f(n, o, i, j, c, u, v, h, w)
  void each(const Shape& x, const Steps& s, F f) {
    const Shape y = output_shape(x);
    for (std::size_t n = 0; n < x[0]; ++n)
      for (std::size_t i = 0; i < y[2]; ++i)
        for (std::size_t j = 0; j < y[3]; ++j)
          for (std::size_t o = 0; o < out_; ++o)
            for (std::size_t c = 0; c < in_; ++c)
              for (std::size_t u = 0; u < s.kernel; ++u)
                for (std::size_t v = 0; v < s.kernel; ++v) {
                  const std::size_t h = i * s.stride + u * s.dilation - s.padding,
                                    w = j * s.stride + v * s.dilation - s.padding;
                  if (h < x[2] && w < x[3])
                    f(((n * out_ + o) * y[2] + i) * y[3] + j, ((n * in_ + c) * x[2] + h) * x[3] + w,
                      ((o * in_ + c) * s.kernel + u) * s.kernel + v,
                      ((o * in_ + c) * s.kernel + s.kernel - 1 - u) * s.kernel + s.kernel - 1 - v);
                }
  }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    const std::size_t plane = y.size(2) * y.size(3);
    for (std::size_t k = 0; k < y.numel(); ++k) y.data()[k] = bias.value().data()[k / plane % out_];
    each(x.shape(), s_, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w, std::size_t) {
      y.data()[at_y] += weight.value().data()[at_w] * x.data()[at_x];
    });
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    Tensor<double> dW = zeros<double>(weight.shape()), db = zeros<double>({out_});
    dx.fill(0);
    const std::size_t plane = y.size(2) * y.size(3);
    for (std::size_t k = 0; k < y.numel(); ++k) db.data()[k / plane % out_] += dy.data()[k];
    Steps of_input = s_, of_weight = s_;
    if (m_ == "stride in dx") of_input.stride = 1;
    if (m_ == "stride in dW") of_weight.stride = 1;
    if (m_ == "padding in dx") of_input.padding = 0;
    if (m_ == "padding in dW") of_weight.padding = 0;
    each(x.shape(), of_weight, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w, std::size_t turned) {
      dW.data()[m_ == "swapped" ? turned : at_w] += dy.data()[at_y] * x.data()[at_x];
    });
    std::vector<std::size_t> window(x.numel(), std::numeric_limits<std::size_t>::max());
    each(x.shape(), of_input, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w, std::size_t turned) {
      if (m_ == "overwritten" && window[at_x] != at_y % plane) dx.data()[at_x] = 0;
      window[at_x] = at_y % plane;
      dx.data()[at_x] += dy.data()[at_y] * weight.value().data()[m_ == "not flipped" ? turned : at_w];
    });
    const auto add = [](Parameter<double>& p, const Tensor<double>& d) {
      auto [grad, beta] = p.accumulate();
      for (std::size_t k = 0; k < d.numel(); ++k) grad.data()[k] = (beta == 0 ? 0 : grad.data()[k]) + d.data()[k];
    };
    add(weight, dW);
    add(bias, db);
  }

 private:
  std::size_t in_, out_;
  Steps s_;
  std::string m_;
};

class MutantPooling : public Layer<double> {
 public:
  MutantPooling(Steps steps, bool is_max, std::string mistake = "")
      : s_(steps), is_max_(is_max), m_(std::move(mistake)) {}
  Shape output_shape(const Shape& x) const override { return {x[0], x[1], s_.outputs(x[2]), s_.outputs(x[3])}; }
  std::string name() const override { return "MutantPooling"; }

 protected:
  template <class F>
  void each(const Shape& x, F f) {
    const Shape y = output_shape(x);
    for (std::size_t plane = 0; plane < x[0] * x[1]; ++plane)
      for (std::size_t i = 0; i < y[2]; ++i)
        for (std::size_t j = 0; j < y[3]; ++j)
          for (std::size_t u = 0; u < s_.kernel; ++u)
            for (std::size_t v = 0; v < s_.kernel; ++v) {
              const std::size_t h = i * s_.stride + u - s_.padding, w = j * s_.stride + v - s_.padding;
              if (h < x[2] && w < x[3]) f((plane * y[2] + i) * y[3] + j, (plane * x[2] + h) * x[3] + w);
            }
  }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    y.fill(is_max_ ? -std::numeric_limits<double>::infinity() : 0);
    each(x.shape(), [&](std::size_t at_y, std::size_t at_x) {
      double& out = y.data()[at_y];
      out = is_max_ ? std::max(out, x.data()[at_x]) : out + x.data()[at_x] / static_cast<double>(s_.kernel * s_.kernel);
    });
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    dx.fill(0);
    each(x.shape(), [&](std::size_t at_y, std::size_t at_x) {
      double part = dy.data()[at_y];
      if (is_max_ && x.data()[at_x] != y.data()[at_y] && m_ != "all") return;
      if (!is_max_ && m_ != "whole") part /= static_cast<double>(s_.kernel * s_.kernel);
      dx.data()[at_x] = (m_ == "overwritten" ? 0 : dx.data()[at_x]) + part;
    });
  }

 private:
  Steps s_;
  bool is_max_;
  std::string m_;
};

Tensor<double> normal(const Shape& shape, std::uint64_t seed = 7) {
  Generator generator(seed);
  return randn<double>(shape, generator);
}

}  // namespace

BOOST_AUTO_TEST_CASE(mistakes_of_a_convolution_are_named) {
  struct Place {
    std::size_t in, out;
    Steps steps;
    Shape x;
  };
  std::map<Cause, int> places;
  for (const Place& p : {Place{2, 3, {3, 1, 1}, {2, 2, 5, 7}}, Place{1, 2, {3, 2, 1}, {3, 1, 7, 8}},
                         Place{3, 2, {2, 2, 1}, {2, 3, 5, 7}}, Place{2, 2, {3, 3, 2}, {2, 2, 7, 11}},
                         Place{2, 1, {3, 2, 2, 2}, {2, 2, 7, 9}}, Place{1, 1, {5, 2, 2}, {2, 1, 11, 9}}}) {
    MutantConvolution right(p.in, p.out, p.steps);
    const GradientReport report = check_gradients(right, normal(p.x));
    BOOST_TEST(report.passed(), report);
    for (const auto& [mistake, cause] :
         std::vector<std::pair<std::string, Cause>>{{"not flipped", Cause::KernelNotFlipped},
                                                    {"swapped", Cause::FactorsSwapped},
                                                    {"stride in dx", Cause::StrideIgnored},
                                                    {"stride in dW", Cause::StrideIgnored},
                                                    {"padding in dx", Cause::PaddingIgnored},
                                                    {"padding in dW", Cause::PaddingIgnored},
                                                    {"overwritten", Cause::WindowOverwritten}}) {
      MutantConvolution wrong(p.in, p.out, p.steps, mistake);
      const GradientReport found = check_gradients(wrong, normal(p.x));
      if (found.passed()) continue;  // no mistake with this stride or padding
      BOOST_TEST(found.diagnose().cause == cause, mistake << ": " << found << found.diagnose());
      ++places[cause];
    }
  }
  for (const Cause cause : {Cause::KernelNotFlipped, Cause::FactorsSwapped, Cause::StrideIgnored, Cause::PaddingIgnored,
                            Cause::WindowOverwritten})
    BOOST_TEST(places[cause] >= 3, cause << " in " << places[cause] << " places");
}

BOOST_AUTO_TEST_CASE(mistakes_of_a_pooling_are_named) {
  struct Place {
    Steps steps;
    Shape x;
  };
  for (const Place& p : {Place{{2, 2, 0}, {2, 3, 5, 7}}, Place{{3, 1, 0}, {2, 1, 5, 7}}, Place{{3, 2, 1}, {2, 2, 7, 8}},
                         Place{{2, 1, 1}, {1, 2, 4, 5}}})
    for (const bool is_max : {true, false}) {
      MutantPooling right(p.steps, is_max);
      BOOST_TEST(check_gradients(right, normal(p.x)).passed());
      const auto named = [&](const std::string& mistake, Cause cause) {
        MutantPooling wrong(p.steps, is_max, mistake);
        const GradientReport report = check_gradients(wrong, normal(p.x));
        BOOST_TEST(report.diagnose().cause == cause, mistake << ": " << report << report.diagnose());
      };
      if (is_max)
        named("all", Cause::GivenToAll);
      else
        named("whole", Cause::NotAveraged);
      if (p.steps.stride < p.steps.kernel) named("overwritten", Cause::WindowOverwritten);
    }
}

BOOST_AUTO_TEST_CASE(right_ones_are_never_blamed) {
  Generator generator(11);
  const auto size = [&](std::size_t least, std::size_t most) {
    return least + generator.random() % (most - least + 1);
  };
  for (int trial = 0; trial < 300; ++trial) {
    manual_seed(static_cast<std::uint64_t>(trial));
    const std::size_t groups = size(1, 2), k = size(1, 3);
    const Shape x{size(1, 3), groups * size(1, 2), size(5, 7), size(5, 9)};
    std::shared_ptr<Layer<double>> layer;
    switch (trial % 4) {
      case 0:
        layer = std::make_shared<Conv2d<double>>(
            x[1], groups * size(1, 2), Size2d(k, size(1, 3)),
            Conv2dOptions{.stride = {size(1, 3), size(1, 3)}, .padding = {size(0, 2), size(0, 2)}, .groups = groups});
        break;
      case 1:
        layer =
            std::make_shared<MaxPool2d<double>>(k, MaxPool2dOptions{.stride = Size2d(size(1, 3)), .padding = k / 2});
        break;
      case 2:
        layer =
            std::make_shared<AvgPool2d<double>>(k, AvgPool2dOptions{.stride = Size2d(size(1, 3)), .padding = k / 2});
        break;
      default:
        layer = std::make_shared<ConvTranspose2d<double>>(
            x[1], groups * size(1, 2), k, ConvTranspose2dOptions{.stride = size(1, 3), .groups = groups});
    }
    const GradientReport report = check_gradients(*layer, normal(x, generator.random()));
    const Cause cause = report.diagnose().cause;
    BOOST_TEST((report.verdict() != Verdict::Fail && (cause == Cause::None || cause == Cause::Kink ||
                                                      cause == Cause::ZeroGradient || cause == Cause::TooFew)),
               "trial " << trial << ": " << report << report.diagnose());
  }
}
