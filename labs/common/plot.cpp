#include "common/plot.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

extern char** environ;

namespace handgrad::labs {

namespace {

// Okabe and Ito: blue, vermillion, green, orange, purple, sky.
constexpr std::array<const char*, 6> palette{"#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"};
constexpr std::array<int, 6> filled_points{7, 9, 5, 13, 11, 15}, open_points{6, 8, 4, 12, 10, 14};

std::string number(double value, const char* format = "%.9g") {
  if (!std::isfinite(value)) return "NaN";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string quoted(const std::string& text) {  // in gnuplot's single quotes only the quote itself is special
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("''") : c == '\n' ? std::string(" ") : std::string(1, c);
  return result + "'";
}

// The first line is solid, the others are dashed differently.
constexpr std::array<const char*, 4> dashes{"solid", "(14, 4)", "(5, 3)", "(14, 4, 3, 4)"};

std::string titled(const std::string& label) { return label.empty() ? " notitle" : " title " + quoted(label); }

std::string block(const std::string& name, const std::string& rows) {
  return "$" + name + " << EOD\n" + rows + "EOD\n";
}

std::string rows_of(const std::vector<double>& x, const std::vector<double>& y) {
  std::string rows;
  for (std::size_t i = 0; i < x.size(); ++i) rows += number(x[i]) + " " + number(y[i]) + "\n";
  return rows;
}

/// Runs gnuplot on a script. Returns its exit status, 127 if there is no gnuplot; error messages go to `log`.
int run_gnuplot(const std::string& script, const std::string& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::string program = "gnuplot", file = script;
  std::array<char*, 3> arguments{program.data(), file.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return 127;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

std::string content_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

Plot::Plot(std::string title, std::string x_label, std::string y_label)
    : title_(std::move(title)), x_label_(std::move(x_label)), y_label_(std::move(y_label)) {
  if (x_label_.empty() || y_label_.empty()) throw ValueError("plot '" + title_ + "': an axis without a label");
}

Plot::Plot(std::string title) : title_(std::move(title)), bare_(true) {}

Plot& Plot::line(const Numbers& x, const Numbers& y, const std::string& label) { return add(Style::Line, x, y, label); }
Plot& Plot::steps(const Numbers& x, const Numbers& y, const std::string& label) {
  const std::vector<double>&at = x.values(), &heights = y.values();
  if (at.size() != heights.size()) return line(x, y, label);  // which refuses them
  std::vector<double> corners_x, corners_y;
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (i > 0) corners_x.push_back(at[i]), corners_y.push_back(heights[i - 1]);
    corners_x.push_back(at[i]), corners_y.push_back(heights[i]);
  }
  return line(corners_x, corners_y, label);
}
Plot& Plot::points(const Numbers& x, const Numbers& y, const std::string& label) {
  return add(Style::Points, x, y, label);
}
Plot& Plot::marks(const Numbers& x, const Numbers& y, const std::string& label) {
  return add(Style::Marks, x, y, label);
}

Plot& Plot::add(Style style, const Numbers& x, const Numbers& y, const std::string& label) {
  if (x.values().size() != y.values().size())
    throw ShapeError("plot '" + title_ + "': " + std::to_string(x.values().size()) + " x, but " +
                     std::to_string(y.values().size()) + " y");
  series_.push_back({style, x.values(), y.values(), label});
  return *this;
}

Plot& Plot::bars(const std::vector<std::string>& names, const Numbers& heights) {
  if (names.size() != heights.values().size())
    throw ShapeError("plot '" + title_ + "': " + std::to_string(names.size()) + " names, but " +
                     std::to_string(heights.values().size()) + " heights of bars");
  bar_names_ = names;
  bar_heights_ = heights.values();
  return *this;
}

Plot& Plot::band(double x_low, double x_high, const std::string& label) {
  bands_.push_back({x_low, x_high, label});
  return *this;
}

Plot& Plot::vertical(double x, const std::string& label) {
  verticals_.push_back({x, x, label});
  return *this;
}

Plot& Plot::surface(const Numbers& x, const Numbers& y, const Numbers& z, const std::string& label, Scale scale) {
  if (z.values().size() != x.values().size() * y.values().size())
    throw ShapeError("plot '" + title_ + "': a surface over " + std::to_string(x.values().size()) + " x and " +
                     std::to_string(y.values().size()) + " y, but " + std::to_string(z.values().size()) + " z");
  surface_ = {{x.values(), y.values(), z.values(), label, scale}};
  return *this;
}

Plot& Plot::contours(std::vector<double> levels) {
  levels_ = std::move(levels);
  return *this;
}

Plot& Plot::limits(double x_low, double x_high, double y_low, double y_high) {
  limits_ = {x_low, x_high, y_low, y_high};
  return *this;
}

Plot& Plot::frame() {
  framed_ = true;
  return *this;
}

Plot& Plot::log_x() {
  log_x_ = true;
  return *this;
}

Plot& Plot::log_y() {
  log_y_ = true;
  return *this;
}

Plot::Range Plot::range(bool of_x) const {
  if (!limits_.empty()) return of_x ? Range{limits_[0], limits_[1]} : Range{limits_[2], limits_[3]};
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  const auto widen = [&](const std::vector<double>& values) {
    for (const double value : values)
      if (std::isfinite(value)) range = {std::min(range.low, value), std::max(range.high, value)};
  };
  for (const Surface& surface : surface_) widen(of_x ? surface.x : surface.y);
  if (!surface_.empty()) return range;
  for (const Series& series : series_) widen(of_x ? series.x : series.y);
  if (!(range.low <= range.high)) return {0, 1};
  const double margin = range.low == range.high ? 0.5 : 0.04 * (range.high - range.low);
  return {range.low - margin, range.high + margin};
}

void Plot::print(std::ostream& out, std::size_t width, std::size_t height) const {
  const Range xs = range(true), ys = range(false);
  std::vector<std::string> cells(height, std::string(width, ' '));
  const auto put = [&](double x, double y, char mark) {
    const double across = (x - xs.low) / (xs.high - xs.low), up = (y - ys.low) / (ys.high - ys.low);
    if (!(across >= 0 && across <= 1 && up >= 0 && up <= 1)) return;
    const auto column = std::min(width - 1, static_cast<std::size_t>(across * static_cast<double>(width)));
    const auto row = std::min(height - 1, static_cast<std::size_t>((1 - up) * static_cast<double>(height)));
    cells[row][column] = mark;
  };
  for (const Series& series : series_) {
    const bool joined = series.style == Style::Line;
    const char mark = joined ? '#' : series.style == Style::Marks ? 'O' : '.';
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      put(series.x[i], series.y[i], mark);
      if (!joined || i == 0) continue;
      for (std::size_t step = 1; step < width; ++step) {
        const double t = static_cast<double>(step) / static_cast<double>(width);
        put(std::lerp(series.x[i - 1], series.x[i], t), std::lerp(series.y[i - 1], series.y[i], t), mark);
      }
    }
  }
  out << title_ << '\n';
  for (std::size_t row = 0; row < height; ++row) {
    const std::string label = row == 0 ? number(ys.high, "%.4g") : row + 1 == height ? number(ys.low, "%.4g") : "";
    out << std::string(label.size() < 9 ? 9 - label.size() : 0, ' ') << label << " |" << cells[row] << '\n';
  }
  const std::string low = number(xs.low, "%.4g"), high = number(xs.high, "%.4g");
  const std::size_t gap = width > low.size() + high.size() ? width - low.size() - high.size() : 1;
  out << std::string(10, ' ') << '+' << std::string(width, '-') << '\n';
  out << std::string(11, ' ') << low << std::string(gap, ' ') << high << '\n';
}

std::string Plot::gnuplot_data(const std::string& id) const {
  std::string data;
  for (std::size_t s = 0; s < series_.size(); ++s)
    data += block(id + "s" + std::to_string(s), rows_of(series_[s].x, series_[s].y));
  for (const Surface& surface : surface_) {
    std::string rows;
    for (std::size_t i = 0; i < surface.y.size(); ++i, rows += '\n')
      for (std::size_t j = 0; j < surface.x.size(); ++j)
        rows += number(surface.x[j]) + " " + number(surface.y[i]) + " " + number(surface.z[i * surface.x.size() + j]) +
                "\n";
    data += block(id + "z", rows);
    if (levels_.empty()) continue;
    data += "set contour base\nunset surface\nset cntrparam levels discrete ";
    for (std::size_t i = 0; i < levels_.size(); ++i) data += (i > 0 ? ", " : "") + number(levels_[i]);
    data += "\nset table $" + id + "c\nsplot $" + id + "z\nunset table\nunset contour\nset surface\n";
  }
  if (!bar_names_.empty()) {
    std::string rows;
    for (std::size_t i = 0; i < bar_names_.size(); ++i)
      rows += std::to_string(i) + " " + number(bar_heights_[i]) + " \"" + bar_names_[i] + "\"\n";
    data += block(id + "b", rows);
  }
  return data;
}

/// The legend lies above the plot, where it hides nothing; the title above that, as the legend's own title.
bool Plot::has_legend() const {
  const auto labelled = [](const auto& part) { return !part.label.empty(); };
  return std::any_of(series_.begin(), series_.end(), labelled) || std::any_of(bands_.begin(), bands_.end(), labelled) ||
         std::any_of(verticals_.begin(), verticals_.end(), labelled);
}

std::size_t Plot::legend_rows(double width) const {
  std::set<std::string> labels;
  for (const Series& series : series_) labels.insert(series.label);
  for (const std::vector<Band>* parts : {&bands_, &verticals_})
    for (const Band& part : *parts) labels.insert(part.label);
  labels.erase("");
  std::size_t longest = 0;
  for (const std::string& label : labels)
    longest = std::max(longest, static_cast<std::size_t>(std::count_if(label.begin(), label.end(), [](char c) {
                         return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // of UTF-8
                       })));
  // As gnuplot reckons, with letters of 8.8 pixels: a sample of 2, one on each side of the text, and a little more.
  const double columns = std::max(1.0, std::floor(width / (8.8 * (static_cast<double>(longest) + 4) + 8)));
  return static_cast<std::size_t>(std::ceil(static_cast<double>(labels.size()) / columns));
}

std::string Plot::gnuplot_commands(const std::string& id) const {
  const Range xs = range(true), ys = range(false);
  const auto between = [](Range range) { return "[" + number(range.low) + ":" + number(range.high) + "]\n"; };
  std::string set =
      "set grid lc rgb '#C8C8C8' lw 0.6 dt 1\nset key tmargin center horizontal Left reverse samplen 2 spacing "
      "1.25\nset "
      "tics nomirror\n";
  set += "set border lc rgb '#555555'\nset datafile missing 'NaN'\n";
  set += (has_legend() ? "set key title " : "set title ") + quoted(title_) + " font 'sans:Bold,12'\nset xlabel " +
         quoted(x_label_) + "\nset ylabel " + quoted(y_label_) + "\n";
  if (log_x_) set += "set logscale x\nset format x '%g'\n";
  if (log_y_) set += "set logscale y\nset format y '%g'\n";
  // A logarithmic axis has no margin, which could reach below zero.
  if (!bar_names_.empty())
    set += "set xrange [-0.6:" + number(static_cast<double>(bar_names_.size()) - 0.4) + "]\nset yrange [0:*]\n" +
           "set offsets 0, 0, graph 0.12, 0\nset style fill solid 0.85\nset boxwidth 0.6\nunset key\n";
  else {
    if (!log_x_ || !limits_.empty()) set += "set xrange " + between(xs);
    if (!log_y_ || !limits_.empty()) set += "set yrange " + between(ys);
  }

  std::vector<std::string> drawn;
  if (!bar_names_.empty()) {
    drawn.push_back("$" + id + "b using 1:2:xtic(3) with boxes lc rgb '" + palette[0] + "' notitle");
    drawn.push_back("$" + id + "b using 1:2:(sprintf('%g', $2)) with labels offset 0, 0.8 notitle");
  }
  for (const Surface& surface : surface_) {
    set += surface.scale == Scale::Sequential
               ? "set palette defined (0 '#00204D', 0.25 '#414D6B', 0.5 '#7C7B78', 0.75 '#BCAF6F', 1 '#FFEA46')\n"
               : "set palette defined (0 '#7FB8DA', 0.5 '#FFFFFF', 1 '#F5CF87')\nset cbrange [0:1]\n";
    set += "set cblabel " + quoted(surface.label) + " offset 1, 0\nunset grid\n";
    drawn.push_back("$" + id + "z using 1:2:3 with image notitle");
    if (!levels_.empty())
      drawn.push_back("$" + id + "c with lines lc rgb '" +
                      (surface.scale == Scale::Sequential ? "#FFFFFF" : "#000000") + "' lw 0.9 notitle");
  }
  if (framed_)
    set +=
        std::string("set object rectangle from graph 0, graph 0 to graph 1, graph 1 front fs empty border lc rgb '") +
        palette[1] + "' lw 7\n";
  if (bare_) set += "unset tics\nunset border\nunset colorbox\nset size ratio -1\n";
  std::vector<std::string> known;
  const auto first_of = [&](const std::string& label) {
    const bool first = std::find(known.begin(), known.end(), label) == known.end();
    known.push_back(label);
    return first ? label : "";
  };
  for (const Band& band : bands_) {
    set += "set object rectangle from " + number(band.low) + ", graph 0 to " + number(band.high) +
           ", graph 1 fc rgb '#E69F00' fs solid 0.18 noborder behind\n";
    if (const std::string label = first_of(band.label); !label.empty())
      drawn.push_back("NaN with boxes fs solid 0.18 noborder lc rgb '#E69F00'" + titled(label));
  }
  for (const Band& line : verticals_) {
    set += "set arrow from " + number(line.low) + ", graph 0 to " + number(line.low) +
           ", graph 1 nohead dt 2 lw 1.5 lc rgb '#444444'\n";
    if (const std::string label = first_of(line.label); !label.empty())
      drawn.push_back("NaN with lines dt 2 lw 1.5 lc rgb '#444444'" + titled(label));
  }
  std::size_t lines = 0, clouds = 0;
  for (std::size_t s = 0; s < series_.size(); ++s) {
    const Series& series = series_[s];
    const std::string source = "$" + id + "s" + std::to_string(s);
    const std::string colour = std::string(" lc rgb '") + palette[s % palette.size()] + "'";
    if (series.style == Style::Line) {
      if (!surface_.empty()) drawn.push_back(source + " with lines lw 4.5 lc rgb '#FFFFFF' notitle");
      drawn.push_back(source + " with lines lw 2.2 dt " + dashes[lines++ % dashes.size()] + colour +
                      titled(series.label));
    } else {
      const std::size_t shape = clouds++ % filled_points.size();
      const bool mark = series.style == Style::Marks;
      const std::string size = mark ? "2" : series.x.size() > 300 ? "0.7" : "0.9";
      drawn.push_back(source + " with points pt " + std::to_string(filled_points[shape]) + " ps " + size + colour +
                      titled(series.label));
      // An outline keeps points visible on a coloured ground.
      if (mark || !surface_.empty())
        drawn.push_back(source + " with points pt " + std::to_string(open_points[shape]) + " ps " + size +
                        (mark ? " lw 0.8" : " lw 0.4") + " lc rgb '#000000' notitle");
    }
  }
  std::string plot = "plot ";
  for (std::size_t i = 0; i < drawn.size(); ++i) plot += (i > 0 ? ", \\\n     " : "") + drawn[i];
  return set + (drawn.empty() ? "plot NaN notitle" : plot) + "\n";
}

void draw(const Lab& lab, const std::string& name, const std::vector<Plot>& plots, std::size_t columns) {
  static bool no_gnuplot = false;
  if (no_gnuplot || plots.empty()) return;

  columns = std::clamp<std::size_t>(columns, 1, plots.size());
  const std::size_t rows = (plots.size() + columns - 1) / columns;
  const std::string size =
      std::to_string(columns > 1 ? 560 * columns : 760) + "," + std::to_string(columns > 1 ? 430 * rows : 520 * rows);
  std::string script = "set encoding utf8\n", commands, margins;
  if (plots.size() > 1 && !plots.front().bare_) {  // the same for all, so that axes stand below and beside each other
    std::size_t legend = 0;
    for (const Plot& plot : plots) legend = std::max(legend, plot.legend_rows(440));
    margins = "set lmargin 10\nset bmargin 3.5\nset tmargin " + number(2.2 + 1.3 * static_cast<double>(legend)) + "\n";
  }
  for (std::size_t i = 0; i < plots.size(); ++i) {
    const std::string id = "p" + std::to_string(i);
    script += plots[i].gnuplot_data(id);
    commands += "reset\n" + margins + plots[i].gnuplot_commands(id);
  }
  const std::string path = lab.out(name), script_path = path + ".gnuplot", log = path + ".log";
  for (const std::string kind : {"png", "svg"}) {
    script += "set terminal " + (kind == "png" ? std::string("pngcairo") : kind) + " noenhanced size " + size +
              " font 'sans,11' background rgb 'white'\nset output " + quoted(path + ".part." + kind) + "\n";
    if (plots.size() > 1)
      script += "set multiplot layout " + std::to_string(rows) + "," + std::to_string(columns) + "\n";
    script += commands;
    if (plots.size() > 1) script += "unset multiplot\n";
    script += "unset output\n";
  }
  write_file(script_path, script);
  const int status = run_gnuplot(script_path, log);
  const std::string complaint = content_of(log);
  std::filesystem::remove(script_path);
  std::filesystem::remove(log);
  if (status == 127) {
    no_gnuplot = true;
    std::cout << "(gnuplot is not installed: no pictures are drawn. Debian has it as gnuplot-nox.)\n";
    return;
  }
  if (status != 0) {
    std::cout << "(gnuplot could not draw " << path << ":\n" << complaint << ")\n";
    return;
  }
  for (const std::string kind : {".png", ".svg"}) std::filesystem::rename(path + ".part" + kind, path + kind);
  std::cout << "picture: " << path << ".png, .svg\n";
}

}  // namespace handgrad::labs
