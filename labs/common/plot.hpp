#pragma once
#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/figures.hpp"

namespace handgrad::labs {

/// One picture: points and lines over common axes, for a file (SVG) and for the terminal.
class Plot {
 public:
  explicit Plot(std::string title, std::string x_label = "", std::string y_label = "");

  /// Throws ShapeError when there are not as many x as y.
  Plot& points(const Numbers& x, const Numbers& y, const std::string& label = "");
  Plot& line(const Numbers& x, const Numbers& y, const std::string& label = "");
  /// The axes' range; without it, that of the values.
  Plot& limits(double x_low, double x_high, double y_low, double y_high);

  /// In characters: points as `.`, lines as `#`, with the range written at the axes.
  void print(std::ostream& out, std::size_t width = 64, std::size_t height = 16) const;

 private:
  struct Series {
    std::vector<double> x, y;
    std::string label;
    bool joined;
  };
  struct Range {
    double low, high;
  };
  Plot& add(const Numbers& x, const Numbers& y, const std::string& label, bool joined);
  Range range(bool of_x) const;
  std::string svg(double left, double top, double width, double height) const;

  std::string title_, x_label_, y_label_;
  std::vector<Series> series_;
  std::vector<double> limits_;  // empty, or x_low, x_high, y_low, y_high

  friend void write_svg(const std::string&, const std::vector<Plot>&, std::size_t);
};

/// Writes plots into one SVG file, `columns` beside each other.
void write_svg(const std::string& path, const std::vector<Plot>& plots, std::size_t columns = 1);

}  // namespace handgrad::labs
