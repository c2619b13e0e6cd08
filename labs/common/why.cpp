#include "common/why.hpp"

#include <vector>

namespace handgrad::labs {

namespace {

using trace::Assignment;
using trace::Phase;

/// The sentence for a target of a layer, loss or optimizer whose label begins like this; "" fits any.
struct Sentence {
  Phase phase;
  const char *label, *target, *text;
};

constexpr Phase forward = Phase::Forward, loss = Phase::Loss, backward = Phase::Backward, update = Phase::Update;

const std::vector<Sentence> sentences{
    {forward, "Linear", "y", "Neuron o weighs all inputs of example n with its own row of W, and adds its bias."},
    {backward, "Linear", "dW", "Wₒᵢ is in yₙₒ of every example n, with the factor xₙᵢ: so each example adds δₙₒ·xₙᵢ."},
    {backward, "Linear", "db", "bₒ is in yₙₒ of every example n, with the factor 1: so each example adds its δₙₒ."},
    {backward, "Linear", "dx",
     "xₙᵢ is in every yₙₒ of its example, with the factor Wₒᵢ: so all neurons send their δ back over their weight. For "
     "the layer before, this is δ."},

    {forward, "Tanh", "y", "It bends: without a bend between them, two linear layers are one linear layer."},
    {backward, "Tanh", "dz", "tanh′(z) = 1 − tanh²(z), and tanh(z) is y, which the forward has left here."},
    {forward, "Sigmoid", "y", "Any number becomes one between 0 and 1, which can be read as a probability."},
    {backward, "Sigmoid", "dz",
     "σ′(z) = σ(z)·(1 − σ(z)), and σ(z) is y: at most ¼, and nearly 0 where y is near 0 or 1."},
    {forward, "ReLU", "y", "What is below 0 is cut off: a kink, the simplest bend there is."},
    {backward, "ReLU", "dz", "Where z was above 0, y moves as z does: δ goes through. Elsewhere y does not move: 0."},
    {forward, "LeakyReLU", "y",
     "Below 0 the line goes on with the small slope a, so that no neuron falls silent for good."},
    {backward, "LeakyReLU", "dz", "δ times the slope of the piece on which z lies: 1 or a."},
    {forward, "ELU", "y", "Above 0 a line, below 0 an exponential that levels off at −α."},
    {backward, "ELU", "dz", "δ times the slope: 1 above 0, and (α·eᶻ − α)′ = α·eᶻ below."},
    {forward, "GELU", "Φ", "The probability that a standard normal number is below z."},
    {forward, "GELU", "t", "A tanh that lies close to 2Φ − 1, without an error function."},
    {forward, "GELU", "y", "z, taken over with the probability Φ: a ReLU with a soft corner."},
    {backward, "GELU", "φ", "The bell curve, Φ′."},
    {backward, "GELU", "dz", "The product rule: z·Φ(z) changes by Φ, since z does, and by z·φ, since Φ does."},
    {forward, "SiLU", "s", "The share of z that comes through."},
    {forward, "SiLU", "y", "z, taken over with the share σ(z)."},
    {backward, "SiLU", "dz", "The product rule on z·σ(z): σ + z·σ·(1 − σ), times δ."},
    {forward, "Softplus", "y", "A ReLU with a round corner; where it is a line to all digits, it is computed as one."},
    {backward, "Softplus", "dz", "The slope of log(1 + eᶻ) is σ(z)."},
    {forward, "Hardtanh", "y", "What lies outside [low, high] is cut off: a tanh of three straight pieces."},
    {backward, "Hardtanh", "dz", "On the middle piece y moves as z does; on the level ones it does not move."},
    {forward, "Hardsigmoid", "y", "A sigmoid of three straight pieces, without an exponential."},
    {backward, "Hardsigmoid", "dz", "The middle piece rises by 1 over 6; the level ones let nothing through."},
    {forward, "Hardswish", "y", "z, taken over with a share that grows from 0 at −3 to 1 at 3."},
    {backward, "Hardswish", "dz", "The product rule: the share itself, and z times its slope of 1/6 while it grows."},
    {forward, "LogSigmoid", "y",
     "The logarithm of the probability that z stands for, with no exponential that overflows."},
    {backward, "LogSigmoid", "dz", "The slope of log σ is σ′/σ = 1 − σ(z), which is σ(−z)."},
    {forward, "Softsign", "y", "It bends as tanh does, and comes near ±1 much more slowly."},
    {backward, "Softsign", "dz", "The slope of z/(1 + |z|) by the quotient rule: never 0, so a large z can come back."},
    {forward, "Mish", "t", "The share of z that comes through: tanh of the softplus of z."},
    {forward, "Mish", "y", "z, taken over with the share t."},
    {backward, "Mish", "dz", "The product rule on z·t, where t moves by tanh′ = 1 − t² times softplus′ = σ(z)."},
    {forward, "PReLU", "y", "Below 0 the line goes on with a slope a that is learned."},
    {backward, "PReLU", "da", "a is in y of every element below 0, with the factor z: so each of them adds δ·z."},
    {backward, "PReLU", "dz", "δ times the slope of the piece on which z lies: 1 or a."},
    {forward, "Threshold", "y", "A step: 1 above 0, else 0."},
    {backward, "Threshold", "dz",
     "A step is level wherever it has a slope: nothing goes back, and nothing before it learns."},
    {forward, "Identity", "y", "What comes in goes out."},
    {backward, "Identity", "dz", "y moves just as z does."},

    {forward, "Softmax", "m",
     "The row's largest number is taken off first: the quotient stays, and no exponential overflows."},
    {forward, "Softmax", "e", "Exponentials make all numbers positive and keep their order."},
    {forward, "Softmax", "y", "Divided by their sum they add up to 1: the row's probabilities."},
    {backward, "Softmax", "dz",
     "zⱼ raises yⱼ and, through the common sum, lowers all y of its row: δⱼ is measured against the mean of δ, weighed "
     "by y."},
    {forward, "LogSoftmax", "m", "The row's largest number is taken off first, so that no exponential overflows."},
    {forward, "LogSoftmax", "s", "The logarithm of the sum by which softmax divides."},
    {forward, "LogSoftmax", "y", "The logarithm of a quotient is a difference: nothing is divided."},
    {backward, "LogSoftmax", "dz",
     "zⱼ is in yⱼ with the factor 1, and in s of its whole row with the factor softmaxⱼ = exp(yⱼ)."},

    {forward, "BatchNorm", "µ", "The mean of a feature over the examples of the batch."},
    {forward, "BatchNorm", "v", "How far the examples lie from it, squared, on average."},
    {forward, "BatchNorm", "s", "One over the spread; ε keeps it finite where all examples are alike."},
    {forward, "BatchNorm", "x̂", "Each feature with mean 0 and spread 1 over the batch."},
    {forward, "BatchNorm", "y",
     "γ and β let the layer have any spread and mean that it needs, learnt instead of inherited."},
    {backward, "BatchNorm", "dx",
     "xₙ moves its own x̂ₙ, and with mean and spread those of all: what δ has in common, and what goes along x̂, is "
     "taken off."},
    {forward, "LayerNorm", "µ", "The mean of an example over its features."},
    {forward, "LayerNorm", "v", "How far its features lie from it, squared, on average."},
    {forward, "LayerNorm", "s", "One over the spread; ε keeps it finite where all features are alike."},
    {forward, "LayerNorm", "x̂", "Each example with mean 0 and spread 1 over its features."},
    {forward, "LayerNorm", "y", "γ and β let each feature have the spread and mean that it needs."},
    {backward, "LayerNorm", "g", "∂L/∂x̂: what comes back to the normalized number."},
    {backward, "LayerNorm", "dx",
     "A feature moves its own x̂, and with mean and spread those of its whole example: what g has in common, and what "
     "goes along "
     "x̂, is taken off."},
    {forward, "GroupNorm", "µ", "The mean of a group of channels of one example."},
    {forward, "GroupNorm", "v", "How far the group's elements lie from it, squared, on average."},
    {forward, "GroupNorm", "s", "One over the spread; ε keeps it finite where all elements are alike."},
    {forward, "GroupNorm", "x̂", "Each group with mean 0 and spread 1; no example has looked at another."},
    {forward, "GroupNorm", "y", "γ and β let each channel have the spread and mean that it needs."},
    {backward, "GroupNorm", "g", "∂L/∂x̂: what comes back to the normalized number."},
    {backward, "GroupNorm", "dx",
     "An element moves its own x̂, and with mean and spread those of its whole group: what g has in common, and what "
     "goes "
     "along x̂, is taken off."},
    {forward, "RMSNorm", "r", "One over the root mean square of the row; ε keeps it finite where all are 0."},
    {forward, "RMSNorm", "x̂", "Each row with mean square 1; its mean stays what it is, scaled."},
    {forward, "RMSNorm", "y", "γ lets each feature have the size that it needs."},
    {backward, "RMSNorm", "g", "∂L/∂x̂: what comes back to the normalized number."},
    {backward, "RMSNorm", "dx",
     "A feature moves its own x̂, and with the root mean square those of its whole row: what goes along x̂ is taken "
     "off."},
    {backward, "", "dγ", "γ is in y of every example, with the factor x̂: so each adds δ·x̂."},
    {backward, "", "dβ", "β is in y of every example, with the factor 1: so each adds its δ."},
    {forward, "Conv", "y",
     "The same small weights at every place: each number of y is a sum over the window of x that lies under them."},
    {backward, "Conv", "dW",
     "A weight is used at every place, each time with another number of x: so every place adds its δ times that "
     "number."},
    {backward, "Conv", "db",
     "A channel's bias is in each of its places, with the factor 1: so each of them adds its δ."},
    {backward, "Conv", "dx",
     "A number of x lies in several windows, each time under another weight: each of them sends its δ back over it."},
    {forward, "Conv", "X̂",
     "Each window of x becomes a row, so that the sums over windows are one product of matrices."},
    {forward, "Conv", "Ŵ", "Each filter becomes a row, its numbers in the order in which a window has them."},
    {forward, "Conv", "Ŷ", "Each number of x gives a whole window of numbers, in the proportions of the filter."},
    {backward, "Conv", "dŴ",
     "A weight is used at every place, each time with another number of x: so every place adds its δ times that "
     "number."},
    {backward, "Conv", "dX̂", "A number of a window is in every output channel, with that channel's weight as factor."},
    {backward, "Conv", "D", "The window of δ that each number of x had given its numbers to."},
    {forward, "MaxPool", "X̂", "Each window of x becomes a row."},
    {forward, "AvgPool", "X̂", "Each window of x becomes a row."},
    {forward, "AdaptiveAvgPool", "X̂", "Each window of x becomes a row."},
    {forward, "MaxPool", "y", "Of each window the largest number stays, wherever in it it was."},
    {backward, "MaxPool", "dx",
     "Only the largest number of a window moves y; where windows overlap, one number can be that of several: δ adds "
     "up."},
    {forward, "AvgPool", "y", "Of each window the mean."},
    {backward, "AvgPool", "dx",
     "Each of the D numbers of a window moves its mean by 1/D; what several windows send adds up."},
    {forward, "AdaptiveAvgPool", "y", "Means, over windows of such sizes that so many come out."},
    {backward, "AdaptiveAvgPool", "dx",
     "Each of the D numbers of a window moves its mean by 1/D; what several windows send adds up."},

    {forward, "RNN", "h", "What comes in and what was kept, weighed, added and bent: the new state."},
    {forward, "LSTM", "i", "How much of what is offered is let in, between 0 and 1."},
    {forward, "LSTM", "f", "How much of the old cell is kept, between 0 and 1."},
    {forward, "LSTM", "g", "What is offered to the cell."},
    {forward, "LSTM", "o", "How much of the cell is shown."},
    {forward, "LSTM", "c", "The cell changes by adding, so that what goes back to it is only multiplied by f."},
    {forward, "LSTM", "h", "What the cell shows."},
    {forward, "GRU", "r", "How much of the old state the new one looks at."},
    {forward, "GRU", "z", "How much of the old state is kept."},
    {forward, "GRU", "q", "What the old state says to the new one."},
    {forward, "GRU", "n", "The state that is offered."},
    {forward, "GRU", "h", "A mixture of what is offered and what was, by z."},
    {forward, "RNN", "y", "The states, step by step."},
    {forward, "LSTM", "y", "The states, step by step."},
    {forward, "GRU", "y", "The states, step by step."},
    {backward, "RNN", "dh",
     "hₜ goes two ways to L: out, where δ comes from, and into the next step. Two ways, two gradients, added."},
    {backward, "LSTM", "dh",
     "hₜ goes two ways to L: out, where δ comes from, and into the next step's gates. The gradients add."},
    {backward, "GRU", "dh",
     "hₜ goes out, into the next step's gates, and past them into its state: three ways, added."},
    {backward, "RNN", "da", "Through the bend: δ times the slope, which the state itself gives."},
    {backward, "LSTM", "dc", "cₜ goes into cₜ₊₁, with the factor f, and through tanh into hₜ."},
    {backward, "LSTM", "di", "i stands before g in the cell; times its own slope, i(1 − i)."},
    {backward, "LSTM", "df", "f stands before the old cell; times its own slope, f(1 − f)."},
    {backward, "LSTM", "dg", "g stands before i in the cell; times its own slope, 1 − g²."},
    {backward, "LSTM", "do", "o stands before tanh(c) in what is shown; times its own slope, o(1 − o)."},
    {backward, "GRU", "dn", "n has the share 1 − z in the state; times its own slope, 1 − n²."},
    {backward, "GRU", "dz", "z moves the state from n to what was before; times its own slope, z(1 − z)."},
    {backward, "GRU", "dr", "r stands before q inside of n; times its own slope, r(1 − r)."},
    {backward, "", "dWh", "The same weights in every step: each adds what its own state before makes of it."},
    {backward, "", "dWx", "The same weights in every step: each adds what its own x makes of it."},
    {backward, "", "dbh", "The same biases in every step, with the factor 1: the steps' gradients add up."},
    {backward, "", "dbx", "The same biases in every step, with the factor 1: the steps' gradients add up."},
    {backward, "RNN", "dx", "xₜ is in the sum of its step with the factor Wx; for the layer before, this is δ."},
    {backward, "LSTM", "dx", "xₜ is in all four sums of its step; for the layer before, this is δ."},
    {backward, "GRU", "dx", "xₜ is in all three sums of its step; for the layer before, this is δ."},

    {forward, "Embedding", "y", "A number is looked up as a row of a table."},
    {backward, "Embedding", "dE",
     "A row is in y as often as its number came, each time with the factor 1: so each time its δ is added to it."},
    {forward, "PositionalEncoding", "y",
     "To each place a pattern of its own is added, for the layers behind see no order."},
    {backward, "PositionalEncoding", "dx", "y moves just as x does: the pattern is a constant."},
    {forward, "MultiheadAttention", "Q", "What each place asks for."},
    {forward, "MultiheadAttention", "K", "What each place answers to."},
    {forward, "MultiheadAttention", "V", "What each place has to say."},
    {forward, "MultiheadAttention", "S",
     "How well question t fits to answer s; τ keeps the sum of many products small."},
    {forward, "MultiheadAttention", "m",
     "The row's largest number is taken off first, so that no exponential overflows."},
    {forward, "MultiheadAttention", "e", "Exponentials make all numbers positive and keep their order."},
    {forward, "MultiheadAttention", "P",
     "How much of its attention each place gives to each other: a row adds up to 1."},
    {forward, "MultiheadAttention", "O", "The mixture of what the places have to say, by attention."},
    {forward, "MultiheadAttention", "y", "The mixture, through a linear layer."},
    {backward, "MultiheadAttention", "dO",
     "Back through the linear layer: over each weight that the mixture went out by."},
    {backward, "MultiheadAttention", "dV", "V[s] is in every O[t] with the factor P[t,s]: so each t adds its share."},
    {backward, "MultiheadAttention", "dP", "P[t,s] has V[s] as its factor in O[t]."},
    {backward, "MultiheadAttention", "D", "All P of a row share one sum below the line: what they have in common."},
    {backward, "MultiheadAttention", "dS",
     "A score raises its own P and lowers the others of its row: dP is measured against D."},
    {backward, "MultiheadAttention", "dQ", "Q[t] is in every score of its row, with the factor τ·K[s]."},
    {backward, "MultiheadAttention", "dK", "K[s] is in every score of its column, with the factor τ·Q[t]."},
    {backward, "MultiheadAttention", "dW", "Q, K and V are linear in x: each place adds its gradients times its x."},
    {backward, "MultiheadAttention", "db", "The biases are in every place with the factor 1: the places add up."},
    {backward, "MultiheadAttention", "dx", "x is used three times, for Q, K and V: three gradients, added."},

    {forward, "Neuron", "y", "The neuron weighs all inputs of example n, and adds its bias."},
    {backward, "Neuron", "dw", "wᵢ is in every yₙ with the factor xₙᵢ: so each example adds δₙ·xₙᵢ."},
    {backward, "Neuron", "db", "b is in every yₙ with the factor 1: so each example adds its δₙ."},
    {backward, "Neuron", "dx", "xₙᵢ is in yₙ with the factor wᵢ."},
    {forward, "Flatten", "y", "The same numbers in another shape."},
    {backward, "Flatten", "dx", "The same numbers, back in the shape in which they came."},
    {forward, "Unflatten", "y", "The same numbers in another shape."},
    {backward, "Unflatten", "dx", "The same numbers, back in the shape in which they came."},
    {forward, "Residual", "y", "What comes in goes past the layers, and what they make of it is added."},
    {backward, "Residual", "dx", "x goes two ways to y, past the layers and through them: two gradients, added."},
    {forward, "Concat", "y", "What the branches give, side by side."},
    {backward, "Concat", "dx", "x goes into every branch: what they send back adds up."},
    {forward, "Split", "y", "Each branch has its own part of x; what they give stands side by side."},
    {backward, "Split", "dx", "Each branch sends back for its own part."},
    {forward, "TransformerEncoderLayer", "h", "What attention gives is added to what came in."},
    {forward, "TransformerEncoderLayer", "y",
     "What the layers give, added to what went into them, or normalized after it."},
    {backward, "TransformerEncoderLayer", "dh",
     "h goes two ways, past the layers and through them: two gradients, added."},
    {backward, "TransformerEncoderLayer", "dx",
     "x goes two ways, past attention and through it: two gradients, added."},

    {forward, "Dropout", "y",
     "The mask m silences some numbers at random; the others grow by 1/(1 − p), so that their mean stays."},
    {backward, "Dropout", "dx", "What was silenced has no part in the loss; the others had the factor 1/(1 − p)."},

    {loss, "MSELoss", "ℓ", "The distance to the target, squared: the sign goes, large errors weigh more."},
    {backward, "MSELoss", "dp", "The slope of (p − t)² is 2·(p − t); the mean divides by N, here and nowhere else."},
    {loss, "L1Loss", "ℓ", "The distance to the target."},
    {backward, "L1Loss", "dp", "The slope of |p − t| is 1 on one side and −1 on the other, however far."},
    {loss, "HuberLoss", "d", "How far the prediction is from the target."},
    {loss, "HuberLoss", "ℓ", "A parabola for small errors, a line for large ones: an outlier does not rule the fit."},
    {backward, "HuberLoss", "dp", "The error itself while it is small; beyond c it pulls no harder than c."},
    {loss, "SmoothL1Loss", "d", "How far the prediction is from the target."},
    {loss, "SmoothL1Loss", "ℓ", "The distance, with its kink at 0 rounded off by a parabola."},
    {backward, "SmoothL1Loss", "dp", "The slope of the distance, ±1, and on the parabola d/β."},
    {loss, "KLDivLoss", "q", "The probability whose logarithm the target is."},
    {loss, "KLDivLoss", "ℓ", "How much more a message costs when it is coded for q in the place of t."},
    {backward, "KLDivLoss", "dp",
     "p, the logarithm of q, stands in ℓ with the factor −t; the target's own part is constant."},
    {loss, "BCEWithLogitsLoss", "p", "The probability that the logit z stands for."},
    {loss, "BCEWithLogitsLoss", "s", "log(1 + e⁻ᶻ) = −log p, written so that no exponential overflows."},
    {loss, "BCEWithLogitsLoss", "ℓ",
     "−log of the probability that was given to what is true: large when it was sure and wrong."},
    {backward, "BCEWithLogitsLoss", "dz",
     "∂ℓ/∂p = (p − t)/(p(1 − p)) and ∂p/∂z = p(1 − p): the product is p − t, and nothing is divided by what may be 0."},
    {loss, "BCELoss", "c", "p is kept off 0 and 1, where the logarithm ends."},
    {loss, "BCELoss", "ℓ", "−log of the probability that was given to what is true."},
    {backward, "BCELoss", "dp",
     "The slope of −log p is −1/p, that of −log(1 − p) is 1/(1 − p); the mean divides by N."},
    {loss, "CrossEntropyLoss", "m", "The row's largest logit is taken off first, so that no exponential overflows."},
    {loss, "CrossEntropyLoss", "s", "The logarithm of the sum by which softmax divides."},
    {loss, "CrossEntropyLoss", "p", "The probabilities that the logits stand for."},
    {loss, "CrossEntropyLoss", "N", "The weights of the classes that are there: the mean is a weighed one."},
    {loss, "NLLLoss", "N", "The rows that count, each with the weight of its class."},
    {loss, "", "ℓ", "−log of the probability that was given to the right class."},
    {backward, "CrossEntropyLoss", "dz",
     "zⱼ lowers ℓ where j is the right class, and raises the common sum with the factor pⱼ: together pⱼ − tⱼ. A row "
     "adds up to 0."},
    {backward, "NLLLoss", "dp", "Only the right class's number is in the loss, with the factor −1."},
    {backward, "", "dp", "Only what is in the loss gets a gradient: the slope of −log p is −1/p, that of −p is −1."},
    {loss, "L2Penalty", "P", "Large weights cost: λ says how much."},
    {loss, "L2Penalty", "", "The weights, squared and added up."},
    {loss, "", "L", "One number for the whole batch, of which all gradients are the slopes."},
    {backward, "L2Penalty", "", "The slope of λ·w² is 2·λ·w: it draws each weight to 0, the more the larger it is."},

    {update, "SGD", "v",
     "The velocity keeps a share µ of what it was: steps in one direction add up, to and fro cancels."},
    {update, "RMSprop", "v", "The mean of the squared gradients, of late."},
    {update, "RMSprop", "a", "The mean of the gradients, of late."},
    {update, "RMSprop", "d", "How large the gradients are, of late: steep directions get smaller steps."},
    {update, "RMSprop", "b", "The velocity of scaled gradients."},
    {update, "Adagrad", "v", "The squared gradients, added up: a weight that has moved much moves less."},
    {update, "Adadelta", "v", "The mean of the squared gradients, of late."},
    {update, "Adadelta", "d", "The gradient, scaled from the size of gradients to the size of steps."},
    {update, "Adadelta", "u", "The mean of the squared steps, of late."},
    {update, "NAdam", "m", "The mean of the gradients, of late: the direction."},
    {update, "NAdam", "v", "The mean of the squared gradients, of late: how large they are."},
    {update, "NAdam", "u", "What the mean will be one step on: the gradient counts once more."},
    {update, "Lion", "u", "Of the mean and the gradient at hand only the sign will count."},
    {update, "Lion", "m", "The mean of the gradients, over a longer time than u looks at."},
    {update, "Muon", "m", "The mean of the gradients, of late: the direction."},
    {update, "Muon", "q", "The length of the direction; over it, no singular value is above 1."},
    {update, "Muon", "G", "The products of X's rows, or columns, with each other: X's singular values, squared."},
    {update, "Muon", "P", "A polynomial in G bends all singular values at once, and turns no direction."},
    {update, "Muon", "X", "One step towards the matrix that has X's directions, all equally long."},
    {update, "Adam", "m", "The mean of the gradients, of late: the direction."},
    {update, "Adam", "v", "The mean of the squared gradients, of late: how large they are."},
    {update, "", "", "The gradient points to where L grows fastest: a step against it, η long for each unit of slope."},
};

bool begins(const std::string& text, const std::string& with) { return text.compare(0, with.size(), with) == 0; }

/// "h" for h₂, the second step's; a subscript ₀ to ₉ is three bytes, E2 82 80 to E2 82 89.
std::string without_number(std::string symbol) {
  while (symbol.size() > 3 && symbol.compare(symbol.size() - 3, 2, "\xE2\x82") == 0) symbol.resize(symbol.size() - 3);
  return symbol;
}

}  // namespace

std::string why(const trace::Trace& trace, std::size_t assignment) {
  const Assignment& a = trace.assignments[assignment];
  if (a.phase == Phase::Update && a.formula.find("λ") != std::string::npos)
    return "Weight decay: each weight is drawn to 0, the more the larger it is.";
  for (const Sentence& s : sentences) {
    const std::string label = s.label, target = s.target;
    const bool general = label.empty() && target.empty() && !trace.reads_its_target(assignment);
    if (s.phase != a.phase || !begins(a.label, label) ||
        (!target.empty() && target != a.target && target != without_number(a.target)) || general)
      continue;
    return std::string(s.text) + (a.gradient == Assignment::Gradient::Accumulated
                                      ? " It is added to what an earlier backward has left."
                                      : "");
  }
  return "";
}

}  // namespace handgrad::labs
