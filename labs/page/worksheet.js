"use strict";
// A step as a worksheet. What is given (inputs, targets, parameters, η) can be changed; everything made of it is computed
// again by the derivations' own formulas, in double precision. A value of the trace has `data`, the numbers shown, and
// `cpp`, those before any change, in a recorded step the library's; `by` says whose the numbers shown are: "C++", "given", "changed" or "page".
const Worksheet = (() => {
  const same = (x, y) => x === y || (Number.isNaN(x) && Number.isNaN(y)) || Math.abs(x - y) <= 1e-12 + 1e-9 * Math.abs(y);

  /** Of a target without an index: the first symbol of several numbers that stands without one gives its shape. */
  function shapeWithoutIndex(e, symbols) {
    if (e.symbol !== undefined && !e.index.length && symbols[e.symbol] && symbols[e.symbol].data.length > 1)
      return symbols[e.symbol].shape;
    for (const part of e.of || []) {
      const found = shapeWithoutIndex(part, symbols);
      if (found) return found;
    }
    return null;
  }

  /**
   * The step, ready to be computed: `cells` has a {shape, data} for each value of the trace, `run(phases)` fills those
   * of the assignments in these phases. `given` has other tensors for some values: with another number of rows, all
   * that is made of them gets that number too.
   */
  function program(trace, given = {}) {
    const cells = [], runs = [], at = new Int32Array(16), otherRows = Object.keys(given).length > 0;
    trace.values.forEach((value, v) => {
      const twin = trace.values.findIndex((w, i) => i < v && isTwin(trace, w, i, value));
      if (given[v]) cells[v] = given[v];
      else if (twin >= 0) cells[v] = {shape: otherRows ? cells[twin].shape : value.shape, data: cells[twin].data};
      else if (value.from === null || !trace.assignments[value.from].element)
        cells[v] = {shape: value.shape, data: Float64Array.from(value.cpp)};
      else cells[v] = made(trace.assignments[value.from], value);
    });
    function made(a, value) {
      const symbols = Object.fromEntries(Object.entries(a.inputs).map(([s, v]) => [s, cells[v]])), e = a.element.expression;
      const range = Formula.ranges(e, symbols), slot = {};
      for (const name of new Set([...a.element.index, ...Object.keys(range)])) slot[name] = 1 + Object.keys(slot).length;
      let shape = value.shape;
      if (otherRows) shape = a.element.index.length ? a.element.index.map((i) => range[i]) : shapeWithoutIndex(e, symbols) || [];
      const cell = {shape, data: new Float64Array(shape.reduce((m, n) => m * n, 1))};
      const compute = Formula.compile(e, symbols, range, slot, at), wide = Formula.columns(cell);
      const [i, j] = a.element.index.map((name) => slot[name]);
      runs.push({phase: a.phase, run() {
        for (let flat = 0; flat < cell.data.length; ++flat) {
          at[0] = flat;
          if (j !== undefined) { at[i] = Math.floor(flat / wide); at[j] = flat % wide; }
          else if (i !== undefined) at[i] = flat;
          cell.data[flat] = compute();
        }
      }});
      return cell;
    }
    const run = (phases) => { for (const r of runs) if (!phases || phases.includes(r.phase)) r.run(); };
    return {cells, run};
  }
  /** Two values that are one tensor: a given one named twice, or a computed one in another shape. */
  function isTwin(trace, w, i, value) {
    if (value.from !== null) return trace.assignments[value.from].value === i && w !== value;
    return w.from === null && w.name === value.name && w.cpp.length === value.cpp.length && w.cpp.every((x, k) => Object.is(x, value.cpp[k]));
  }

  // ---- Edits of a step. Each trace has a sheet of its own, made when it is first wanted.

  const sheets = new Map();
  function sheet(trace) {
    if (!sheets.has(trace)) {
      const first = trace.values.map((value, v) => trace.values.findIndex((w, i) => i === v || isTwin(trace, w, i, value)));
      sheets.set(trace, {first, edits: new Map(), whole: null, probe: null});
    }
    return sheets.get(trace);
  }
  function prepare(trace) {
    for (const value of trace.values) {
      value.cpp = value.data = value.data.map(Formula.decode);
      value.by = value.from === null ? "given" : trace.by || "C++";
      value.flash = new Set();
    }
  }

  /** Can this value be changed? What the step was given can, but for the counts N, D, …, which its shapes say. */
  function isGiven(value) {
    return value.from === null && (value.role !== "constant" || (value.data.length === 1 && !/^[A-Z]/.test(value.name)));
  }

  function edit(trace, v, flat, x) {
    const {edits, first} = sheet(trace), key = `${first[v]} ${flat}`;
    if (x === null || Object.is(x, trace.values[v].cpp[flat])) edits.delete(key);
    else edits.set(key, x);
    refresh(trace);
  }
  function reset(trace) {
    sheet(trace).edits.clear();
    refresh(trace);
  }
  const changes = (trace) => sheet(trace).edits;
  const edited = (trace) => sheet(trace).edits.size;

  function refresh(trace) {
    const own = sheet(trace), {edits, first} = own, shown = trace.values.map((value) => value.data);
    const touched = new Set([...edits.keys()].map((key) => Number(key.split(" ")[0])));
    own.whole = own.whole || program(trace);
    const {cells} = own.whole;
    trace.values.forEach((value, v) => {
      if (value.from !== null) return;
      if (first[v] === v) cells[v].data.set(value.cpp);
      for (const [key, x] of edits) {
        const [w, flat] = key.split(" ").map(Number);
        if (w === v) cells[v].data[flat] = x;
      }
      value.by = touched.has(first[v]) ? "changed" : "given";
    });
    if (edits.size) own.whole.run();
    const computed = trace.assignments.map((a) => a.element !== null && Object.values(a.inputs).some(isChanged));
    function isChanged(v) {
      const {from} = trace.values[v];
      return from === null ? touched.has(first[v]) : computedBefore(from);
    }
    function computedBefore(from) {
      const a = trace.assignments[from];
      return a.element !== null && Object.values(a.inputs).some(isChanged);
    }
    trace.values.forEach((value, v) => {
      const changed = value.from === null ? touched.has(first[v]) : computed[value.from];
      if (value.from !== null) value.by = changed ? "page" : trace.by || "C++";
      value.data = changed ? Array.from(cells[v].data) : value.cpp;
      value.flash = new Set(value.data.map((x, i) => (same(x, shown[v][i]) ? -1 : i)).filter((i) => i >= 0));
    });
  }
  /** The number before the edits, where the one shown is another; else null. */
  const ghost = (value, flat) => (same(value.data[flat], value.cpp[flat]) ? null : value.cpp[flat]);

  /** Everything computed anew from what was given: what the page makes of a step that nobody changed. */
  function recomputed(trace) {
    const {cells, run} = program(trace);
    run();
    return cells.map((cell) => Array.from(cell.data));
  }

  // ---- The loss, and its slope by differences

  const lossAt = (trace) => trace.assignments.map((a) => a.phase === "loss" && trace.values[a.value].data.length === 1).lastIndexOf(true);
  const loss = (trace) => (lossAt(trace) < 0 ? null : trace.values[trace.assignments[lossAt(trace)].value]);

  /** L with element `flat` of the given value v moved by h, everything else as it is shown. */
  function lossWith(trace, v, flat, h) {
    const own = sheet(trace), {first} = own;
    own.probe = own.probe || program(trace);
    const {cells, run} = own.probe;
    trace.values.forEach((value, w) => { if (value.from === null && first[w] === w) cells[w].data.set(value.data); });
    cells[first[v]].data[flat] += h;
    run(["forward", "loss"]);
    return cells[trace.assignments[lossAt(trace)].value].data[0];
  }
  function slope(trace, v, flat, h) {
    const above = lossWith(trace, v, flat, h), below = lossWith(trace, v, flat, -h);
    return {above, below, slope: (above - below) / (2 * h)};
  }

  /** A parameter's gradient in this step: {value, assignment}, or null. `v` is the parameter's value. */
  function gradientOf(trace, v) {
    const at = trace.assignments.findIndex((a) => a.gradient && parameterOf(trace, a) === v);
    return at < 0 ? null : {at, value: trace.values[trace.assignments[at].value]};
  }
  /** The parameter whose gradient an assignment makes. */
  function parameterOf(trace, a) {
    const name = (a.layer ? a.layer + "." : "") + a.target.slice(1);
    return trace.values.findIndex((value) => value.role === "parameter" && value.name === name);
  }

  // ---- The network by itself, over other inputs

  /** What the network with the parameters shown makes of `count` inputs: its outputs, in row-major order. */
  function predict(trace, x, output, inputs, count) {
    const wide = Formula.columns(trace.values[x]);
    const {cells, run} = program(trace, {[x]: {shape: [count, wide], data: Float64Array.from(inputs)}});
    trace.values.forEach((value, v) => { if (value.role === "parameter" && value.from === null) cells[v].data.set(value.data); });
    run(["forward"]);
    return Array.from(cells[output].data);
  }

  return {prepare, program, isGiven, edit, reset, edited, changes, ghost, recomputed, loss, lossWith, slope, gradientOf, parameterOf, predict};
})();
