"use strict";
// What the symbols mean, on the spot: of the assignment in sight, and of the page's own marks.
const Help = (() => {
  const meanings = [
    [/^δ$/, "∂L/∂(what this layer gave): how fast the loss grows with each number of its output. It comes from the layer behind."],
    [/^dx$/, "∂L/∂x: the δ for the layer before."], [/^dz$/, "∂L/∂z: δ before the activation, or of the logits."],
    [/^dp$/, "∂L/∂p: where the backward starts."],
    [/^d(.+)$/, (m) => `∂L/∂${m[1]}: the slope of the loss along each number of ${m[1]}.`],
    [/^(.+)_old$/, (m) => `${m[1]} as an earlier backward left it.`],
    [/^x$/, "What goes into the layer: a row for each example n, a column for each input i."],
    [/^W$/, "Weights: row o belongs to neuron o, column i to its input i."], [/^b$/, "Biases, one for each neuron o."],
    [/^z$/, "What goes into the activation, or the logit: any number."],
    [/^p$/, "A probability, or the prediction."], [/^ℓ$/, "The loss of each example."], [/^L$/, "The loss of the batch: one number."],
    [/^s$/, "log(1 + e⁻ᶻ), of classes log Σ eᶻ, or another part with its own formula."], [/^m$/, "The largest number of each row."], [/^N$/, "How many numbers the mean is taken over. Only the loss divides."],
    [/^η$/, "The learning rate: how far a step goes for each unit of slope."], [/^λ$/, "How much large weights cost."],
    [/^ε$/, "A small number that keeps a division finite."], [/^[αa]$/, "A slope that the layer was given."],
    [/^h$/, "An intermediate, with a formula of its own."], [/^g$/, "δ times the derivative of what comes after."],
  ];
  const index = {n: "n: the example, a row", o: "o: the output, a neuron", i: "i: the input", j: "j: a column", t: "t: the time step"};
  const marks = [["fresh gradient", "The first since zero_grad(): it replaces what was there."],
                 ["added to an older gradient", "A backward without zero_grad() before it: gradients add up."],
                 ["intermediate", "The library does not store it; it is computed from its formula."],
                 ["C++", "Computed by the library."], ["given", "An input, a target, a weight, η: it can be changed."],
                 ["page", "Computed in this page, by the same formulas."], ["changed", "Given, and changed by you."],
                 ["∘", "Element by element."], ["ᵀ", "Transposed: rows and columns exchanged."]];

  function meaning(symbol, a) {
    if (symbol === "y") return "What the layer gave.";
    if (symbol === "t" && (a.phase === "loss" || a.layer.startsWith("loss"))) return "The target: what should come out.";
    for (const [pattern, text] of meanings) {
      const found = symbol.match(pattern);
      if (found) return typeof text === "string" ? text : text(found);
    }
    return "A number of this layer.";
  }
  /** Pairs of a symbol and what it means here. */
  function lines(a) {
    const symbols = [a.target, ...Object.keys(a.inputs).filter((s) => s !== a.target)];
    const used = new Set(a.element ? JSON.stringify(a.element.expression).match(/"(?:index|over)":(?:\[[^\]]*\]|"[^"]*")/g) || [] : []);
    const indices = [...new Set([...(a.element ? a.element.index : []), ...[...used].join().match(/"[a-z]"/g)?.map((q) => q[1]) || []])];
    return [...symbols.map((s) => [s, meaning(s, a)]), ...indices.filter((i) => index[i]).map((i) => [i, index[i].slice(3)]), ...marks];
  }
  return {meaning, lines};
})();
