// Where the notebooks print no number, the labs' figures, just written by the test labs/all, against PyTorch running
// the notebooks' code.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/reference.hpp"

using handgrad::test::Reference;

namespace {

std::vector<double> figure(const nlohmann::json& labs, const std::string& id) {
  for (const auto& lab : labs)
    for (const auto& entry : lab.at("figures"))
      if (entry.at("id") == id) return entry.at("here").get<std::vector<double>>();
  BOOST_FAIL("no lab computed " << id);
  return {};
}

}  // namespace

BOOST_AUTO_TEST_CASE(figures_agree_with_pytorch) {
  std::ifstream in(HANDGRAD_LABS_JSON);
  BOOST_REQUIRE_MESSAGE(in, HANDGRAD_LABS_JSON << ": run the test labs/all first");
  const nlohmann::json labs = nlohmann::json::parse(in);
  for (const Reference& figures : {Reference::file("labs")["figures"], Reference::file("attention")["lab"][0]})
    for (const std::string& id : figures.keys()) {
      const std::vector<double> theirs = figures[id.c_str()].numbers(), ours = figure(labs, id);
      BOOST_REQUIRE_MESSAGE(ours.size() == theirs.size(), id << ": " << ours.size() << " numbers");
      for (std::size_t i = 0; i < ours.size(); ++i)
        BOOST_TEST(std::abs(ours[i] - theirs[i]) <= 1e-5 + 1e-4 * std::abs(theirs[i]),
                   id << "[" << i << "]: " << ours[i] << " here, " << theirs[i] << " in PyTorch");
    }
}
