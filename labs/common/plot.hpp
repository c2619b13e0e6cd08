#pragma once
#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/figures.hpp"
#include "common/lab.hpp"

namespace handgrad::labs {

/// A plot with one pair of axes; later elements are drawn on top.
///
///     Plot plot("loss", "epoch", "binary cross-entropy");
///     plot.line(epochs, losses, "training").vertical(best, "early stop");
///     draw(lab, "loss", {plot});
///
/// The colours are Okabe and Ito's, distinguishable with any kind of colour vision; series also differ in dashes and
/// point shapes. Non-finite numbers are left out.
class Plot {
 public:
  /// Throws ValueError for an axis without a label.
  Plot(std::string title, std::string x_label, std::string y_label);
  /// An image: no axes, no colour bar, square pixels.
  explicit Plot(std::string title);

  /// Each throws ShapeError if the sizes of x and y (and z) do not match.
  Plot& line(const Numbers& x, const Numbers& y, const std::string& label = "");
  /// A line of steps: each y holds until the next x.
  Plot& steps(const Numbers& x, const Numbers& y, const std::string& label = "");
  Plot& points(const Numbers& x, const Numbers& y, const std::string& label = "");
  /// A few large points on top of everything else.
  Plot& marks(const Numbers& x, const Numbers& y, const std::string& label = "");
  /// A bar for each name, with its height written above.
  Plot& bars(const std::vector<std::string>& names, const Numbers& heights);
  /// A shaded range of x, behind the rest. Ranges with the same label share a legend entry.
  Plot& band(double x_low, double x_high, const std::string& label = "");
  /// A dashed vertical line.
  Plot& vertical(double x, const std::string& label = "");

  enum class Scale {
    Sequential,  ///< dark to bright: amounts
    Probability  ///< from 0 to 1, blue over white to orange
  };
  /// z on an evenly spaced grid, as colour; z has one row per y, one column per x.
  Plot& surface(const Numbers& x, const Numbers& y, const Numbers& z, const std::string& label, Scale scale);
  /// Contour lines of the surface.
  Plot& contours(std::vector<double> levels);

  /// The axes' ranges; by default those of the values.
  Plot& limits(double x_low, double x_high, double y_low, double y_high);
  /// A thick vermillion frame round the axes, to be seen among many.
  Plot& frame();
  Plot& log_x();
  Plot& log_y();

  /// As text: points as `.`, lines as `#`, with the ranges at the axes.
  void print(std::ostream& out, std::size_t width = 64, std::size_t height = 16) const;

 private:
  enum class Style { Line, Points, Marks };
  struct Series {
    Style style;
    std::vector<double> x, y;
    std::string label;
  };
  struct Band {
    double low, high;
    std::string label;
  };
  struct Surface {
    std::vector<double> x, y, z;
    std::string label;
    Scale scale;
  };
  struct Range {
    double low, high;
  };
  Plot& add(Style style, const Numbers& x, const Numbers& y, const std::string& label);
  Range range(bool of_x) const;
  bool has_legend() const;
  /// The rows that the legend takes in a plot `width` pixels wide, at most.
  std::size_t legend_rows(double width) const;
  /// gnuplot's data blocks, with names that begin with `id`, and the commands that draw them.
  std::string gnuplot_data(const std::string& id) const;
  std::string gnuplot_commands(const std::string& id) const;

  std::string title_, x_label_, y_label_;
  std::vector<Series> series_;
  std::vector<std::string> bar_names_;
  std::vector<double> bar_heights_;
  std::vector<Band> bands_, verticals_;
  std::vector<Surface> surface_;  // at most one
  std::vector<double> levels_;
  std::vector<double> limits_;  // empty, or x_low, x_high, y_low, y_high
  bool log_x_ = false, log_y_ = false, bare_ = false, framed_ = false;

  friend void draw(const Lab&, const std::string&, const std::vector<Plot>&, std::size_t);
};

/// Draws plots, `columns` side by side, into OUT/LAB/name.png and .svg, and prints that. Without gnuplot it only says
/// so, once: a picture never makes a lab fail.
void draw(const Lab& lab, const std::string& name, const std::vector<Plot>& plots, std::size_t columns = 1);

}  // namespace handgrad::labs
