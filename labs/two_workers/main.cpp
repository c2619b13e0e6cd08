// One gradient, two workers: what data-parallel training sums, number by number. The derivation is in README.md beside
// this file.
#include <cmath>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "common/text.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

/// Six points; worker 0 has the first four, worker 1 the other two.
struct Data {
  Tensor<double> x{{1}, {2}, {3}, {4}, {5}, {7}}, t{{2}, {3}, {5}, {4}, {9}, {11}};
  std::size_t first = 4;
  Tensor<double> share(const Tensor<double>& all, int rank) const {
    return rank == 0 ? all.rows(0, first) : all.rows(first, all.size(0));
  }
};

/// y = w·x + b with w = 0.5, b = 1.
std::shared_ptr<hg::Layer<double>> line(hg::Communicator&) {
  return std::make_shared<hg::Linear<double>>(Tensor<double>{{0.5}}, Tensor<double>{1});
}
std::unique_ptr<hg::Loss<double>> squares() { return std::make_unique<hg::MSELoss<double>>(); }

struct Backward {
  double loss, dw, db;
};

/// L = (1/n)·Σ (y − t)² over some of the rows, and its gradient.
Backward backward(hg::Layer<double>& net, hg::Loss<double>& loss, const Tensor<double>& x, const Tensor<double>& t) {
  const double value = loss.forward(net.forward(x), t).item();
  net.zero_grad();
  net.backward(loss.backward());
  const auto parameters = net.parameters();
  return {value, parameters[0].grad().item(), parameters[1].grad().item()};
}

void print(const std::string& what, const Backward& b) {
  std::cout << "  " << padded(what, 34) << std::fixed << std::setprecision(4) << std::setw(11) << b.loss
            << std::setw(12) << b.dw << std::setw(12) << b.db << "\n";
}

void by_hand_section(Lab& lab, const Data& data) {
  lab.section("1  Two workers, by hand");
  hg::Linear<double> net(Tensor<double>{{0.5}}, Tensor<double>{1});
  hg::MSELoss<double> loss;
  const Backward a = backward(net, loss, data.share(data.x, 0), data.share(data.t, 0));
  const Backward b = backward(net, loss, data.share(data.x, 1), data.share(data.t, 1));
  const Backward all = backward(net, loss, data.x, data.t);
  const auto mix = [&](double p, double q) {
    return Backward{p * a.loss + q * b.loss, p * a.dw + q * b.dw, p * a.db + q * b.db};
  };
  std::cout << std::string(36, ' ') << "       loss       ∂L/∂w       ∂L/∂b\n";
  print("worker 0, rows 1 to 4: g₀", a);
  print("worker 1, rows 5 and 6: g₁", b);
  print("(4·g₀ + 2·g₁)/6", mix(4 / 6.0, 2 / 6.0));
  print("one worker, all rows", all);
  print("the mean of means, (g₀ + g₁)/2", mix(0.5, 0.5));
  print("not divided, g₀ + g₁", mix(1, 1));
  std::cout << "\nThe third line is the fourth. The last two are gradients of something else; training with them goes "
               "downhill,\ntoo, so nobody sees it in the loss.\n";
  lab.figures.exact("two_workers.gradient", {all.loss, all.dw, all.db});
}

void sums_section(Lab& lab, const Data& data) {
  lab.section("2  The same by DataParallel, on two threads");
  std::vector<Backward> each(2);
  hg::run_ranks(2, [&](hg::Communicator& ranks) {
    hg::Linear<double> net(Tensor<double>{{0.5}}, Tensor<double>{1});
    hg::DataParallel<double> parallel(net, ranks);
    hg::MSELoss<double> loss;
    const int rank = ranks.rank();
    each[static_cast<std::size_t>(rank)] = backward(net, loss, data.share(data.x, rank), data.share(data.t, rank));
  });
  std::cout << std::string(36, ' ') << "   its loss       ∂L/∂w       ∂L/∂b\n";
  print("worker 0 after net.backward(δ)", each[0]);
  print("worker 1 after net.backward(δ)", each[1]);
  std::cout << "\nEach has its own loss and the gradient of all: so both make the same step, and stay the same.\n";
  lab.figures.exact("two_workers.sums", {each[0].dw, each[1].dw, each[0].db, each[1].db});
}

/// A user's own step with a mistake: gᵣ·factor(rank, rows) summed and divided by `divisor`.
hg::RankStep<double> with_mistake(double (*factor)(int, double), double divisor) {
  return [=](hg::Layer<double>& net, hg::Loss<double>& loss, hg::Communicator& ranks, const Tensor<double>& x,
             const Tensor<double>& t) {
    loss.forward(net.forward(x), t);
    net.backward(loss.backward());
    for (hg::Parameter<double>& parameter : net.parameters()) {
      Tensor<double>& grad = parameter.accumulate().first;
      grad.xt() *= factor(ranks.rank(), static_cast<double>(x.size(0)));
      ranks.all_reduce(grad);
      grad.xt() /= divisor;
    }
  };
}

void mistakes_section(Lab& lab, const Data& data) {
  lab.section("3  Mistakes, and what the check says", "4");
  struct Mistake {
    const char* what;
    hg::RankStep<double> step;
  };
  const Mistake mistakes[] = {
      {"DataParallel", {}},
      {"(g₀ + g₁)/2", with_mistake([](int, double) { return 1.0; }, 2)},
      {"g₀ + g₁", with_mistake([](int, double) { return 1.0; }, 1)},
      {"n₀·g₀/N", with_mistake([](int rank, double n) { return rank == 0 ? n : 0; }, 6)},
  };
  std::vector<double> causes;
  for (const Mistake& mistake : mistakes) {
    const auto report = hg::check_ranks<double>(line, squares, data.x, data.t, mistake.step, {.ranks = 2});
    std::cout << mistake.what << ":\n  " << (report.passed() ? "right" : report.diagnosis) << "\n\n";
    causes.push_back(static_cast<double>(report.cause));
  }
  lab.figures.exact("two_workers.causes", causes);
}

void training_section(Lab& lab) {
  lab.section("4  A training on 1, 2, 3 and 4 workers", "2");
  hg::manual_seed(lab.options.seed);
  const auto x = hg::randn<double>({60, 4});
  const Tensor<double> t = xt::sin(xt::sum(x.xt(), {1}, xt::keep_dims));
  std::vector<double> last;
  std::vector<hg::NamedTensor<double>> weights;
  for (const int workers : {1, 2, 3, 4}) {
    double loss_of_all = 0;
    hg::run_ranks(workers, [&](hg::Communicator& ranks) {
      hg::Sequential<double> net{hg::Linear<double>(4, 16), hg::Tanh<double>(), hg::Linear<double>(16, 1)};
      hg::DataParallel<double> parallel(net, ranks);
      hg::MSELoss<double> loss;
      hg::Adam<double> adam(net.parameters(), {.lr = 0.02});
      const auto xs = parallel.share(x), ts = parallel.share(t);
      double value = 0;
      for (int step = 0; step < 200; ++step) {
        value = loss.forward(net.forward(xs), ts).item();
        adam.zero_grad();
        net.backward(loss.backward());
        adam.step();
      }
      const double sum = hg::all_reduce(ranks, value * static_cast<double>(xs.size(0)));
      if (ranks.rank() != 0) return;
      loss_of_all = sum / static_cast<double>(x.size(0));
      weights = net.state_dict();
    });
    lab.figures.weights(std::to_string(workers) + " workers", weights);
    std::cout << "  " << workers << (workers == 1 ? " worker:  " : " workers: ") << "loss " << std::setprecision(17)
              << std::defaultfloat << loss_of_all << " after 200 steps\n";
    last.push_back(loss_of_all);
  }
  std::cout << "\nThe order of a sum changes its last bits, and nothing else.\n";
  lab.figures.exact("two_workers.losses", last);
}

}  // namespace

HANDGRAD_LAB(two_workers, "", "one gradient, two workers: what data-parallel training sums") {
  lab.stays_on_cpu("two_workers");
  const Data data;
  by_hand_section(lab, data);
  sums_section(lab, data);
  mistakes_section(lab, data);
  training_section(lab);
}
