// The synthetic census of made_data.hpp. Frequencies roughly follow the description of the UCI data set Adult (B.
// Becker and R. Kohavi, 1996, https://doi.org/10.24432/C5XW20); the dependences are invented, and simple enough that a
// network which finds them must come near the best possible.
#include <algorithm>
#include <cmath>
#include <span>

#include "common/made_data.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/data/numpy_random.hpp"

namespace handgrad::labs {

namespace {

/// A category, its frequency, and its relation to the rest.
struct Category {
  const char* value;
  double weight;         // relative frequency
  double schooling = 0;  // > 0: more frequent with more years of school
  double male = 0;       // > 0: more frequent among men
  double wage = 0;       // added to the log-odds of a high wage
};

constexpr Category education[] = {
    // in order of education-num, 1 … 16
    {" Preschool", 51},   {" 1st-4th", 168},       {" 5th-6th", 333},     {" 7th-8th", 646},
    {" 9th", 514},        {" 10th", 933},          {" 11th", 1175},       {" 12th", 433},
    {" HS-grad", 10501},  {" Some-college", 7291}, {" Assoc-voc", 1382},  {" Assoc-acdm", 1067},
    {" Bachelors", 5355}, {" Masters", 1723},      {" Prof-school", 576}, {" Doctorate", 413},
};
constexpr Category workclass[] = {
    {" Private", 22696, -0.1, 0, 0},       {" Self-emp-not-inc", 2541, 0, 0.4, -0.5},
    {" Local-gov", 2093, 0.4, -0.2, -0.1}, {" ?", 1836, -0.2, -0.2, -0.8},
    {" State-gov", 1298, 0.4, -0.1, -0.2}, {" Self-emp-inc", 1116, 0.3, 0.6, 0.5},
    {" Federal-gov", 960, 0.2, 0, 0.6},    {" Without-pay", 14, 0, 0, -4},
    {" Never-worked", 7, -0.4, 0, -6},
};
constexpr Category occupation[] = {
    {" Prof-specialty", 4140, 1.5, 0, 0.6},
    {" Craft-repair", 4099, -0.4, 1.4, 0},
    {" Exec-managerial", 4066, 0.8, 0.1, 0.9},
    {" Adm-clerical", 3770, 0, -0.8, 0},
    {" Sales", 3650, 0.1, 0, 0.3},
    {" Other-service", 3295, -0.5, -0.5, -0.9},
    {" Machine-op-inspct", 2002, -0.7, 0.3, -0.3},
    {" Transport-moving", 1597, -0.6, 1.4, -0.1},
    {" Handlers-cleaners", 1370, -0.6, 0.9, -0.7},
    {" Farming-fishing", 994, -0.6, 1.2, -1.1},
    {" Tech-support", 928, 0.4, 0, 0.6},
    {" Protective-serv", 649, 0, 0.9, 0.5},
    {" Priv-house-serv", 149, -0.8, -1.5, -2},
    {" Armed-Forces", 9, 0, 1, -0.5},
};
constexpr Category race[] = {
    {" White", 27816},
    {" Black", 3124, -0.1, -0.2},
    {" Asian-Pac-Islander", 1039, 0.3},
    {" Amer-Indian-Eskimo", 311, -0.2},
    {" Other", 271, -0.3},
};
constexpr Category country[] = {
    {" United-States", 29170},
    {" Mexico", 643, -1},
    {" ?", 583},
    {" Philippines", 198, 0.3},
    {" Germany", 137},
    {" Canada", 121},
    {" Puerto-Rico", 114, -0.5},
    {" El-Salvador", 106, -1},
    {" India", 100, 1},
    {" Cuba", 95},
    {" England", 90},
    {" Jamaica", 81, -0.3},
    {" South", 80},
    {" China", 75, 0.6},
    {" Italy", 73, -0.4},
    {" Dominican-Republic", 70, -0.8},
    {" Vietnam", 67, -0.2},
    {" Guatemala", 64, -1},
    {" Japan", 62, 0.5},
    {" Poland", 60},
    {" Columbia", 59},
    {" Taiwan", 51, 1},
    {" Haiti", 44, -0.5},
    {" Iran", 43, 0.8},
    {" Portugal", 37, -0.8},
    {" Nicaragua", 34, -0.3},
    {" Peru", 31},
    {" France", 29, 0.5},
    {" Greece", 29},
    {" Ecuador", 28},
    {" Ireland", 24},
    {" Hong", 20, 0.3},
    {" Cambodia", 19},
    {" Trinadad&Tobago", 19},
    {" Thailand", 18},
    {" Laos", 18},
    {" Yugoslavia", 16},
    {" Outlying-US(Guam-USVI-etc)", 14},
    {" Honduras", 13},
    {" Hungary", 13},
    {" Scotland", 12},
    {" Holand-Netherlands", 1},
};

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

/// Draws a category, with frequencies adjusted for schooling (in units of three years from the mean) and sex.
const Category& draw(std::span<const Category> categories, double schooling, bool male, NumpyRandom& random) {
  std::vector<double> weights;
  for (const Category& c : categories) {
    weights.push_back(c.weight * std::exp(c.schooling * schooling + c.male * (male ? 0.5 : -0.5)));
  }
  return categories[random.choice(std::span<const double>(weights))];
}

const char* draw_marriage(double age, bool male, NumpyRandom& random) {
  const double ever = sigmoid((age - 27) / 4.5), ended = sigmoid((age - 62) / 14) * (male ? 0.55 : 1.2);
  if (random.rand() > ever) return " Never-married";
  if (random.rand() < (male ? 0.12 : 0.5) + 0.3 * ended) {
    if (!male && random.rand() < sigmoid((age - 60) / 7)) return " Widowed";
    const double kind = random.rand();
    return kind < 0.74 ? " Divorced" : kind < 0.91 ? " Separated" : kind < 0.98 ? " Married-spouse-absent" : " Widowed";
  }
  return random.rand() < 0.0015 ? " Married-AF-spouse" : " Married-civ-spouse";
}

const char* draw_relationship(bool married, bool single, double age, bool male, NumpyRandom& random) {
  const double u = random.rand();
  if (married) return u < 0.98 ? (male ? " Husband" : " Wife") : u < 0.99 ? " Other-relative" : " Own-child";
  if (single && u < sigmoid((27 - age) / 4)) return " Own-child";
  if (random.rand() < 0.07) return " Other-relative";
  return random.rand() < (male ? 0.13 : 0.45) ? " Unmarried" : " Not-in-family";
}

}  // namespace

Table make_census(std::size_t n_samples, std::uint32_t random_state) {
  if (n_samples == 0) throw ValueError("make_census: at least one sample expected");
  NumpyRandom random(random_state);
  Table::Numbers age, fnlwgt, education_num, capital_gain, capital_loss, hours;
  Table::Text work, school, marital, job, relationship, origin, sex, native, wage;
  const auto between = [](double low, double value, double high) { return std::clamp(std::floor(value), low, high); };

  for (std::size_t i = 0; i < n_samples; ++i) {
    const bool male = random.rand() < 0.67;
    const double years = between(17, 17 + 21.6 * std::sqrt(-2 * std::log(1 - random.rand())) * 0.8, 90);
    const Category& schooled = draw(education, 0, male, random);
    const double grade = static_cast<double>(&schooled - education) + 1, schooling = (grade - 10) / 3;
    const char* status = draw_marriage(years, male, random);
    const bool married =
        std::string_view(status) == " Married-civ-spouse" || std::string_view(status) == " Married-AF-spouse";
    const Category& employer = draw(workclass, schooling, male, random);
    const bool unemployed =
        std::string_view(employer.value) == " ?" || std::string_view(employer.value) == " Never-worked";
    const Category& position = draw(occupation, schooling, male, random);
    const double weekly =
        between(1, random.rand() < 0.45 ? 40 : random.normal(41 + (male ? 3 : -4) + 2 * schooling, 13), 99);

    // The log-odds of a high wage: rising with schooling, faster for managers and specialists; an arch over age; hours
    // beyond 50 count less; marriage counts most.
    const double arch = -std::pow((years - 48) / 17, 2);
    double z = -2.9 + 1.05 * schooling + 0.35 * schooling * std::max(0.0, position.wage) + 0.9 * arch +
               0.045 * (std::min(weekly, 50.0) - 40) + 0.01 * std::max(0.0, weekly - 50) + (married ? 2.6 : -0.4) +
               (male ? 0.1 : -0.1) + employer.wage + (unemployed ? 0 : position.wage);

    double gain = 0, loss = 0;
    if (random.rand() < 0.03 + 0.13 * sigmoid(z)) {
      gain = between(114, std::exp(random.normal(7.6 + 1.2 * sigmoid(z), 0.9)), 99999);
      z += gain > 6000 ? 5 : -0.7;
    } else if (random.rand() < 0.03 + 0.06 * sigmoid(z)) {
      loss = between(155, random.normal(1870, 350), 4356);
      z += loss > 1800 ? 1.2 : -0.8;
    }

    age.push_back(years);
    work.push_back(employer.value);
    fnlwgt.push_back(between(12285, std::exp(random.normal(12, 0.57)), 1484705));
    school.push_back(schooled.value);
    education_num.push_back(grade);
    marital.push_back(status);
    job.push_back(unemployed ? " ?" : position.value);
    relationship.push_back(
        draw_relationship(married, std::string_view(status) == " Never-married", years, male, random));
    origin.push_back(draw(race, schooling, male, random).value);
    sex.push_back(male ? " Male" : " Female");
    capital_gain.push_back(gain);
    capital_loss.push_back(loss);
    hours.push_back(weekly);
    native.push_back(draw(country, schooling, male, random).value);
    wage.push_back(random.rand() < sigmoid(1.3 * z) ? " >50K" : " <=50K");
  }

  Table census;
  census.add("age", std::move(age));
  census.add("workclass", std::move(work));
  census.add("fnlwgt", std::move(fnlwgt));
  census.add("education", std::move(school));
  census.add("education-num", std::move(education_num));
  census.add("marital-status", std::move(marital));
  census.add("occupation", std::move(job));
  census.add("relationship", std::move(relationship));
  census.add("race", std::move(origin));
  census.add("sex", std::move(sex));
  census.add("capital-gain", std::move(capital_gain));
  census.add("capital-loss", std::move(capital_loss));
  census.add("hours-per-week", std::move(hours));
  census.add("native-country", std::move(native));
  census.add("wage", std::move(wage));
  return census;
}

}  // namespace handgrad::labs
