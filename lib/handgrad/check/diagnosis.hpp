#pragma once
#include <iosfwd>
#include <string>

namespace handgrad {

struct GradientReport;

/// What a gradient check can name. Each cause of the catalogue has a repair; it is named only when the repair makes the
/// gradient pass the check and no other cause's repair does.
enum class Cause {
  None,          // nothing fails
  Inconclusive,  // something fails, and no known mistake explains it
  // Not a formula's fault, and therefore asked first.
  NonFinite,        // NaN or ∞ in what goes in
  NotWritten,       // entries that the backward never writes
  Kink,             // an entry lies on a kink
  ZeroGradient,     // zero everywhere: saturated or dead units
  TooFew,           // too few entries could be compared
  Shape,            // the gradient has another shape than the tensor
  NotRepeatable,    // two forwards of the same x differ
  NotLinear,        // the backward clips or norms δ
  ArgumentChanged,  // the layer writes into x, y or δ
  // The catalogue.
  NotAveraged,        // N times too large
  AveragedTwice,      // divided by the batch in the loss and again in the layer
  Sign,               // −1 times
  Factor,             // a 2 or ½ lost
  UpstreamIgnored,    // computed as if δ were 1
  Transposed,         // the gradient, or a factor in its product
  BiasNotSummed,      // one row of δ, not the sum of all
  BiasAveraged,       // the mean of δ's rows, not their sum
  DerivativeMissing,  // φ′ or the ReLU's mask left out
  WrongVariable,      // φ′ taken at the wrong tensor
  ExtraDerivative,    // φ′ on top of what has it already
  Overwritten,        // = where += belongs
  CacheDestroyed,     // a backward changes what the forward saved
  StaleCache,         // a backward uses what an earlier forward saved
  NotZeroed,          // adds to what zero_grad() had dropped
  Pairing,            // (N) against (N, 1): every prediction against every target
  WeightDecay,        // the penalty's term λ·w missing, or wrong
  DropoutMask,        // the mask or 1/keep missing
  NormScale,          // a norm's γ missing, or there twice
  BranchMissing,      // dx without the δ of a skip connection
  RowsOverwritten,    // = where += belongs, for an index that comes twice
  WrongAxis,          // a norm's mean taken over more, or the other axis
  TermMissing,        // a term of a sum or of a derivative left out
  WrongDerivative,    // σ′ for tanh′, the function for its derivative
  JacobianPart,       // of softmax's Jacobian the diagonal alone, or all but the diagonal
  WeightMissing,      // a weight matrix left out of the chain
  BiasMissing,        // a forward without its bias
  // Of sequences.
  StateGradientDropped,  // ∂h_t/∂h_{t−1} left out: backpropagation through time ends at one step
  LastStepOnly,          // the last step's part alone
  WrongState,            // h_t where h_{t−1} belongs
  GatesSwapped,          // two gates' blocks, or z and 1 − z
  // Of convolutions and pooling.
  KernelNotFlipped,   // a convolution's dx with the kernel the wrong way round
  FactorsSwapped,     // its dW with x and δ exchanged
  StrideIgnored,      // its backward without the stride
  PaddingIgnored,     // or without the padding
  WindowOverwritten,  // = where += belongs, for windows that overlap
  GivenToAll,         // a pooling's δ for more cells than the maximum
  // Of attention and of several heads.
  ScaleMissing,   // attention's 1/√d missing in dQ or dK, or there twice
  RowSumMissing,  // a softmax's derivative without the sum over its row
  MaskIgnored,    // a backward that forgets the forward's mask
  HeadMissing,    // of several heads one alone, for their sum
  Other           // a mistake that an exercise describes itself
};

/// Three lines for whoever made the mistake.
struct Diagnosis {
  Cause cause = Cause::None;
  std::string tensor;    // whose gradient fails first: "layer 0, Linear(2 → 4): weight"
  std::string what;      // is wrong
  std::string evidence;  // with numbers
  std::string where;     // to look
  /// Has a cause been named?
  bool named() const { return cause != Cause::None && cause != Cause::Inconclusive; }
};

/// Walks the gradients in backward order and stops at the first that fails: blame lies between it and the last good
/// one. `GradientReport::diagnose` calls it.
Diagnosis diagnose(const GradientReport& report);

/// "sign", "not averaged", …
std::string to_string(Cause cause);
std::ostream& operator<<(std::ostream& out, Cause cause);
std::ostream& operator<<(std::ostream& out, const Diagnosis& diagnosis);

}  // namespace handgrad
