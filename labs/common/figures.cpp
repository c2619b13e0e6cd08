#include "common/figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "common/text.hpp"
#include "handgrad/base/errors.hpp"

namespace handgrad::labs {

namespace {

/// Half a unit in the last printed place of a number such as `-5.0925` or `1.1272e-04`; 0 if it has no point.
double half_last_place(const std::string& token) {
  const auto point = token.find('.');
  if (point == std::string::npos) return 0;
  const auto exponent_at = token.find_first_of("eE");
  const auto decimals = static_cast<int>(std::min(exponent_at, token.size()) - point - 1);
  const int exponent = exponent_at == std::string::npos ? 0 : std::stoi(token.substr(exponent_at + 1));
  return 0.5 * std::pow(10.0, exponent - decimals);
}

int decimals_of(const std::string& token) {
  if (token.find_first_of("eE") != std::string::npos) return -1;
  const auto point = token.find('.');
  return point == std::string::npos ? 0 : static_cast<int>(token.size() - point - 1);
}

template <class Tolerance>
Notebook parse(const std::string& text, Tolerance tolerance) {
  Notebook notebook{text, {}, {}, {}};
  std::istringstream in(text);
  for (std::string token; in >> token;) {
    notebook.values.push_back(std::stod(token));
    notebook.tolerance.push_back(tolerance(token, notebook.values.back()));
    notebook.decimals.push_back(decimals_of(token));
  }
  return notebook;
}

bool agree(const std::vector<double>& here, const Notebook& notebook) {
  if (here.size() != notebook.values.size()) return false;
  for (std::size_t i = 0; i < here.size(); ++i) {
    // Doubles cannot hold decimal fractions exactly: allow a millionth of the last place.
    const double slack = notebook.tolerance[i] * 1e-6;
    if (!(std::abs(here[i] - notebook.values[i]) <= notebook.tolerance[i] + slack)) return false;
  }
  return true;
}

std::string number(double value, int decimals) {
  std::array<char, 64> text{};
  if (decimals >= 0 && decimals <= 6 && std::abs(value) < 1e9)
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  else
    std::snprintf(text.data(), text.size(), "%.7g", value);
  return text.data();
}

/// As many numbers as fit into a column, and their count if not all do.
std::string row(const std::vector<double>& values, const std::vector<int>& decimals) {
  constexpr std::size_t width = 25;  // so that the table fits 100 columns
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string next = (i ? " " : "") + number(values[i], i < decimals.size() ? decimals[i] : -1);
    const std::string rest = " .. (" + std::to_string(values.size()) + ")";
    const bool last = i + 1 == values.size();
    if (text.size() + next.size() + (last ? 0 : rest.size()) > width) return text + rest;
    text += next;
  }
  return text.empty() ? "-" : text;
}

std::string verdict(const Figure& figure) {
  if (!figure.agrees) return "-";
  if (figure.kind == Kind::Reach) return *figure.agrees ? "reached" : "NOT REACHED";
  return *figure.agrees ? "yes" : "NO";
}

std::string counted(std::size_t n, std::size_t of, const std::string& what) {
  return std::to_string(n) + " of " + std::to_string(of) + " " + what;
}

/// For a bound such as 0.22 the printed digits do not matter.
Notebook in_four_decimals(Notebook notebook) {
  for (int& decimals : notebook.decimals)
    if (decimals >= 0) decimals = std::max(decimals, 4);
  return notebook;
}

}  // namespace

Notebook printed(const std::string& text) {
  return parse(text, [](const std::string& token, double) { return half_last_place(token); });
}
Notebook full_float(const std::string& text) { return within(1e-5, text); }
Notebook full_double(const std::string& text) { return within(1e-12, text); }
Notebook within(double relative, const std::string& text) {
  return parse(text, [relative](const std::string&, double value) { return relative * std::abs(value); });
}

const char* name(Kind kind) {
  switch (kind) {
    case Kind::Exact:
      return "exact";
    case Kind::Reach:
      return "reach";
    case Kind::Shape:
      break;
  }
  return "shape";
}

void Figures::add(Figure figure) {
  const auto same = [&](const Figure& other) { return other.id == figure.id; };
  if (std::any_of(figures_.begin(), figures_.end(), same))
    throw StateError("lab " + lab_ + ": the figure " + figure.id + " was given twice");
  figures_.push_back(std::move(figure));
}

void Figures::exact(const std::string& id, const Numbers& here, const Notebook& notebook) {
  add({id, Kind::Exact, notebook, here.values(), agree(here.values(), notebook)});
}
void Figures::exact(const std::string& id, const Numbers& here) {
  add({id, Kind::Exact, std::nullopt, here.values(), std::nullopt});
}
void Figures::exact(const std::string& id, const Numbers& here, const Notebook& notebook, bool holds) {
  add({id, Kind::Exact, in_four_decimals(notebook), here.values(), holds});
}
void Figures::reach(const std::string& id, const Numbers& here, const Notebook& notebook, bool reached) {
  add({id, Kind::Reach, in_four_decimals(notebook), here.values(), reached});
}
void Figures::reach(const std::string& id, const Numbers& here) {
  add({id, Kind::Reach, std::nullopt, here.values(), std::nullopt});
}

void Figures::shape(const std::string& id, const Numbers& here) {
  add({id, Kind::Shape, std::nullopt, here.values(), std::nullopt});
}

// FNV-1a over names and bits.
template <class T>
void Figures::weights(const std::string& id, const std::vector<NamedTensor<T>>& state) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add_bytes = [&](const void* data, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
  };
  for (const auto& [name, value] : state) {
    add_bytes(name.data(), name.size());
    const std::vector<T> numbers = value.to_vector();
    add_bytes(numbers.data(), numbers.size() * sizeof(T));
  }
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
  hashes_.push_back({id, text.data()});
}
template void Figures::weights(const std::string&, const std::vector<NamedTensor<float>>&);
template void Figures::weights(const std::string&, const std::vector<NamedTensor<double>>&);

void print_table(std::ostream& out, const std::vector<Figures>& labs, bool colours) {
  const auto coloured = [&](const char* code, const std::string& text) {
    return colours ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  };
  std::vector<std::array<std::string, 5>> rows{{"id", "kind", "notebook", "here", "agrees"}};
  std::array<std::size_t, 5> counts{};  // exact ones that agree, exact; reached, to reach; without comparison
  for (const Figures& lab : labs)
    for (const Figure& figure : lab.all()) {
      const std::vector<int> decimals = figure.notebook ? figure.notebook->decimals : std::vector<int>{};
      const std::string notebook = figure.notebook ? row(figure.notebook->values, decimals) : "-";
      rows.push_back({figure.id, name(figure.kind), notebook, row(figure.here, decimals), verdict(figure)});
      if (!figure.agrees) {
        ++counts[4];
      } else {
        const std::size_t at = figure.kind == Kind::Exact ? 0 : 2;
        counts[at] += *figure.agrees;
        ++counts[at + 1];
      }
    }

  std::array<std::size_t, 4> widths{};
  for (const auto& cells : rows)
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  for (const auto& cells : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i) out << padded(cells[i], widths[i]) << "  ";
    const bool heading = &cells == &rows.front();
    const char* code = heading ? "1" : cells[4].starts_with('N') ? "1;31" : cells[4] == "-" ? "2" : "32";
    out << coloured(code, cells[4]) << '\n';
  }

  const bool good = counts[0] == counts[1];
  std::string summary = counts[1] ? counted(counts[0], counts[1], "exact figures agree") : "no exact figures";
  if (counts[3]) summary += ", " + counted(counts[2], counts[3], "reached");
  if (counts[4]) summary += ", " + std::to_string(counts[4]) + " without a number in the notebook";
  out << '\n' << coloured(good ? "1;32" : "1;31", summary) << std::endl;
}

std::string to_json(const std::vector<Figures>& labs) {
  using nlohmann::ordered_json;
  ordered_json all = ordered_json::array();
  for (const Figures& lab : labs) {
    ordered_json figures = ordered_json::array();
    for (const Figure& figure : lab.all()) {
      ordered_json entry;
      entry["id"] = figure.id;
      entry["kind"] = name(figure.kind);
      entry["notebook"] = figure.notebook ? ordered_json(figure.notebook->values) : ordered_json(nullptr);
      entry["here"] = figure.here;
      entry["agrees"] = figure.agrees ? ordered_json(*figure.agrees) : ordered_json(nullptr);
      figures.push_back(std::move(entry));
    }
    ordered_json hashes = ordered_json::object();
    for (const auto& [id, value] : lab.hashes()) hashes[id] = value;
    all.push_back({{"lab", lab.lab()}, {"figures", std::move(figures)}, {"weights", std::move(hashes)}});
  }
  return all.dump(1) + "\n";
}

bool all_exact_agree(const std::vector<Figures>& labs) {
  for (const Figures& lab : labs)
    for (const Figure& figure : lab.all())
      if (figure.kind == Kind::Exact && figure.agrees == false) return false;
  return true;
}

}  // namespace handgrad::labs
