"use strict";
// Predict: the chosen element is hidden and asked for. An answer is right to three digits; a wrong one is told which
// mistake leads to it, if one does.
const Predict = (() => {
  const equal = (a, b) => Math.abs(a - b) <= 6e-4 * Math.max(Math.abs(b), 1e-12);
  const leaves = (node, found = []) => {
    if (node.read) found.push(node);
    for (const part of [...(node.of || []), ...(node.terms || [])]) leaves(part, found);
    return found;
  };
  const sums = (node, found = []) => {
    if (node.terms && node.name === "sum") found.push(node);
    for (const part of node.of || []) sums(part, found);
    return found;
  };

  /** What is wrong with an answer: a sentence, or "" if it is right. `node` is the formula with its numbers. */
  function diagnose(answer, node, value, element, updates) {
    const truth = node.value, is = (x) => Number.isFinite(x) && equal(answer, x);
    if (truth === 0 ? Math.abs(answer) < 5e-4 : is(truth)) return "";
    if (is(-truth)) return "The size is right, the sign is not.";
    if (updates && is(2 * value.before - truth)) return "That goes up the slope: the update subtracts.";
    for (const sum of sums(node))
      for (const [i, term] of sum.terms.entries())
        if (sum.terms.length > 1 && is(truth - term.value)) return `Term ${i} of the sum, ${Formula.number(term.value, 4)}, is missing.`;
    if (node.name === "+" && is(node.of[0].value)) return `What is added at the end, ${Formula.number(node.of[1].value, 4)}, is missing.`;
    for (const leaf of leaves(node)) {
      const name = `${leaf.read.symbol} = ${Formula.number(leaf.number, 4)}`;
      if (Math.abs(leaf.number) !== 1 && is(truth / leaf.number)) return `The factor ${name} is missing.`;
      if (Math.abs(leaf.number) !== 1 && is(truth * leaf.number)) return `The factor ${name} is there once too often: or should it divide?`;
    }
    for (const [factor, what] of [[2, "twice"], [0.5, "half of"]]) if (is(factor * truth)) return `That is ${what} what it should be.`;
    const wide = Formula.columns(value), elsewhere = value.data.findIndex((x, i) => i !== element && is(x));
    if (elsewhere >= 0)
      return Math.floor(elsewhere / wide) === Math.floor(element / wide) ? `That is the element of column ${elsewhere % wide}: the row is right.`
                                                                         : `That is the element of row ${Math.floor(elsewhere / wide)}, column ${elsewhere % wide}.`;
    return answer > truth ? "No: it is less." : "No: it is more.";
  }
  return {diagnose};
})();
