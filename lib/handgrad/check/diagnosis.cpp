#include "handgrad/check/diagnosis.hpp"

#include <ostream>

#include "handgrad/check/failure.hpp"

namespace handgrad {

using detail::finite;
using detail::zero;

namespace {

Diagnosis inconclusive(const GradientReport& report) {
  for (const GradientReport& part : report.parts)  // the nearest to the fault
    for (const TensorReport& t : part.tensors)
      if (t.found.named()) return inconclusive(part);
  for (const TensorReport& t : report.tensors) {
    if (t.verdict != Verdict::Inconclusive) continue;
    if (t.found.named()) {
      Diagnosis found = t.found;
      found.tensor = report.subject + ": " + found.tensor;
      return found;
    }
    const bool kinks = t.skipped > t.checked;
    const Cause cause = kinks ? Cause::Kink : zero(t.analytic.to_vector()) ? Cause::ZeroGradient : Cause::TooFew;
    return {cause, report.subject + ": " + t.name, t.reason,
            formatted("%zu entries compared, %zu skipped at kinks, %zu at the end of the domain, %zu zero or too small",
                      t.checked, t.skipped, t.outside, t.excused),
            "check at another x"};
  }
  return {};
}

/// The first part, in forward order, whose output is not finite.
const GradientReport* first_not_finite(const GradientReport& report) {
  for (std::size_t i = report.parts.size(); i-- > 0;) {
    const GradientReport& part = report.parts[i];
    if (!part.tensors.empty() && part.tensors[0].step.y.defined() && !finite(part.tensors[0].step.y)) return &part;
  }
  return nullptr;
}

}  // namespace

Diagnosis diagnose(const GradientReport& report) {
  if (report.verdict() == Verdict::Inconclusive) return inconclusive(report);
  if (report.verdict() == Verdict::Pass) return {};
  if (const GradientReport* part = first_not_finite(report)) return diagnose(*part);
  for (const GradientReport& part : report.parts)
    if (part.verdict() == Verdict::Fail) return diagnose(part);
  const TensorReport& tensor = *report.first_failure();
  const std::optional<Diagnosis> first = detail::not_a_formula(report, tensor);
  return first ? *first : detail::from_catalogue(report, tensor);
}

std::string to_string(Cause cause) {
  switch (cause) {
    case Cause::None:
      return "nothing";
    case Cause::Inconclusive:
      return "inconclusive";
    case Cause::NonFinite:
      return "a value that is not finite";
    case Cause::NotWritten:
      return "entries never written";
    case Cause::Kink:
      return "a kink";
    case Cause::ZeroGradient:
      return "zero everywhere";
    case Cause::TooFew:
      return "too few entries";
    case Cause::Shape:
      return "wrong shape";
    case Cause::NotRepeatable:
      return "two forwards differ";
    case Cause::NotLinear:
      return "not linear in δ";
    case Cause::ArgumentChanged:
      return "an argument overwritten";
    case Cause::NotAveraged:
      return "not averaged";
    case Cause::AveragedTwice:
      return "averaged twice";
    case Cause::Sign:
      return "wrong sign";
    case Cause::Factor:
      return "a factor 2";
    case Cause::UpstreamIgnored:
      return "δ ignored";
    case Cause::Transposed:
      return "transposed";
    case Cause::BiasNotSummed:
      return "not summed over the batch";
    case Cause::BiasAveraged:
      return "averaged instead of summed";
    case Cause::DerivativeMissing:
      return "activation's derivative missing";
    case Cause::WrongVariable:
      return "derivative of the wrong variable";
    case Cause::ExtraDerivative:
      return "a derivative too much";
    case Cause::Overwritten:
      return "overwritten instead of accumulated";
    case Cause::CacheDestroyed:
      return "the cache destroyed";
    case Cause::StaleCache:
      return "the cache of an earlier forward";
    case Cause::NotZeroed:
      return "never zeroed";
    case Cause::Pairing:
      return "every prediction against every target";
    case Cause::WeightDecay:
      return "weight decay missing";
    case Cause::DropoutMask:
      return "dropout mask missing";
    case Cause::NormScale:
      return "a norm's scale missing, or twice";
    case Cause::BranchMissing:
      return "the skip connection's δ missing";
    case Cause::RowsOverwritten:
      return "rows overwritten instead of added to";
    case Cause::WrongAxis:
      return "over the wrong axis";
    case Cause::TermMissing:
      return "a term missing";
    case Cause::WrongDerivative:
      return "the wrong derivative";
    case Cause::JacobianPart:
      return "a part of the Jacobian missing";
    case Cause::WeightMissing:
      return "a weight left out";
    case Cause::BiasMissing:
      return "the bias missing";
    case Cause::UpdatedTooEarly:
      return "updated too early";
    case Cause::StateGradientDropped:
      return "cut between two steps";
    case Cause::LastStepOnly:
      return "the last step only";
    case Cause::WrongState:
      return "the state of the wrong step";
    case Cause::GatesSwapped:
      return "gates swapped";
    case Cause::ResetGate:
      return "reset gate forgotten";
    case Cause::KernelNotFlipped:
      return "kernel the wrong way round";
    case Cause::FactorsSwapped:
      return "x and δ exchanged";
    case Cause::StrideIgnored:
      return "stride forgotten";
    case Cause::PaddingIgnored:
      return "padding forgotten";
    case Cause::WindowOverwritten:
      return "windows overwritten instead of added to";
    case Cause::GivenToAll:
      return "given to more cells than the maximum";
    case Cause::ScaleMissing:
      return "the factor 1/√d";
    case Cause::RowSumMissing:
      return "the softmax's sum over the row missing";
    case Cause::MaskIgnored:
      return "the mask forgotten";
    case Cause::HeadMissing:
      return "heads not added up";
    case Cause::Other:
      break;
  }
  return "another mistake";
}

std::ostream& operator<<(std::ostream& out, Cause cause) { return out << to_string(cause); }

std::ostream& operator<<(std::ostream& out, const Diagnosis& diagnosis) {
  if (diagnosis.cause == Cause::None) return out << "  Nothing fails.\n";
  return out << "  What is wrong: " << diagnosis.what << " (" << diagnosis.tensor << ")\n"
             << "  Evidence:      " << diagnosis.evidence << '\n'
             << "  Where to look: " << diagnosis.where << '\n';
}

}  // namespace handgrad
