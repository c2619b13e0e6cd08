// The rules by which a figure agrees with a notebook, and the file that records it.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/figures.hpp"
#include "common/lab.hpp"
#include "common/plot.hpp"
#include "handgrad/base/errors.hpp"

using namespace handgrad;
using namespace handgrad::labs;

namespace {

bool agrees(const Numbers& here, const Notebook& notebook) {
  Figures figures("a lab");
  figures.exact("id", here, notebook);
  return *figures.all().front().agrees;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_printed_digit_counts) {
  BOOST_TEST(agrees(5.89374, printed("5.8937")));
  BOOST_TEST(agrees(5.89366, printed("5.8937")));
  BOOST_TEST(!agrees(5.89376, printed("5.8937")));
  BOOST_TEST(!agrees(5.8936, printed("5.8937")));
  BOOST_TEST(!agrees(-5.8937, printed("5.8937")));
  BOOST_TEST(agrees(1.12724e-4, printed("1.1272e-04")));
  BOOST_TEST(!agrees(1.1273e-4, printed("1.1272e-04")));
  BOOST_TEST(agrees({7.5, 0}, printed("7.5 0")));
  BOOST_TEST(!agrees({7.5, 0.1}, printed("7.5 0")));
}

BOOST_AUTO_TEST_CASE(full_precision_is_relative) {
  BOOST_TEST(agrees(273.2061462402344 * (1 + 0.9e-5), full_float("273.2061462402344")));
  BOOST_TEST(!agrees(273.2061462402344 * (1 + 1.1e-5), full_float("273.2061462402344")));
  BOOST_TEST(agrees(0.01008310853576281, full_double("0.01008310853576281")));
  BOOST_TEST(!agrees(0.01008310853578, full_double("0.01008310853576281")));
  BOOST_TEST(agrees(0.48741, within(1e-4, "0.4873894155025482")));
  BOOST_TEST(!agrees(0.4875, within(1e-4, "0.4873894155025482")));
}

BOOST_AUTO_TEST_CASE(what_is_no_number_or_too_few_never_agrees) {
  BOOST_TEST(!agrees(std::nan(""), printed("0.5")));
  BOOST_TEST(!agrees(std::numeric_limits<double>::infinity(), full_float("0.5")));
  BOOST_TEST(!agrees({1, 2}, printed("1.0000 2.0000 3.0000")));
  BOOST_TEST(!agrees({1, 2, 3}, printed("1.0000 2.0000")));
  BOOST_TEST(!agrees(std::vector<double>{}, printed("1.0000")));
}

BOOST_AUTO_TEST_CASE(the_file_has_arrays_and_null_where_nothing_is_printed) {
  std::vector<Figures> labs{Figures("from_scratch")};
  labs[0].exact("004.relu", Tensor<float>{{1, 0}, {0, 2}}, printed("1.0000 0.0000 0.0000 2.0000"));
  labs[0].exact("004.bad", 1.5, printed("2.5"));
  labs[0].exact("000.fixed", 0.25);
  labs[0].reach("004.relu_net.loss", 0.004, printed("0.006"), true);
  labs[0].shape("004.picture");
  labs[0].weights<float>("net", {{"0.weight", {{1, 2}}}, {"0.bias", {3}}});
  const auto json = nlohmann::json::parse(to_json(labs));
  BOOST_TEST(json.size() == 1u);
  BOOST_TEST(json[0]["lab"] == "from_scratch");
  const auto& figures = json[0]["figures"];
  BOOST_TEST(figures.size() == 5u);
  BOOST_TEST(figures[0] ==
             nlohmann::json::parse(R"({"id": "004.relu", "kind": "exact", "notebook": [1.0, 0.0, 0.0, 2.0],
                                                     "here": [1.0, 0.0, 0.0, 2.0], "agrees": true})"));
  BOOST_TEST(figures[1]["agrees"] == false);
  BOOST_TEST((figures[2]["notebook"].is_null() && figures[2]["agrees"].is_null()));
  BOOST_TEST(figures[2]["here"] == nlohmann::json::parse("[0.25]"));
  BOOST_TEST(figures[3]["kind"] == "reach");
  BOOST_TEST(figures[4] == nlohmann::json::parse(R"({"id": "004.picture", "kind": "shape", "notebook": null, "here": [],
                                                     "agrees": null})"));
  BOOST_TEST(json[0]["weights"].size() == 1u);
  BOOST_TEST(!all_exact_agree(labs));
}

BOOST_AUTO_TEST_CASE(weights_have_a_hash_of_their_names_and_bits) {
  const auto hash = [](const std::string& name, float w) {
    Figures lab("one");
    lab.weights<float>("net", {{name, {w, 2}}});
    return lab.hashes().at(0).value;
  };
  BOOST_TEST(hash("w", 1) == hash("w", 1));
  BOOST_TEST(hash("w", 1) != hash("v", 1));
  BOOST_TEST(hash("w", 0) != hash("w", -0.0f));
  BOOST_TEST(hash("w", 1) != hash("w", std::nextafter(1.0f, 2.0f)));
}

BOOST_AUTO_TEST_CASE(only_an_exact_figure_fails_a_run) {
  std::vector<Figures> labs{Figures("one")};
  labs[0].exact("a", 1, printed("1.0"));
  labs[0].reach("b", 1, printed("2.0"), false);
  BOOST_TEST(all_exact_agree(labs));
  labs[0].exact("c", 1, printed("0.22"), false);
  BOOST_TEST(!all_exact_agree(labs));
}

BOOST_AUTO_TEST_CASE(a_figure_is_given_once) {
  Figures figures("one");
  figures.exact("a", 1);
  BOOST_CHECK_THROW(figures.exact("a", 1), StateError);
}

BOOST_AUTO_TEST_CASE(the_table_ends_with_how_many_agree) {
  std::vector<Figures> labs{Figures("one")};
  labs[0].exact("a.id", {1.23456, 2}, printed("1.2346 2.0000"));
  labs[0].exact("b", 1, printed("2.0"));
  labs[0].reach("c", 1, printed("2.0"), true);
  labs[0].shape("d");
  std::ostringstream out;
  print_table(out, labs, false);
  BOOST_TEST(out.str() ==
             "id    kind   notebook       here           agrees\n"
             "a.id  exact  1.2346 2.0000  1.2346 2.0000  yes\n"
             "b     exact  2.0            1.0            NO\n"
             "c     reach  2.0000         1.0000         reached\n"
             "d     shape  -              -              -\n"
             "\n"
             "1 of 2 exact figures agree, 1 of 1 reached, 1 without a number in the notebook\n");
}

BOOST_AUTO_TEST_CASE(an_axis_has_a_label) {
  BOOST_CHECK_THROW(Plot("loss", "epoch", ""), ValueError);
  BOOST_CHECK_THROW(Plot("loss", "", "mean squared error"), ValueError);
  Plot("loss", "epoch", "mean squared error");
}

BOOST_AUTO_TEST_CASE(a_step_says_where_it_is_derived_and_computed) {
  Figures figures("descent");
  const Options options;
  const Lab lab{options, figures};
  std::ostringstream out;
  std::streambuf* const before = std::cout.rdbuf(out.rdbuf());
  lab.section("3  The gradient of the mean squared error", "2", "../labs/descent/main.cpp", 101);
  BOOST_CHECK_THROW(lab.section("7  Nothing that is derived"), ValueError);
  std::cout.rdbuf(before);
  BOOST_TEST(out.str().find("labs/descent: README.md, 2. The mean squared error and its gradient; main.cpp:101\n") !=
                 std::string::npos,
             out.str());
}
