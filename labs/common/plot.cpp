#include "common/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <ostream>

#include "handgrad/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::labs {

namespace {

constexpr std::array<const char*, 6> palette{"#1f6feb", "#d1242f", "#2da44e", "#bf8700", "#8250df", "#57606a"};

std::string fixed(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string short_number(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<')
      result += "&lt;";
    else if (c == '&')
      result += "&amp;";
    else
      result += c;
  }
  return result;
}

std::string text_at(double x, double y, const std::string& anchor, const std::string& content, double size = 12) {
  if (content.empty()) return "";
  return "<text x='" + fixed(x) + "' y='" + fixed(y) + "' text-anchor='" + anchor + "' font-size='" + fixed(size) +
         "'>" + escaped(content) + "</text>\n";
}

}  // namespace

Plot::Plot(std::string title, std::string x_label, std::string y_label)
    : title_(std::move(title)), x_label_(std::move(x_label)), y_label_(std::move(y_label)) {}

Plot& Plot::points(const Numbers& x, const Numbers& y, const std::string& label) { return add(x, y, label, false); }
Plot& Plot::line(const Numbers& x, const Numbers& y, const std::string& label) { return add(x, y, label, true); }

Plot& Plot::add(const Numbers& x, const Numbers& y, const std::string& label, bool joined) {
  if (x.values().size() != y.values().size())
    throw ShapeError("plot '" + title_ + "': " + std::to_string(x.values().size()) + " x, but " +
                     std::to_string(y.values().size()) + " y");
  series_.push_back({x.values(), y.values(), label, joined});
  return *this;
}

Plot& Plot::limits(double x_low, double x_high, double y_low, double y_high) {
  limits_ = {x_low, x_high, y_low, y_high};
  return *this;
}

Plot::Range Plot::range(bool of_x) const {
  if (!limits_.empty()) return of_x ? Range{limits_[0], limits_[1]} : Range{limits_[2], limits_[3]};
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const Series& series : series_)
    for (const double value : of_x ? series.x : series.y)
      if (std::isfinite(value)) range = {std::min(range.low, value), std::max(range.high, value)};
  if (!(range.low <= range.high)) return {0, 1};
  const double margin = range.low == range.high ? 0.5 : 0.04 * (range.high - range.low);
  return {range.low - margin, range.high + margin};
}

void Plot::print(std::ostream& out, std::size_t width, std::size_t height) const {
  const Range xs = range(true), ys = range(false);
  std::vector<std::vector<const char*>> cells(height, std::vector<const char*>(width, " "));
  const auto put = [&](double x, double y, const char* mark) {
    const double across = (x - xs.low) / (xs.high - xs.low), up = (y - ys.low) / (ys.high - ys.low);
    if (!(across >= 0 && across <= 1 && up >= 0 && up <= 1)) return;
    const auto column = std::min(width - 1, static_cast<std::size_t>(across * static_cast<double>(width)));
    const auto row = std::min(height - 1, static_cast<std::size_t>((1 - up) * static_cast<double>(height)));
    cells[row][column] = mark;
  };
  for (const Series& series : series_) {
    const char* mark = series.joined ? "#" : ".";
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      put(series.x[i], series.y[i], mark);
      if (!series.joined || i == 0) continue;
      for (std::size_t step = 1; step < width; ++step) {
        const double t = static_cast<double>(step) / static_cast<double>(width);
        put(std::lerp(series.x[i - 1], series.x[i], t), std::lerp(series.y[i - 1], series.y[i], t), mark);
      }
    }
  }
  out << title_ << '\n';
  for (std::size_t row = 0; row < height; ++row) {
    std::string label = row == 0 ? short_number(ys.high) : row + 1 == height ? short_number(ys.low) : "";
    out << std::string(label.size() < 9 ? 9 - label.size() : 0, ' ') << label << " |";
    for (const char* cell : cells[row]) out << cell;
    out << '\n';
  }
  const std::string low = short_number(xs.low), high = short_number(xs.high);
  const std::size_t gap = width > low.size() + high.size() ? width - low.size() - high.size() : 1;
  out << std::string(10, ' ') << '+' << std::string(width, '-') << '\n';
  out << std::string(11, ' ') << low << std::string(gap, ' ') << high << '\n';
}

std::string Plot::svg(double left, double top, double width, double height) const {
  const Range xs = range(true), ys = range(false);
  const double x0 = left + 56, x1 = left + width - 12, y0 = top + height - 40, y1 = top + 28;
  const auto at_x = [&](double x) { return x0 + (x - xs.low) / (xs.high - xs.low) * (x1 - x0); };
  const auto at_y = [&](double y) { return y0 - (y - ys.low) / (ys.high - ys.low) * (y0 - y1); };
  const auto inside = [&](double x, double y) { return x >= xs.low && x <= xs.high && y >= ys.low && y <= ys.high; };

  std::string out = text_at((x0 + x1) / 2, top + 18, "middle", title_, 14);
  out += "<rect x='" + fixed(x0) + "' y='" + fixed(y1) + "' width='" + fixed(x1 - x0) + "' height='" + fixed(y0 - y1) +
         "' fill='none' stroke='#888'/>\n";
  constexpr int ticks = 4;
  for (int i = 0; i <= ticks; ++i) {
    const double x = std::lerp(xs.low, xs.high, i / double(ticks)), y = std::lerp(ys.low, ys.high, i / double(ticks));
    out += text_at(at_x(x), y0 + 15, "middle", short_number(x), 11);
    out += text_at(x0 - 5, at_y(y) + 4, "end", short_number(y), 11);
  }
  out += text_at((x0 + x1) / 2, y0 + 32, "middle", x_label_);
  out += text_at(x0 - 40, y1 - 8, "start", y_label_);

  double legend = y1 + 16;
  for (std::size_t s = 0; s < series_.size(); ++s) {
    const Series& series = series_[s];
    const std::string colour = palette[s % palette.size()];
    std::string path;
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!inside(series.x[i], series.y[i])) continue;
      const std::string x = fixed(at_x(series.x[i])), y = fixed(at_y(series.y[i]));
      if (series.joined)
        path += x + "," + y + " ";
      else
        out += "<circle cx='" + x + "' cy='" + y + "' r='2.5' fill='" + colour + "' fill-opacity='0.6'/>\n";
    }
    if (series.joined)
      out += "<polyline points='" + path + "' fill='none' stroke='" + colour + "' stroke-width='2'/>\n";
    if (series.label.empty()) continue;
    out += "<rect x='" + fixed(x1 - 14) + "' y='" + fixed(legend - 9) + "' width='10' height='10' fill='" + colour +
           "'/>\n";
    out += text_at(x1 - 19, legend, "end", series.label);
    legend += 16;
  }
  return out;
}

void write_svg(const std::string& path, const std::vector<Plot>& plots, std::size_t columns) {
  constexpr double width = 480, height = 320;
  columns = std::max<std::size_t>(1, std::min(columns, plots.size()));
  const std::size_t rows = (plots.size() + columns - 1) / columns;
  const std::string w = fixed(width * static_cast<double>(columns)), h = fixed(height * static_cast<double>(rows));
  std::string out = "<svg xmlns='http://www.w3.org/2000/svg' width='" + w + "' height='" + h + "' viewBox='0 0 " + w +
                    " " + h + "' font-family='sans-serif' fill='#222'>\n<rect width='" + w + "' height='" + h +
                    "' fill='white'/>\n";
  for (std::size_t i = 0; i < plots.size(); ++i)
    out += plots[i].svg(width * static_cast<double>(i % columns), height * static_cast<double>(i / columns), width,
                        height);
  write_file(path, out + "</svg>\n");
}

}  // namespace handgrad::labs
