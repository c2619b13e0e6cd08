// The data of notebook 003: read, cleaned, split and converted to numbers, as the notebook does it and as it was meant
// to.
#include <cmath>
#include <iomanip>
#include <iostream>
#include <span>
#include <sstream>
#include <utility>

#include "adult/parts.hpp"
#include "common/made_data.hpp"
#include "common/plot.hpp"
#include "common/text.hpp"
#include "handgrad/io/files.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;

namespace {

const std::vector<std::string> columns{
    "age",          "workclass", "fnlwgt", "education",    "education-num", "marital-status", "occupation",
    "relationship", "race",      "sex",    "capital-gain", "capital-loss",  "hours-per-week", "native-country",
    "wage"};
const std::vector<std::string> continuous{"age",          "fnlwgt",       "education-num",
                                          "capital-gain", "capital-loss", "hours-per-week"};
const std::vector<std::string> categorical{"workclass", "education", "marital-status", "occupation", "relationship",
                                           "race",      "sex",       "native-country"};

/// Writes the synthetic census in the real file's format, so that both are then read alike.
std::string write_census(const Lab& lab) {
  const hg::Table table = make_census();
  std::ostringstream text;
  for (std::size_t row = 0; row < table.rows(); ++row)
    for (const std::string& name : columns)
      (table.is_numeric(name) ? text << table.numbers(name)[row] : text << table.text(name)[row])
          << (name == columns.back() ? "\n" : ",");
  std::string path = lab.out("census.csv");
  hg::write_file(path, text.str());
  return path;
}

/// The notebook's merged categories.
const std::vector<std::pair<std::string, std::string>> schooling{{"Preschool", "dropout"},
                                                                 {"10th", "dropout"},
                                                                 {"11th", "dropout"},
                                                                 {"12th", "dropout"},
                                                                 {"1st-4th", "dropout"},
                                                                 {"5th-6th", "dropout"},
                                                                 {"7th-8th", "dropout"},
                                                                 {"9th", "dropout"},
                                                                 {"HS-grad", "HighGrad"},
                                                                 {"Some-college", "CommunityCollege"},
                                                                 {"Assoc-acdm", "CommunityCollege"},
                                                                 {"Assoc-voc", "CommunityCollege"},
                                                                 {"Prof-school", "Masters"}};
const std::vector<std::pair<std::string, std::string>> marriage{{"Never-married", "NotMarried"},
                                                                {"Married-AF-spouse", "Married"},
                                                                {"Married-civ-spouse", "Married"},
                                                                {"Married-spouse-absent", "NotMarried"},
                                                                {"Divorced", "Separated"}};

void merge_categories(hg::Table& table) {
  for (const auto& [from, to] : schooling) table.replace("education", from, to);
  for (const auto& [from, to] : marriage) table.replace("marital-status", from, to);
}

hg::Tensor<float> targets(std::span<const long> labels) {
  return hg::Tensor<float>({labels.size(), 1}, std::vector<float>(labels.begin(), labels.end()));
}

/// Two stratified 80/20 splits; scaler and encoder are fitted to the training rows.
Census prepare(const hg::Table& table, const std::string& high_wage, bool real, hg::Device device) {
  const std::vector<long> labels = table.indicator("wage", high_wage);
  const auto labels_of = [&](std::span<const std::size_t> rows) {
    std::vector<long> taken;
    for (const std::size_t row : rows) taken.push_back(labels[row]);
    return taken;
  };
  const auto [rest, test] = hg::train_test_split(table.rows(), {.test_size = 0.2, .stratify = labels});
  const auto inner = hg::train_test_split(rest.size(), {.test_size = 0.2, .stratify = labels_of(rest)});
  std::vector<std::size_t> train, valid;
  for (const std::size_t i : inner.train) train.push_back(rest[i]);
  for (const std::size_t i : inner.test) valid.push_back(rest[i]);

  hg::ColumnTransformer transformer({.standard = continuous, .one_hot = categorical});
  transformer.fit(table.take(train));
  const auto part = [&](std::span<const std::size_t> rows) {
    return Split{transformer.transform<float>(table.take(rows)).to(device), targets(labels_of(rows)).to(device)};
  };
  return {real, part(train), part(valid), part(test), hg::compute_class_weight("balanced", {0, 1}, labels)[1]};
}

}  // namespace

Censuses census_section(Lab& lab) {
  lab.section("2.1  The data", "1");
  const std::optional<std::string> file = lab.data("adult/adult.data");
  if (!file)
    std::cout << "There is no adult/adult.data (--data DIR or HANDGRAD_DATA; labs/fetch-data gets it): everything\n"
                 "below is about a MADE-UP CENSUS of the same columns, and its scores cannot be compared with the\n"
                 "notebook's.\n";
  const std::string path = file ? *file : write_census(lab);
  hg::CsvOptions csv{.header = false, .names = columns};
  const hg::Table as_read = hg::read_csv(path, csv);
  csv.trim = true;
  hg::Table intended = hg::read_csv(path, csv);
  std::cout << path << ": " << as_read.rows() << " rows, " << as_read.columns() << " columns\n";
  if (!as_read.remarks.empty()) {
    const std::string& first = as_read.remarks.front();
    std::cout << wrapped(first.starts_with(path + ", ") ? first.substr(path.size() + 2) : first, 2) << '\n';
    if (const std::size_t more = as_read.remarks.size() - 1)
      std::cout << "  and likewise in " << more << " columns more\n";
  }

  lab.section("2.2  The spaces", "1");
  std::cout << "The notebook merges categories, 'Preschool' and other early ends of school to 'dropout', and so\n"
               "on. pandas' replace says nothing when it finds nothing. Ours does:\n\n";
  try {
    hg::Table merged = as_read;
    merge_categories(merged);
  } catch (const hg::ValueError& error) {
    std::cout << wrapped(std::string("ValueError: ") + error.what(), 2) << "\n\n";
  }
  merge_categories(intended);
  const bool real = file.has_value();
  const hg::Device device = lab.options.device;
  Censuses result{prepare(as_read, " >50K", real, device), prepare(intended, ">50K", real, device)};
  const Census& census = result.as_read;
  std::cout << "So no category was ever merged: education keeps " << as_read.unique("education").size()
            << " values where " << intended.unique("education").size() << " were meant, marital status\n"
            << as_read.unique("marital-status").size() << " instead of " << intended.unique("marital-status").size()
            << ". After one-hot encoding there are " << census.columns() << " columns instead of "
            << result.intended.columns() << ". The notebook's table is\nused up to task 8, where both are trained.\n";

  lab.section("2.3  Training, validation and test data", "1");
  std::cout << "training    " << census.train.x.shape().str() << "\nvalidation  " << census.valid.x.shape().str()
            << "\ntest        " << census.test.x.shape().str() << '\n';
  const std::vector<std::size_t> shape{census.train.x.size(0), census.columns()};
  if (census.real)
    lab.figures.exact("003.adult.shape", shape, printed("20838 108"));
  else
    lab.figures.exact("003.adult.shape", shape);
  const double positive = 100 * xt::mean(census.train.y.cpu().xt())();
  std::cout << std::fixed << std::setprecision(2) << positive
            << " % of the training rows earn more than 50K. Who always answers 'no' is right in " << 100 - positive
            << " %:\naccuracy says little here, hence AUROC, precision, recall and F1.\n";
  Plot balance("Class percentages", "income in a year, dollars", "% of the training rows");
  balance.bars({"<= 50K", "> 50K"}, {std::round(100 * (100 - positive)) / 100, std::round(100 * positive) / 100});
  draw(lab, "classes", {balance});
  return result;
}

void reach(Lab& lab, const Census& census, const std::string& id, double here, const std::string& notebook,
           bool reached) {
  if (census.real)
    lab.figures.reach(id, here, printed(notebook), reached);
  else
    lab.figures.reach(id, here);
}
