#include "handgrad/check/report.hpp"

#include <algorithm>
#include <ostream>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"

namespace handgrad {

Verdict GradientReport::verdict() const {
  const auto any = [&](Verdict v) {
    return std::any_of(tensors.begin(), tensors.end(), [v](const TensorReport& t) { return t.verdict == v; });
  };
  if (any(Verdict::Fail)) return Verdict::Fail;
  return tensors.empty() || any(Verdict::Inconclusive) ? Verdict::Inconclusive : Verdict::Pass;
}

const TensorReport* GradientReport::first_failure() const {
  for (const TensorReport& tensor : tensors)
    if (tensor.verdict == Verdict::Fail) return &tensor;
  return nullptr;
}

const TensorReport& GradientReport::operator[](const std::string& name) const {
  for (const TensorReport& tensor : tensors)
    if (tensor.name == name) return tensor;
  throw ValueError("GradientReport: no tensor named '" + name + "'");
}

Diagnosis GradientReport::diagnose() const { return handgrad::diagnose(*this); }

std::ostream& operator<<(std::ostream& out, Verdict verdict) {
  return out << (verdict == Verdict::Pass ? "pass" : verdict == Verdict::Fail ? "FAIL" : "inconclusive");
}

namespace {

std::string index_of(std::size_t flat, const Shape& shape) {
  std::string text;
  for (int dim = static_cast<int>(shape.rank()); dim-- > 0; flat /= shape[dim])
    text = std::to_string(flat % shape[dim]) + (text.empty() ? "" : ", ") + text;
  return "[" + text + "]";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const GradientReport& report) {
  out << "gradients of " << report.subject << ": " << report.verdict() << " (tolerance "
      << formatted("%.0e", report.tolerance) << ")\n";
  std::size_t width = 6;
  for (const TensorReport& t : report.tensors) width = std::max(width, t.name.size() + t.shape.str().size() + 1);
  for (const TensorReport& t : report.tensors) {
    std::string name = t.name + " " + t.shape.str();
    name.resize(width, ' ');
    out << "  " << name << "  " << t.verdict << "  worst error " << formatted("%.1e", t.worst_error())
        << formatted(", %zu of %zu entries checked", t.checked, t.shape.numel());
    if (t.skipped > 0) out << formatted(", %zu skipped at kinks", t.skipped);
    if (t.outside > 0) out << formatted(", %zu at the end of the domain", t.outside);
    if (t.one_sided > 0) out << formatted(", %zu from one side only", t.one_sided);
    if (t.excused > 0) out << formatted(", %zu zero or too small to tell", t.excused);
    if (t.resolution > report.tolerance) out << ", rounding leaves " << formatted("%.0e", t.resolution) << " open";
    out << '\n';
    if (!t.reason.empty()) out << "    " << t.reason << '\n';
    if (t.verdict != Verdict::Fail) continue;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, t.worst.size()); ++i)
      out << "    " << index_of(t.worst[i].index, t.shape)
          << formatted(": backward %.10g, differences %.10g, error %.1e\n", t.worst[i].analytic, t.worst[i].numeric,
                       t.worst[i].error);
  }
  if (!report.note.empty()) out << "  " << report.note << '\n';
  if (report.verdict() == Verdict::Fail) out << report.diagnose();
  return out;
}

}  // namespace handgrad
