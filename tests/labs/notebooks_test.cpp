// Every figure of the five notebooks is among those just written by the test labs/all, and of the right kind: none is
// lost, renamed, or quietly excused from agreeing.
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace {

struct Ids {
  const char *lab, *kind, *ids;
};
// Figures that follow from code and seed, those from an unseeded start, and pictures and timings.
constexpr Ids specification[] = {
    {"logistic", "exact",
     "000.init.w 000.init.b 000.saturated.loss 000.saturated.dw 000.saturated.db "
     "000.small.w 000.small.loss 000.small.dw 000.small.db "
     "000.gd.loss0 000.gd.loss10 000.gd.loss20 000.gd.loss30 000.gd.loss40 000.gd.loss50 000.gd.loss100 000.gd.loss270 "
     "000.gd.w 000.gd.b 000.gd.preds "
     "000.fixed.loss0 000.fixed.loss10 000.fixed.loss20 000.fixed.loss30 000.fixed.loss100 000.fixed.loss270 "
     "000.fixed.dw0 000.fixed.db0 000.fixed.probs"},
    {"logistic", "reach", "000.logreg.probs"},
    {"logistic", "shape", "000.logreg.curve"},
    {"network", "exact", "001.delta 001.linear.ones 001.line.loss_last 001.line.r2 001.sigmoid.w10 001.save"},
    {"network", "reach", "001.moons.v1 001.moons.v2 001.moons.v3"},
    {"network", "shape", "001.activations 001.line.lr_sweep 001.curve.fit"},
    {"gabor", "exact", "002.mean_square 002.xor.params"},
    {"gabor", "reach", "002.gabor.fit 002.xor.accuracy"},
    {"gabor", "shape", "002.matmul 002.gabor.curves"},
    {"descent", "exact",
     "003.line.mse 003.line.loss100 003.line.loss200 003.line.loss300 003.line.loss400 003.line.loss500 "
     "003.line.loss600 003.line.loss700 003.line.loss800 003.line.loss900 003.line.final"},
    {"adult", "exact", "003.adult.shape"},
    {"adult", "reach",
     "003.logistic.loss 003.logistic.auroc 003.mlp.loss 003.mlp.auroc "
     "003.regularized.loss 003.regularized.auroc 003.regularized.f1 003.regularized.precision 003.regularized.recall "
     "003.normalizing.auroc 003.normalizing.f1 003.normalizing.precision 003.normalizing.recall "
     "003.tuning.tpe 003.tuning.random"},
    {"adult", "shape", "003.curves"},
    {"from_scratch", "exact",
     "004.neuron 004.linear.vector 004.linear.batch 004.linear.randn 004.two_layers 004.relu 004.softmax 004.elu "
     "004.mse 004.mse_l2 004.cce 004.data.coef "
     "004.sgd.i1.w 004.sgd.i1.dw 004.sgd.i1.b 004.sgd.i1.db 004.sgd.i1.loss "
     "004.sgd.i31.w 004.sgd.i31.dw 004.sgd.i31.b 004.sgd.i31.db 004.sgd.i31.loss 004.sgd.i61.w 004.sgd.i61.b "
     "004.sgd.w 004.gd.loss10 004.gd.loss20 004.gd.loss30 004.gd.loss40 004.gd.w10 004.gd.dw10 004.gd.b10 004.gd.db10 "
     "004.layer.w 004.slow.loss50 004.slow.loss100 004.slow.loss150"},
    {"from_scratch", "reach", "004.relu_net.loss"}};

nlohmann::json labs() {
  std::ifstream in(HANDGRAD_LABS_JSON);
  BOOST_REQUIRE_MESSAGE(in, HANDGRAD_LABS_JSON << ": run the test labs/all first");
  return nlohmann::json::parse(in);
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_figure_of_the_notebooks_is_there) {
  std::map<std::string, std::string> there;
  for (const auto& lab : labs())
    for (const auto& figure : lab.at("figures"))
      there[figure.at("id")] = lab.at("lab").get<std::string>() + ", " + figure.at("kind").get<std::string>();
  for (const auto& [lab, kind, ids] : specification) {
    std::istringstream in(ids);
    for (std::string id; in >> id; there.erase(id))
      BOOST_TEST(there[id] == std::string(lab) + ", " + kind, id << ": " << there[id]);
  }
  for (const char* beyond_the_notebooks : {"mnist.accuracy", "digits.accuracy"})
    BOOST_TEST(there.count(beyond_the_notebooks) == 1u, beyond_the_notebooks);
  for (const auto& [id, of] : there) BOOST_TEST(!std::isdigit(static_cast<unsigned char>(id[0])), id << " of " << of);
}

BOOST_AUTO_TEST_CASE(figures_are_numbers_and_null_where_nothing_is_printed) {
  for (const auto& lab : labs())
    for (const auto& figure : lab.at("figures")) {
      const std::string id = figure.at("id");
      BOOST_TEST(figure.size() == 5u, id);
      for (const auto& number : figure.at("here")) BOOST_TEST(number.is_number(), id);
      BOOST_TEST(figure.at("notebook").is_null() == figure.at("agrees").is_null(), id);
      if (figure.at("notebook").is_null()) continue;
      BOOST_TEST(figure.at("notebook").size() == figure.at("here").size(), id);
      for (const auto& number : figure.at("notebook")) BOOST_TEST(number.is_number(), id);
    }
}
