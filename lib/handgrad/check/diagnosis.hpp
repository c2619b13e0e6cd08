#pragma once
#include <iosfwd>
#include <string>

namespace handgrad {

struct GradientReport;

/// What a gradient check can name. Each cause of the catalogue has a repair; a cause is named only if its repair, and
/// no other cause's, makes the gradient pass.
enum class Cause {
  None,          // nothing fails
  Inconclusive,  // something fails, and no known mistake explains it
  // No fault of a formula, so checked first.
  NonFinite,        // NaN or ∞ in the inputs
  NotWritten,       // entries the backward never writes
  Kink,             // an entry lies on a kink
  ZeroGradient,     // zero everywhere: saturated or dead units
  TooFew,           // too few entries could be compared
  Shape,            // the gradient's shape is not the tensor's
  NotRepeatable,    // two forwards of the same x differ
  NotLinear,        // the backward clips or normalises δ
  ArgumentChanged,  // the layer writes into x, y or δ
  // The catalogue.
  NotAveraged,        // N times too large
  AveragedTwice,      // divided by the batch in the loss and again in the layer
  Sign,               // the opposite sign
  Factor,             // a 2 or ½ lost
  UpstreamIgnored,    // computed as if δ were 1
  Transposed,         // the gradient, or a factor of its product
  BiasNotSummed,      // one row of δ, not the sum of all
  BiasAveraged,       // the mean of δ's rows, not their sum
  DerivativeMissing,  // φ′ or the ReLU's mask left out
  WrongVariable,      // φ′ taken at the wrong tensor
  ExtraDerivative,    // φ′ applied where δ already contains it
  Overwritten,        // = where += belongs
  CacheDestroyed,     // the backward changes what the forward saved
  StaleCache,         // the backward uses what an earlier forward saved
  NotZeroed,          // adds to a gradient that zero_grad() had cleared
  Pairing,            // (N) against (N, 1): every prediction against every target
  WeightDecay,        // the penalty's term λ·w missing or wrong
  DropoutMask,        // the mask or 1/keep missing
  NormScale,          // a norm's γ missing, or applied twice
  BranchMissing,      // dx without the δ of a skip connection
  RowsOverwritten,    // = where += belongs, for an index that occurs twice
  WrongAxis,          // a norm's mean over the wrong axis, or too many
  TermMissing,        // a term of a sum or of a derivative left out
  WrongDerivative,    // σ′ for tanh′, the function for its derivative
  JacobianPart,       // softmax's Jacobian: only the diagonal, or all but the diagonal
  WeightMissing,      // a weight matrix missing from the chain
  BiasMissing,        // a forward without its bias
  UpdatedTooEarly,    // a parameter changed before the gradients that need the old one
  // Of sequences.
  StateGradientDropped,  // ∂h_t/∂h_{t−1} omitted: backpropagation through time stops after one step
  LastStepOnly,          // only the last step's part
  WrongState,            // h_t where h_{t−1} belongs
  GatesSwapped,          // two gates' blocks, or z and 1 − z
  ResetGate,             // the reset gate r missing in dq_n, or at the wrong place
  // Of convolutions and pooling.
  KernelNotFlipped,   // a convolution's dx with the kernel unflipped
  FactorsSwapped,     // a convolution's dW with x and δ exchanged
  StrideIgnored,      // a backward without the stride
  PaddingIgnored,     // a backward without the padding
  WindowOverwritten,  // = where += belongs, for windows that overlap
  GivenToAll,         // a pooling's δ given to more than the maximum
  // Of attention and of several heads.
  ScaleMissing,   // attention's 1/√d missing in dQ or dK, or applied twice
  RowSumMissing,  // softmax's derivative without the sum over its row
  MaskIgnored,    // a backward that ignores the forward's mask
  HeadMissing,    // one head instead of the sum over all
  Other           // a mistake an exercise describes itself
};

/// What to tell the person who made the mistake.
struct Diagnosis {
  Cause cause = Cause::None;
  std::string tensor;    // whose gradient fails first: "layer 0, Linear(2 → 4): weight"
  std::string what;      // what is wrong
  std::string evidence;  // with numbers
  std::string where;     // where to look
  /// Has a cause been named?
  bool named() const { return cause != Cause::None && cause != Cause::Inconclusive; }
};

/// Walks the gradients in backward order and stops at the first that fails: the fault lies between it and the last good
/// one. Called by `GradientReport::diagnose`.
Diagnosis diagnose(const GradientReport& report);

/// "sign", "not averaged", …
std::string to_string(Cause cause);
std::ostream& operator<<(std::ostream& out, Cause cause);
std::ostream& operator<<(std::ostream& out, const Diagnosis& diagnosis);

}  // namespace handgrad
