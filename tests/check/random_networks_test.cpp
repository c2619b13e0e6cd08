// Random networks of all layers, containers and losses, on numbers of every size: correct ones never fail and are never
// diagnosed, wrong ones never pass and are never diagnosed falsely. HANDGRAD_TEST_NETWORKS sets their number,
// HANDGRAD_TEST_FIRST the first seed.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <set>

#include "check/random_network.hpp"

using namespace handgrad;
using handgrad::test::RandomNetwork;

namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Counts {
  std::size_t networks = 0, not_finite = 0, passed = 0, inconclusive = 0, failed = 0, named = 0, planted = 0, found = 0,
              open = 0, missed = 0, wrong_name = 0;
  std::map<std::string, std::size_t> layers;
};

/// A correct network may have zero gradients or kinks, which prove nothing.
bool no_name(const GradientReport& report) {
  const Cause cause = report.diagnose().cause;
  return cause == Cause::None || cause == Cause::ZeroGradient || cause == Cause::TooFew || cause == Cause::Kink;
}

void look_at(std::uint64_t seed, Counts& counts) {
  RandomNetwork network(seed);
  const std::string where = std::to_string(seed) + ": " + network.text + "\n";
  ++counts.networks;
  for (const std::string& name : network.names) ++counts.layers[name];
  const GradientReport report = network.check();
  if (!network.finite()) {
    ++counts.not_finite;
    return;
  }
  counts.passed += report.passed();
  counts.inconclusive += report.verdict() == Verdict::Inconclusive;
  counts.failed += report.verdict() == Verdict::Fail;
  BOOST_TEST((report.verdict() != Verdict::Fail), where << report);
  counts.named += !no_name(report);
  BOOST_TEST(no_name(report), where << report << report.diagnose());
  if (!report.passed()) return;
  // A fault at the end makes every gradient wrong; elsewhere those below it, which may be nothing but zeros or
  // rounding.
  const bool indices = !network.layers[0]->differentiable_input();
  const std::size_t end = network.layers.size(), first = indices ? 1 : 0, place = first + network.pick(end + 1 - first);
  for (const auto& [k, factor] : {std::pair(end, network.pick(2) ? -1.0 : 1.01), {place, -1.0}, {place, 1.01}}) {
    const GradientReport wrong = network.check(k, factor);
    ++counts.planted;
    counts.found += wrong.verdict() == Verdict::Fail;
    counts.open += wrong.verdict() == Verdict::Inconclusive;
    counts.missed += wrong.passed();
    const bool shows = k == end ? wrong.verdict() == Verdict::Fail : !wrong.passed();
    BOOST_TEST(shows, where << "times " << factor << " before " << k << "\n" << wrong);
    if (wrong.verdict() != Verdict::Fail) continue;
    const Cause cause = wrong.diagnose().cause;
    const bool right_name = cause == Cause::Inconclusive || (factor == -1 && cause == Cause::Sign);
    counts.wrong_name += !right_name;
    BOOST_TEST(right_name, where << "times " << factor << " before " << k << ": " << cause << "\n"
                                 << wrong << wrong.diagnose());
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(all_layers_containers_and_losses) {
  Counts counts;
  const std::uint64_t first = setting("HANDGRAD_TEST_FIRST", 0), number = setting("HANDGRAD_TEST_NETWORKS", 100);
  for (std::uint64_t seed = first; seed < first + number; ++seed) look_at(seed, counts);
  BOOST_TEST_MESSAGE(counts.networks << " networks: " << counts.passed << " pass, " << counts.inconclusive
                                     << " inconclusive, " << counts.not_finite << " not finite, " << counts.failed
                                     << " false alarms, " << counts.named << " named; " << counts.planted
                                     << " faults: " << counts.found << " found, " << counts.open << " open, "
                                     << counts.missed << " missed, " << counts.wrong_name << " named wrongly");
  std::string list;
  for (const auto& [name, count] : counts.layers)
    list += (list.empty() ? "" : ", ") + name + " " + std::to_string(count);
  BOOST_TEST_MESSAGE(list);
  BOOST_TEST(counts.passed * 10 > counts.networks * 6);
  BOOST_TEST(counts.found * 10 > counts.planted * 8);
}
