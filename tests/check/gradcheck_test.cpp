// The checker itself: correct code passes, planted faults fail, and what proves nothing is inconclusive.
#include "handgrad/check/gradcheck.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <sstream>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"

using namespace handgrad;
using handgrad::test::check_throws;

namespace {

/// The fault of a backward.
enum class Fault {
  None,
  BiasDropped,       // db never written
  BiasOfOneRow,      // db = δ of the first row, not the sum
  BiasAveraged,      // db divided by N
  WeightsAveraged,   // dW divided by N
  Assigned,          // grad = dW instead of grad += dW
  WrongSign,         // −dW
  TwiceTooLarge,     // 2·dW
  Transposed,        // dx = δ·Wᵀ, if the shapes allow it
  WeightTransposed,  // dW = xᵀ·δ, if the shapes allow it
  InputDropped,      // dx never written
  LastRowForgotten,  // dx without its last row
  OneEntry,          // one entry of dW off by 1e-4 of itself
  SlightlyOff,       // dW off by 1e-5 of itself everywhere
  NotANumber,        // one NaN in dW
  Upstream           // δ ignored: as if it were 1
};

/// y = x·Wᵀ + b, with the fault in its backward.
class Faulty : public Layer<double> {
 public:
  Faulty(std::size_t in, std::size_t out, Fault fault)
      : weight(register_parameter("weight", randn<double>({out, in}))),
        bias(register_parameter("bias", randn<double>({out}))),
        fault_(fault) {}
  Parameter<double> weight, bias;
  Shape output_shape(const Shape& x) const override { return {x[0], weight.shape()[0]}; }

 protected:
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t n = 0; n < y.size(0); ++n)
      for (std::size_t o = 0; o < y.size(1); ++o) {
        double sum = bias.value().item(o);
        for (std::size_t i = 0; i < x.size(1); ++i) sum += x.item(n, i) * weight.value().item(o, i);
        y.xt<2>()(n, o) = sum;
      }
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& upstream,
                     Tensor<double>& dx) override {
    const std::size_t N = x.size(0), in = x.size(1), out = upstream.size(1);
    const Tensor<double> dy = fault_ == Fault::Upstream ? ones<double>(upstream.shape()) : upstream;
    Tensor<double> dW = zeros<double>({out, in}), db = zeros<double>({out});
    auto w = dW.xt<2>();
    auto b = db.xt<1>();
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t o = 0; o < out; ++o) {
        if (n == 0 || fault_ != Fault::BiasOfOneRow) b(o) += dy.item(n, o);
        for (std::size_t i = 0; i < in; ++i)
          w(o, i) += fault_ == Fault::WeightTransposed ? dy.item(n, i) * x.item(n, o) : dy.item(n, o) * x.item(n, i);
      }
    if (fault_ == Fault::BiasAveraged) b /= double(N);
    if (fault_ == Fault::WeightsAveraged) w /= double(N);
    if (fault_ == Fault::WrongSign) w *= -1;
    if (fault_ == Fault::TwiceTooLarge) w *= 2;
    if (fault_ == Fault::OneEntry) w(out - 1, in - 1) *= 1 + 1e-4;
    if (fault_ == Fault::SlightlyOff) w *= 1 + 1e-5;
    if (fault_ == Fault::NotANumber) w(0, 0) = std::nan("");
    if (fault_ == Fault::Assigned)
      weight.accumulate().first.copy_from(dW);
    else
      weight.accumulate(dW.xt());
    if (fault_ == Fault::BiasDropped)
      bias.accumulate();
    else
      bias.accumulate(db.xt());
    if (fault_ == Fault::InputDropped) return;
    for (std::size_t n = 0; n + (fault_ == Fault::LastRowForgotten) < N; ++n)
      for (std::size_t i = 0; i < in; ++i) {
        double sum = 0;
        for (std::size_t o = 0; o < out; ++o)
          sum += dy.item(n, o) * (fault_ == Fault::Transposed ? weight.value().item(i, o) : weight.value().item(o, i));
        dx.xt<2>()(n, i) = sum;
      }
  }

 private:
  Fault fault_;
};

GradientReport check(Fault fault, std::size_t in = 3, std::size_t out = 7) {
  manual_seed(5);
  Faulty layer(in, out, fault);
  return check_gradients(layer, randn<double>({5, in}));
}

/// The verdicts on (input, weight, bias), as P, F or I.
std::string verdicts(const GradientReport& report) {
  std::string text;
  for (const char* name : {"input", "weight", "bias"}) {
    const Verdict v = report[name].verdict;
    text += v == Verdict::Pass ? 'P' : v == Verdict::Fail ? 'F' : 'I';
  }
  return text;
}

/// tanh whose backward omits the derivative, or takes it of the wrong variable.
struct ForgetfulTanh : Layer<double> {
  bool forgets;
  explicit ForgetfulTanh(bool f) : forgets(f) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.xt() = xt::tanh(x.xt()); }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    if (forgets)
      dx.xt() = dy.xt();
    else
      dx.xt() = dy.xt() * (1 - x.xt() * x.xt());
  }
};

/// Softmax without the term −Σδy: right only on the diagonal.
struct DiagonalSoftmax : Softmax<double> {
  void backward_into(const Tensor<double>&, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dz) override {
    dz.xt() = dy.xt() * y.xt();
  }
};

/// Mean squared error whose backward omits 1/N or the factor 2.
struct WrongMSE : Loss<double> {
  double factor;
  WrongMSE(double f) : factor(f) {}
  void forward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& value) override {
    value.fill(xt::mean(xt::square(p.xt() - y.xt()))());
  }
  void backward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& dp) override {
    dp.xt() = factor * (p.xt() - y.xt());
  }
};

/// A backward that destroys what the forward saved, so that a second one is wrong.
struct Destructive : Layer<double> {
  Parameter<double> a = register_parameter("a", Tensor<double>{2});
  Tensor<double> saved;
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    saved = x.clone();
    y.xt() = 2 * x.xt() * a.value().item() / 2;
  }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    a.accumulate(Tensor<double>({1}, {xt::sum(dy.xt() * saved.xt())()}).xt());
    saved.fill(0);
    dx.xt() = a.value().item() * dy.xt();
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_right_passes) {
  const GradientReport report = check(Fault::None);
  BOOST_TEST(report.passed(), report);
  BOOST_TEST(bool(report));
  BOOST_TEST(verdicts(report) == "PPP");
  BOOST_TEST(report["weight"].checked == 21u);
  BOOST_TEST(report["weight"].worst_error() < 1e-7);
  BOOST_TEST(report.first_failure() == nullptr);
  BOOST_TEST(check(Fault::None, 4, 4).passed());
}

BOOST_AUTO_TEST_CASE(planted_faults_fail_where_they_are) {
  BOOST_TEST(verdicts(check(Fault::BiasDropped)) == "PPF");
  BOOST_TEST(verdicts(check(Fault::BiasOfOneRow)) == "PPF");
  BOOST_TEST(verdicts(check(Fault::BiasAveraged)) == "PPF");
  BOOST_TEST(verdicts(check(Fault::WeightsAveraged)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::Assigned)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::WrongSign)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::TwiceTooLarge)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::Transposed, 4, 4)) == "FPP");
  BOOST_TEST(verdicts(check(Fault::WeightTransposed, 4, 4)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::InputDropped)) == "FPP");
  BOOST_TEST(verdicts(check(Fault::LastRowForgotten)) == "FPP");
  BOOST_TEST(verdicts(check(Fault::OneEntry)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::SlightlyOff)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::NotANumber)) == "PFP");
  BOOST_TEST(verdicts(check(Fault::Upstream)) == "FFF");
}

BOOST_AUTO_TEST_CASE(a_fault_in_a_tensor_too_large_for_every_entry_is_found) {
  manual_seed(6);
  for (const Fault fault : {Fault::SlightlyOff, Fault::WeightsAveraged, Fault::Assigned}) {
    Faulty layer(31, 29, fault);
    BOOST_TEST(verdicts(check_gradients(layer, randn<double>({2, 31}), {.max_entries = 50})) == "PFP");
  }
  Faulty right(31, 29, Fault::None);
  const GradientReport report = check_gradients(right, randn<double>({2, 31}), {.max_entries = 50});
  BOOST_TEST(report.passed(), report);
  BOOST_TEST(report["weight"].checked == 50u);
}

BOOST_AUTO_TEST_CASE(the_report_says_what_was_wrong) {
  std::ostringstream out;
  out << check(Fault::OneEntry);
  BOOST_TEST(out.str().find("weight (7, 3)") != std::string::npos);
  BOOST_TEST(out.str().find("[6, 2]: backward") != std::string::npos);
  BOOST_TEST(check(Fault::Assigned)["weight"].reason.find("grad += dW") != std::string::npos);
  BOOST_TEST(check(Fault::BiasDropped)["bias"].reason.find("never written") != std::string::npos);
  BOOST_TEST(check(Fault::OneEntry).first_failure()->name == "weight");
  check_throws<ValueError>([] { check(Fault::None)["gamma"]; }, {"gamma"});
}

BOOST_AUTO_TEST_CASE(activation_derivatives_forgotten_or_of_the_wrong_variable_fail) {
  manual_seed(7);
  const Tensor<double> x = randn<double>({5, 3});
  ForgetfulTanh forgets(true), mixes_up(false);
  BOOST_TEST((check_gradients(forgets, x).verdict() == Verdict::Fail));
  BOOST_TEST((check_gradients(mixes_up, x).verdict() == Verdict::Fail));
  DiagonalSoftmax softmax;
  BOOST_TEST((check_gradients(softmax, x).verdict() == Verdict::Fail));
}

BOOST_AUTO_TEST_CASE(losses_without_their_factors_fail) {
  manual_seed(8);
  const Tensor<double> p = randn<double>({5, 3}), y = randn<double>({5, 3});
  WrongMSE right(2.0 / 15), not_divided(2), not_doubled(1.0 / 15), by_rows(2.0 / 5);
  BOOST_TEST(check_gradients(right, p, y).passed());
  for (WrongMSE* wrong : {&not_divided, &not_doubled, &by_rows})
    BOOST_TEST((check_gradients(*wrong, p, y).verdict() == Verdict::Fail));
  Linear<double> net(3, 3);
  BOOST_TEST(check_gradients(net, right, p, y).passed());
  BOOST_TEST((check_gradients(net, not_divided, p, y).verdict() == Verdict::Fail));
}

BOOST_AUTO_TEST_CASE(a_backward_that_destroys_what_was_saved_fails) {
  Destructive layer;
  const GradientReport report = check_gradients(layer, Tensor<double>{{1, 2}, {3, 5}});
  BOOST_TEST((report["a"].verdict == Verdict::Fail));
  BOOST_TEST(report["a"].reason.find("second backward") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_proves_nothing_is_inconclusive) {
  manual_seed(9);
  const Tensor<double> x = randn<double>({5, 3});
  Threshold<double> step;
  BOOST_TEST((check_gradients(step, x).verdict() == Verdict::Inconclusive));
  ReLU<double> relu;
  BOOST_TEST((check_gradients(relu, full<double>({5, 3}, -1)).verdict() == Verdict::Inconclusive));  // all dead
  BOOST_TEST((check_gradients(relu, zeros<double>({5, 3})).verdict() == Verdict::Inconclusive));     // all at the kink
  Sigmoid<double> sigmoid;
  BOOST_TEST((check_gradients(sigmoid, full<double>({5, 3}, 800)).verdict() == Verdict::Inconclusive));  // saturated
}

BOOST_AUTO_TEST_CASE(a_kink_is_stepped_over_and_counted) {
  ReLU<double> relu;
  const GradientReport report = check_gradients(relu, Tensor<double>{{1, -1, 2, -2, 0, 3}});
  BOOST_TEST(report.passed(), report);
  BOOST_TEST(report["input"].skipped == 1u);
}

BOOST_AUTO_TEST_CASE(everything_is_put_back_bit_for_bit) {
  manual_seed(10);
  Sequential net{Linear<double>(3, 5), Tanh<double>(), Linear<double>(5, 2)};
  const Tensor<double> x = randn<double>({7, 3}), before = x.clone();
  const auto state = net.state_dict();
  const Tensor<double> next = rand<double>({1});
  manual_seed(10);
  Sequential again{Linear<double>(3, 5), Tanh<double>(), Linear<double>(5, 2)};
  randn<double>({7, 3});
  BOOST_TEST(check_gradients(net, x).passed());
  BOOST_TEST((rand<double>({1}) == next));  // the check has its own generator
  BOOST_TEST((x == before));
  const auto after = net.state_dict();
  for (std::size_t i = 0; i < state.size(); ++i) {
    const std::vector<double> a = state[i].second.to_vector(), b = after[i].second.to_vector();
    BOOST_TEST(std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
  }
  BOOST_TEST(!net.requires_input_grad());
  for (const auto& parameter : net.parameters()) BOOST_TEST(!parameter.has_grad());
}

BOOST_AUTO_TEST_CASE(a_network_needs_one_number_as_its_loss) {
  Linear<double> net(3, 3);
  MSELoss<double> each(Reduction::None);
  check_throws<ValueError>(
      [&] {
        check_gradients(net, each, zeros<double>({2, 3}), zeros<double>({2, 3}));
      },
      {"Mean or Sum"});
}
