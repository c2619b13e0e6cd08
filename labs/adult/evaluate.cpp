// How a model is judged: task 5 of notebook 003.
#include <algorithm>
#include <array>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <tuple>
#include <utility>

#include "adult/parts.hpp"
#include "common/plot.hpp"
#include "common/text.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

Tensor<float> predict_proba(hg::Sequential<float>& net, const Tensor<float>& x) {
  net.eval();
  return hg::Sigmoid().forward(net.forward(x)).clone().cpu();
}

Scores evaluate_model(hg::Sequential<float>& net, hg::Loss<float>& loss, const Split& data,
                      std::optional<double> threshold) {
  net.eval();
  const double value = loss.forward(net.forward(data.x), data.y).item();
  const Tensor<float> p = predict_proba(net, data.x);
  if (!threshold) threshold = hg::optimal_threshold(hg::precision_recall_curve(data.y, p)).threshold;
  const Tensor<float> y_hat = xt::cast<float>(p.xt() >= static_cast<float>(*threshold));
  return {value,
          hg::roc_auc_score(data.y, p),
          *threshold,
          hg::precision_score(data.y, y_hat),
          hg::recall_score(data.y, y_hat),
          hg::f1_score(data.y, y_hat)};
}

namespace {

constexpr std::size_t name_width = 42;

void print_row(const std::string& name, const std::array<double, 5>& values) {
  std::cout << padded(name, name_width) << std::fixed;
  for (std::size_t i = 0; i < values.size(); ++i)
    std::cout << std::setprecision(i < 4 ? 2 : 4) << std::setw(i == 0 || i == 1 ? 8 : 11)
              << (i < 4 ? 100 * values[i] : values[i]);
  std::cout << '\n';
}

std::array<double, 5> row_of(const Scores& s) { return {s.auroc, s.f1, s.precision, s.recall, s.threshold}; }

}  // namespace

void print_scores_heading(const std::string& title) {
  const std::size_t last_line = title.rfind('\n') + 1;
  std::cout << title.substr(0, last_line) << padded(title.substr(last_line), name_width)
            << "   AUROC      F1  precision     recall  threshold\n";
}

void print_scores(const std::string& name, const Scores& scores) { print_row(name, row_of(scores)); }

/// Of the sorted values of one score the one at `share`: 0 the lowest, 1 the median, 2 the highest.
static double one_of(const std::vector<Scores>& runs, double Scores::*score, std::size_t share) {
  std::vector<double> values;
  for (const Scores& scores : runs) values.push_back(scores.*score);
  std::sort(values.begin(), values.end());
  return values[share * (values.size() - 1) / 2];
}

static Scores one_of(const std::vector<Scores>& runs, std::size_t share) {
  Scores all{};
  for (double Scores::*score :
       {&Scores::loss, &Scores::auroc, &Scores::threshold, &Scores::precision, &Scores::recall, &Scores::f1})
    all.*score = one_of(runs, score, share);
  return all;
}

Scores median_of(const std::vector<Scores>& runs) { return one_of(runs, 1); }

std::uint64_t seeds_that_decide(const Options& options, const Census& census) {
  return options.quick && !census.real ? 1 : 5;
}

void print_spread(const std::vector<Scores>& runs) {
  const std::string seeds = std::to_string(runs.size()) + (runs.size() == 1 ? " seed" : " seeds");
  print_row("  lowest of " + seeds, row_of(one_of(runs, 0)));
  print_row("  median of " + seeds, row_of(one_of(runs, 1)));
  print_row("  highest of " + seeds, row_of(one_of(runs, 2)));
}

void reach_scores(Lab& lab, const Census& census, const std::string& id, const Scores& here, const Reached& notebook) {
  const auto text = [](double value) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(4) << value;
    return out.str();
  };
  for (const auto& [name, ours, its] : {std::tuple{".auroc", here.auroc, notebook.auroc},
                                        {".f1", here.f1, notebook.f1},
                                        {".precision", here.precision, notebook.precision},
                                        {".recall", here.recall, notebook.recall}})
    reach(lab, census, id + name, ours, text(its), ours >= its);
  if (census.real && here.f1 >= notebook.f1 &&
      std::min(here.precision - notebook.precision, here.recall - notebook.recall) < 0)
    std::cout
        << "\nF1 is the notebook's or better, but not both precision and recall: a lower threshold gives recall for\n"
           "precision, and at almost equal F1 who has more of the one has less of the other (README.md, 5).\n";
}

Plot precision_recall_plot(const std::string& title, hg::Sequential<float>& net, const Split& valid) {
  const hg::PrecisionRecallCurve curve = hg::precision_recall_curve(valid.y, predict_proba(net, valid.x));
  const hg::OptimalThreshold best = hg::optimal_threshold(curve);
  std::ostringstream label;
  label << std::fixed << std::setprecision(2) << "threshold " << best.threshold << ", F1 " << best.f1;
  Plot plot(title, "recall", "precision");
  plot.line(curve.recall, curve.precision).marks({best.recall}, {best.precision}, label.str()).limits(0, 1, 0, 1.03);
  return plot;
}
