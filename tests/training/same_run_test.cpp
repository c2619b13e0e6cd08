// The same seed gives PyTorch's run: initial weights, shuffled batches, forward, backward, running statistics,
// optimizers and fit together, in double, from reference/training.json.
#include "handgrad/handgrad.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using namespace handgrad::test;

namespace {

struct Losses {
  std::vector<double> train, eval;  // per epoch: the mean over its batches as trained; over all rows afterwards
};

Losses train(const Reference& run, Sequential<double>& net, const Tensor<double>& x, const Tensor<double>& y,
             int epochs) {
  const auto loss = make_loss<double>(run, x.device());
  const auto optimizer = make_optimizer<double>(run, net.parameters());
  std::optional<CosineAnnealingLR> cosine;
  if (run.contains("cosine")) cosine.emplace(*optimizer, static_cast<std::int64_t>(run["cosine"].number()));
  DataLoader loader(TensorDataset<double>(x.cpu(), y.cpu()),
                    {.batch_size = std::size_t(run["batch_size"].number()), .shuffle = true, .device = x.device()});
  Losses losses;
  FitOptions<double> options{.epochs = epochs};
  if (cosine) options.schedulers = {&*cosine};
  options.callbacks.push_back([&](const EpochResult&) {
    net.eval();
    losses.eval.push_back(loss->forward(net.forward(x), y).item());
    return true;
  });
  for (const EpochResult& epoch : fit(net, *loss, *optimizer, loader, options).epochs)
    losses.train.push_back(epoch.loss);
  return losses;
}

struct CPU : Where<double, false> {};
struct CUDA : Where<double, true> {};
using Devices = boost::mp11::mp_list<CPU, CUDA>;

}  // namespace

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(device_present))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_same_seed_gives_torchs_run, Place, Devices) {
  const Reference file = Reference::file("training");
  const Tensor<double> x = file["x"].tensor<double>().to(Place::device());
  for (const Reference run : file["runs"]) {
    const std::string name = run["name"].text();
    manual_seed(static_cast<std::uint64_t>(run["seed"].number()));
    Sequential<double> net;
    for (const Reference layer : run["net"]) net.push_back(make_layer<double>(layer, Place::device()));
    const Tensor<double> y = file["targets"][run["target"].text().c_str()].tensor<double>().to(Place::device());
    const Losses losses = train(run, net, x, y, int(file["epochs"].number()));
    check_close(losses.train, run["train_loss"].numbers(), 1e-9, name + " train loss");
    check_close(losses.eval, run["eval_loss"].numbers(), 1e-9, name + " eval loss");
    for (const auto& [entry, value] : net.state_dict()) {
      const Tensor<double> expected = run["state"][entry.c_str()].template tensor<double>();
      check_close(value.reshape(expected.shape()), expected, 1e-8, name + " " + entry);
    }
  }
}
