// The display: the screen of the terminal stepper, and the same as plain text.
#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "common/stepper.hpp"

namespace handgrad::labs {

namespace {

using trace::Array;
using trace::Assignment;

constexpr std::size_t cell_width = 10;

/// The columns that a text takes: characters, without combining marks.
std::size_t width(const std::string& text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c & 0xC0) == 0x80) continue;                                                          // inside a character
    if (c == 0xCC || (c == 0xCD && static_cast<unsigned char>(text[i + 1]) < 0xB0)) continue;  // combining
    ++columns;
  }
  return columns;
}

std::string padded(const std::string& text, std::size_t columns) {
  return text + std::string(columns > width(text) ? columns - width(text) : 0, ' ');
}
std::string to_the_right(const std::string& text, std::size_t columns) {
  return std::string(columns > width(text) ? columns - width(text) : 0, ' ') + text;
}

/// A number that fits into a cell between its marks: 4 digits, fewer if a sign and an exponent need room.
std::string cell_number(double number) {
  std::string text = trace::number_text(number, 4);
  for (int digits = 3; width(text) > cell_width - 2 && digits >= 0; --digits) {
    std::ostringstream scientific;
    scientific.precision(digits);
    scientific << std::scientific << number;
    std::string mantissa = scientific.str();
    const auto e = mantissa.find('e');
    text = trace::number_text(std::strtod(mantissa.substr(0, e).c_str(), nullptr), digits + 1) + "e" +
           trace::number_text(std::strtod(mantissa.substr(e + 1).c_str(), nullptr));
  }
  return text;
}

/// Cut to `columns`, with … where something is missing.
std::string cut(const std::string& text, std::size_t columns) {
  if (width(text) <= columns) return text;
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t next = i + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
    if (width(out) + 1 >= columns) break;
    out += text.substr(i, next - i);
    i = next;
  }
  return out + "…";
}

/// A text wrapped at spaces.
std::vector<std::string> wrapped(const std::string& text, std::size_t columns, const std::string& indent) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  std::string line;
  for (std::string word; in >> word;) {
    if (!line.empty() && width(line) + 1 + width(word) > columns) {
      lines.push_back(line);
      line = indent + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
  }
  lines.push_back(line);
  return lines;
}

std::string coordinates(const Shape& shape, std::size_t flat) {
  if (shape.numel() == 1) return "";
  if (shape.rank() == 1) return "[" + std::to_string(flat) + "]";
  return "[" + std::to_string(flat / shape.columns()) + "," + std::to_string(flat % shape.columns()) + "]";
}

/// "dW[0,1] = 0.5·0.2 + … = 0.1234"
std::string with_numbers(const Stepper& s, std::size_t terms) {
  const Assignment& a = s.assignment();
  const Array& result = s.trace().result(s.at());
  const std::string value = trace::number_text(result.numbers[s.element()]);
  const std::string formula = s.trace().numbers_text(s.at(), s.element(), terms);
  return a.target + coordinates(result.shape, s.element()) + " = " +
         (formula.empty() || formula == value ? "" : formula + " = ") + value;
}

std::string place(const Assignment& a) { return a.layer.empty() ? a.label : a.layer + "  " + a.label; }

std::string short_name(const trace::Trace& trace, std::size_t i) {
  const Assignment& a = trace.assignments[i];
  return std::to_string(i + 1) + " " + (a.layer.empty() ? "" : a.layer + ".") + a.target;
}

/// "x ← 1 0.y   W (parameter)": the origin of each symbol.
std::string origins(const trace::Trace& trace, std::size_t i) {
  std::string out;
  for (const auto& [symbol, value] : trace.assignments[i].inputs) {
    const trace::Value& v = trace.values[value];
    out += (out.empty() ? "" : ",  ") + symbol;
    if (v.from)
      out += " ← " + short_name(trace, *v.from);
    else
      out += v.role == trace::Value::Role::Parameter  ? " (parameter)"
             : v.role == trace::Value::Role::Constant ? " (constant)"
                                                      : " (given)";
  }
  return out;
}

std::string feeds(const trace::Trace& trace, std::size_t i) {
  std::string out;
  for (std::size_t user : trace.used_by(i)) out += (out.empty() ? "" : ",  ") + short_name(trace, user);
  return out.empty() ? "nothing more in this step" : out;
}

std::string shapes(const trace::Trace& trace, std::size_t i) {
  const Assignment& a = trace.assignments[i];
  std::string out = a.target + " " + trace.result(i).shape.str();
  for (const auto& [symbol, value] : a.inputs)
    if (symbol != a.target) out += "   " + symbol + " " + trace.values[value].array.shape.str();
  return out;
}

std::string state_of_gradient(const Assignment& a) {
  if (a.gradient == Assignment::Gradient::Fresh) return "fresh gradient";
  if (a.gradient == Assignment::Gradient::Accumulated) return "ADDED to an older gradient";
  return a.by_library ? "" : "intermediate, from its formula";
}

std::string where(const Stepper& s) {
  return "epoch " + std::to_string(s.recorded().epoch) + ", batch " + std::to_string(s.recorded().batch + 1) + " of " +
         std::to_string(s.batches()) + ", loss " + trace::number_text(s.recorded().loss, 5);
}

std::map<std::string, std::set<std::size_t>> read_for(const Stepper& s) {
  const Assignment& a = s.assignment();
  if (!a.element) return {};
  return trace::reads(*a.element, s.trace().symbols(s.at()), s.trace().place(s.at(), s.element()));
}

/// "columns 0–2 of 20 →": the part of a table in sight, where that is not all of it.
std::string part(const char* what, std::size_t from, std::size_t count, std::size_t all, const char* back,
                 const char* on) {
  if (count >= all) return "";
  return (from > 0 ? std::string(back) + " " : "") + what + " " + std::to_string(from) + "–" +
         std::to_string(from + count - 1) + " of " + std::to_string(all) +
         (from + count < all ? std::string(" ") + on : "") + "  ";
}
std::size_t window(std::size_t from, std::size_t count, std::size_t all) {
  return std::min(from, all > count ? all - count : 0);
}

}  // namespace

std::vector<std::string> table(const Array& array, std::size_t rows, std::size_t columns, std::size_t top,
                               std::size_t left, const std::set<std::size_t>& marked, std::size_t chosen) {
  const std::size_t all_rows = array.shape.rows(), all_columns = array.shape.columns();
  top = window(top, rows, all_rows);
  left = window(left, columns, all_columns);
  const std::size_t bottom = std::min(all_rows, top + rows), right = std::min(all_columns, left + columns);
  const std::size_t number_width = std::to_string(all_rows).size();

  std::vector<std::string> lines(1, std::string(number_width + 1, ' '));
  for (std::size_t c = left; c < right; ++c) lines[0] += to_the_right(std::to_string(c) + " ", cell_width);
  for (std::size_t r = top; r < bottom; ++r) {
    std::string line = to_the_right(std::to_string(r), number_width) + " ";
    for (std::size_t c = left; c < right; ++c) {
      const std::size_t flat = r * all_columns + c;
      const std::string number = cell_number(array.numbers[flat]);
      line += flat == chosen          ? to_the_right("[" + number + "]", cell_width)
              : marked.contains(flat) ? to_the_right("*" + number + " ", cell_width)
                                      : to_the_right(number + " ", cell_width);
    }
    lines.push_back(line);
  }
  return lines;
}

std::string describe(const Stepper& s) {
  const trace::Trace& trace = s.trace();
  const Assignment& a = s.assignment();
  std::ostringstream out;
  out << s.at() + 1 << " of " << trace.assignments.size() << ", " << name(a.phase) << ", " << place(a) << ", "
      << where(s) << '\n';
  if (const std::string state = state_of_gradient(a); !state.empty()) out << "  " << state << '\n';
  out << "  formula:  " << trace.formula_text(s.at()) << '\n';
  if (a.element) out << "  element:  " << trace.element_text(s.at()) << '\n';
  if (!a.why.empty()) out << "  why:      " << a.why << '\n';
  out << "  shapes:   " << shapes(trace, s.at()) << '\n'
      << "  numbers:  " << with_numbers(s, 6) << '\n'
      << "  from:     " << origins(trace, s.at()) << '\n'
      << "  feeds:    " << feeds(trace, s.at()) << '\n';
  const Array& result = trace.result(s.at());
  const std::size_t width = result.shape.columns(), rows = 8, columns = 6;
  const std::size_t top = s.element() / width < rows ? 0 : s.element() / width - rows + 1;
  const std::size_t left = s.element() % width < columns ? 0 : s.element() % width - columns + 1;
  out << "  " << a.target << " " << result.shape.str() << ":\n";
  for (const std::string& line : table(result, rows, columns, top, left, {}, s.element()))
    out << "    " << line << '\n';
  if (result.shape.rows() > rows || width > columns) out << "    (a window: element ROW COLUMN moves it)\n";
  return out.str();
}

std::vector<std::string> screen(const Stepper& s, const View& view) {
  const trace::Trace& trace = s.trace();
  const Assignment& a = s.assignment();
  std::vector<std::string> lines;
  const auto styled = [&](const char* code, const std::string& text) {
    return view.colour ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  };
  const auto add = [&](const std::string& text, const char* code = nullptr) {
    const std::string fits = cut(text, view.width);
    lines.push_back(code ? styled(code, fits) : fits);
  };

  const std::string left = s.lesson().name + ": " + where(s);
  std::string phases;
  for (const char* phase : {"forward", "loss", "backward", "update"})
    phases += phase == std::string(name(a.phase)) ? std::string(" [") + phase + "]" : std::string(" ") + phase;
  add(width(left) + width(phases) <= view.width ? padded(left, view.width - width(phases)) + phases : left, "7");
  std::string head = std::to_string(s.at() + 1) + "/" + std::to_string(trace.assignments.size()) + "  " + place(a);
  if (const std::string state = state_of_gradient(a); !state.empty()) head += "   (" + state + ")";
  add(head, "1");
  add("");
  add("  " + trace.formula_text(s.at()), "36");
  if (a.element && !a.indices.empty()) add("  " + trace.element_text(s.at()), "36");
  for (const std::string& line : wrapped(a.why, view.width - 2, ""))
    if (!line.empty()) add("  " + line);
  add("  shapes: " + shapes(trace, s.at()));
  std::size_t terms = 6;  // as many as fit on two lines
  auto numbers = wrapped(with_numbers(s, terms), view.width - 2, "    ");
  while (numbers.size() > 2 && terms > 1) numbers = wrapped(with_numbers(s, --terms), view.width - 2, "    ");
  for (std::size_t i = 0; i < numbers.size() && i < 3; ++i) add("  " + numbers[i], "33");
  add("  from:  " + origins(trace, s.at()));
  add("  feeds: " + feeds(trace, s.at()));
  add("");

  // The result and its inputs, side by side as far as there is room.
  const auto read = read_for(s);
  const std::size_t below = 3,
                    rows = view.height > lines.size() + below + 3 ? view.height - lines.size() - below - 3 : 1;
  std::vector<std::pair<std::string, std::size_t>> shown{{a.target, a.value}};
  const bool updates = trace.reads_its_target(s.at());
  for (const auto& input : a.inputs)
    if (trace.values[input.second].role != trace::Value::Role::Constant) shown.push_back(input);
  const std::size_t focus = std::min(view.focus, shown.size() - 1);
  std::vector<std::string> block;  // names, parts in sight, then the tables
  std::size_t used = 0;
  const auto place_table = [&](std::size_t which) {
    const Array& array = trace.values[shown[which].second].array;
    const std::size_t gutter = std::to_string(array.shape.rows()).size() + 1, wide = array.shape.columns();
    if (used + gutter + cell_width > view.width) return false;
    const std::size_t room = (view.width - used - gutter) / cell_width;
    const std::size_t columns =
        std::max<std::size_t>(1, std::min({wide, room, used == 0 ? std::max<std::size_t>(room / 2, 3) : room}));
    std::set<std::size_t> marked;
    std::size_t chosen = nothing_chosen, look = 0;
    if (which == 0) chosen = look = s.element();
    if (const auto found = read.find(shown[which].first); which > 0 && found != read.end() && !found->second.empty())
      marked = found->second, look = *marked.begin();
    const std::size_t row = look / wide, column = look % wide;
    std::size_t top = row < rows ? 0 : row - rows / 2, left_column = column < columns ? 0 : column - columns + 1;
    if (which > 0 && which == view.focus) top = view.top, left_column = view.left;
    top = window(top, rows, array.shape.rows()), left_column = window(left_column, columns, wide);
    const std::string title = shown[which].first +
                              (updates && which == 0                       ? " new "
                               : updates && shown[which].first == a.target ? " before "
                                                                           : " ") +
                              array.shape.str() + (which == view.focus ? " ◂" : "");
    std::string sight =
        part("columns", left_column, columns, wide, "←", "→") + part("rows", top, rows, array.shape.rows(), "↑", "↓");
    sight.erase(sight.find_last_not_of(' ') + 1);
    const std::size_t block_width = std::max({width(title), width(sight), gutter + columns * cell_width}) + 2;
    if (used > 0 && used + block_width > view.width + 2) return false;
    auto cells = table(array, rows, columns, top, left_column, marked, chosen);
    block[0] = padded(block[0], used) + title;
    block[1] = padded(block[1], used) + sight;
    for (std::size_t i = 0; i < cells.size(); ++i) block[i + 2] = padded(block[i + 2], used) + cells[i];
    used += block_width;
    return true;
  };
  // In their order, from the first on, or from the one that the arrows move if it does not fit then.
  const auto place_from = [&](std::size_t begin) {
    block.assign(rows + 3, "");
    used = 0;
    std::size_t end = begin;
    while (end < shown.size() && place_table(end)) ++end;
    return end;
  };
  std::size_t begin = 0, end = place_from(0);
  if (focus >= end) begin = focus, end = place_from(focus);
  std::string missing;
  for (std::size_t i = 0; i < shown.size(); ++i)
    if (i < begin || i >= end) missing += (missing.empty() ? "" : ", ") + shown[i].first;
  for (std::size_t i = 0; i < block.size(); ++i) {
    std::string line = cut(block[i], view.width);
    if (view.colour && i > 2) {  // colour adds to the marks, and never replaces them
      std::string coloured;
      for (std::size_t k = 0; k < line.size(); ++k) {
        if (line[k] == '[') coloured += "\x1b[7m";
        if (line[k] == '*') coloured += "\x1b[1;33m";
        coloured += line[k];
        if (line[k] == ']' || (line[k] == ' ' && k > 0 && line[k - 1] != ' ')) coloured += "\x1b[0m";
      }
      line = coloured + "\x1b[0m";
    } else if (view.colour && i == 0) {
      line = styled("1", line);
    }
    lines.push_back(line);
  }
  while (lines.size() + 3 < view.height) lines.emplace_back();
  if (lines.size() + 2 < view.height)
    lines.push_back(missing.empty() ? "" : cut("not in sight: " + missing + " (Tab)", view.width));
  lines.push_back(cut(view.message, view.width));
  lines.push_back(
      styled("7", cut("n next  p back  f l b u phase  e epoch  r run  ←↑↓→ cell  Tab table  ? help", view.width)));
  return lines;
}

}  // namespace handgrad::labs
