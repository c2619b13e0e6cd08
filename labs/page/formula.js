"use strict";
// Formulas of a trace (lib/handgrad/trace/schema.md): their value for an element, and how they are written with the
// numbers put in. The same rules as in lib/handgrad/trace/expression*.cpp.
const Formula = (() => {
  const decode = (x) => (x === "NaN" ? NaN : x === "Infinity" ? Infinity : x === "-Infinity" ? -Infinity : x);

  /** A number with so many significant digits: −1.5, 1.2e−5, NaN, ∞. */
  function number(x, digits = 6) {
    if (Number.isNaN(x)) return "NaN";
    if (!Number.isFinite(x)) return x < 0 ? "−∞" : "∞";
    if (x === 0) return "0";
    const [mantissa, power] = x.toExponential(digits - 1).split("e");
    const exponent = Number(power);
    const trim = (s) => (s.includes(".") ? s.replace(/\.?0+$/, "") : s);
    const text = exponent < -4 || exponent >= digits ? trim(mantissa) + "e" + exponent
                                                     : trim(x.toFixed(Math.max(0, digits - 1 - exponent)));
    return text.replaceAll("-", "−");
  }

  const columns = (v) => (v.shape.length ? v.shape[v.shape.length - 1] : 1);
  const rows = (v) => v.data.length / columns(v);

  /** How far each index runs. */
  function ranges(e, symbols, found = {}) {
    if (e.symbol !== undefined) {
      const v = symbols[e.symbol];
      if (e.index.length > 2) e.index.forEach((name, i) => { found[name] = v.shape[i]; });  // one for each dimension
      else if (e.index.length === 2) [found[e.index[0]], found[e.index[1]]] = [rows(v), columns(v)];
      else if (e.index.length === 1) found[e.index[0]] = v.data.length;
    }
    for (const part of e.of || []) ranges(part, symbols, found);
    return found;
  }

  /** The place of an element: its number and its indices. */
  function place(index, value, flat) {
    const at = {flat, index: {}};
    let left = flat;
    for (let i = index.length - 1; i >= 0; --i) {
      const size = i === 0 ? left + 1 : index.length === 2 ? columns(value) : value.shape[i];
      at.index[index[i]] = left % size;
      left = Math.floor(left / size);
    }
    return at;
  }

  function flatIndex(e, value, at) {
    if (e.index.length > 2) return e.index.reduce((flat, name, i) => flat * value.shape[i] + at.index[name], 0);
    if (e.index.length === 2) return at.index[e.index[0]] * columns(value) + at.index[e.index[1]];
    if (e.index.length === 1) return at.index[e.index[0]];
    return value.data.length > 1 ? at.flat : 0;
  }

  const erf = (x) => {  // by its series, or its continued fraction
    const a = Math.abs(x);
    if (a > 6) return Math.sign(x);
    if (a < 3) {
      let term = x, sum = x;
      for (let n = 1; n < 100; ++n) { term *= (-x * x) / n; sum += term / (2 * n + 1); }
      return (2 / Math.sqrt(Math.PI)) * sum;
    }
    let f = 0;
    for (let k = 60; k > 0; --k) f = k / 2 / (a + f);
    return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (a + f));
  };
  const functions = {
    "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "^": (a, b) => a ** b,
    neg: (a) => -a, ">": (a, b) => +(a > b), "<": (a, b) => +(a < b), "=": (a, b) => +(a === b),
    "≥": (a, b) => +(a >= b), "≤": (a, b) => +(a <= b), exp: Math.exp, log: Math.log, log1p: Math.log1p,
    tanh: Math.tanh, sin: Math.sin, cos: Math.cos, sqrt: Math.sqrt, abs: Math.abs, sign: Math.sign, erf,
    "σ": (a) => (a < 0 ? Math.exp(a) / (1 + Math.exp(a)) : 1 / (1 + Math.exp(-a))), max: Math.max, min: Math.min,
  };

  const relations = [">", "<", "=", "≥", "≤"];
  /** Does a term of a sum begin with a bracket [a = b] that is 0, or has it no terms itself? Then it is left out. */
  const isOff = (n) => n.off || (n.name === "*" || n.name === "/" ? isOff(n.of[0]) : relations.includes(n.name) && n.value === 0);

  /**
   * The formula for one element with numbers in the place of its symbols: a tree of
   *   {value, number, read: {symbol, flat}}   a number, and where it was read
   *   {value, name, of: […]}                  a function of such
   *   {value, terms: […], rest: {count, value}, name: "sum" | "max"}   a reduction written out, as far as it is
   * Every node has its value.
   */
  function substitute(e, symbols, at, range, most) {
    if (typeof e !== "object") return {value: decode(e), number: decode(e)};
    if (e.symbol !== undefined) {
      if (!e.index.length && e.symbol in at.index) return {value: at.index[e.symbol], number: at.index[e.symbol]};
      const flat = flatIndex(e, symbols[e.symbol], at), value = decode(symbols[e.symbol].data[flat]);
      return {value, number: value, read: {symbol: e.symbol, flat}};
    }
    if (e.reduce) {
      const all = [];
      for (let i = 0; i < range[e.over]; ++i) {
        const term = substitute(e.of[0], symbols, {flat: at.flat, index: {...at.index, [e.over]: i}}, range, most);
        if (e.reduce !== "sum" || !isOff(term)) all.push(term);
      }
      if (!all.length && e.reduce === "sum") return {value: 0, number: 0, off: true};
      const shown = all.length > most + 1 ? most : all.length, terms = all.slice(0, shown), rest = all.slice(shown);
      const fold = (list) => list.reduce((a, b) => (e.reduce === "sum" ? a + b.value : Math.max(a, b.value)),
                                         e.reduce === "sum" ? 0 : -Infinity);
      const node = {name: e.reduce, terms, value: fold(terms.concat(rest))};
      if (rest.length) node.rest = {count: rest.length, value: fold(rest), hidden: rest};
      return node;
    }
    if (e.call === "if") {
      const condition = substitute(e.of[0], symbols, at, range, most);
      const branches = [1, 2].map((i) => substitute(e.of[i], symbols, at, range, most));
      return {name: "if", of: [condition, ...branches], value: branches[condition.value !== 0 ? 0 : 1].value};
    }
    const of = e.of.map((part) => substitute(part, symbols, at, range, most));
    return {name: e.call, of, value: functions[e.call](...of.map((part) => part.value))};
  }

  /**
   * The formula as a function without arguments, put together once from closures: it reads the symbols' numbers as
   * they are when it runs, for the element whose place stands in `at`: at[0] its number, at[slot[i]] its index i.
   */
  function compile(e, symbols, range, slot, at) {
    if (typeof e !== "object") { const x = decode(e); return () => x; }
    if (e.symbol !== undefined) {
      const [i, j] = e.index.map((name) => slot[name]);
      if (!e.index.length && e.symbol in slot) { const k = slot[e.symbol]; return () => at[k]; }
      const {data, shape} = symbols[e.symbol], wide = columns(symbols[e.symbol]);
      if (e.index.length > 2) {
        const at_of = e.index.map((name) => slot[name]);
        return () => data[at_of.reduce((flat, k, d) => flat * shape[d] + at[k], 0)];
      }
      if (j !== undefined) return () => data[at[i] * wide + at[j]];
      if (i !== undefined) return () => data[at[i]];
      return data.length > 1 ? () => data[at[0]] : () => data[0];
    }
    const [a, b, c] = e.of.map((part) => compile(part, symbols, range, slot, at));
    if (e.reduce) {
      const k = slot[e.over], size = range[e.over];
      if (e.reduce === "sum")
        return () => { let total = 0; for (at[k] = 0; at[k] < size; ++at[k]) total += a(); return total; };
      return () => { let most = -Infinity; for (at[k] = 0; at[k] < size; ++at[k]) most = Math.max(most, a()); return most; };
    }
    if (e.call === "if") return () => (a() !== 0 ? b() : c());
    if (e.call === "+") return () => a() + b();
    if (e.call === "-") return () => a() - b();
    if (e.call === "*") return () => a() * b();
    const f = functions[e.call];
    return b ? () => f(a(), b()) : () => f(a());
  }

  /** The elements that a substituted formula reads, of hidden terms too. */
  function reads(node, found = []) {
    if (node.read) found.push(node.read);
    for (const part of [...(node.of || []), ...(node.terms || []), ...(node.rest ? node.rest.hidden : [])])
      reads(part, found);
    return found;
  }

  // ---- Writing, as text and as LaTeX. Levels of precedence, from the loosest.
  const SUM = 1, PRODUCT = 3, POWER = 4, PRIMARY = 5;
  const level = (n) => {
    if (n.terms) return n.terms.length + (n.rest ? 1 : 0) === 1 ? level(n.terms[0]) : n.name === "sum" ? SUM : PRIMARY;
    if (!n.of) return PRIMARY;
    if (n.name === "+" || n.name === "-") return SUM;
    if (n.name === "*" || n.name === "/" || n.name === "neg") return PRODUCT;
    return n.name === "^" ? POWER : PRIMARY;
  };
  const texFunctions = {log: "\\log", tanh: "\\tanh", sin: "\\sin", cos: "\\cos", max: "\\max", min: "\\min", "σ": "\\sigma"};
  const texNumber = (x, digits) => {
    if (Number.isNaN(x)) return "\\mathrm{NaN}";
    const text = number(x, digits).replaceAll("−", "-").replace("∞", "\\infty");
    return text.includes("e") ? text.replace("e", "{\\cdot}10^{") + "}" : text;
  };

  function writer(tex, digits) {
    let exponent = 0;  // fractions in an exponent stay in one line
    const bracketed = (s) => (tex && s.includes("\\dfrac") ? `\\left(${s}\\right)` : `(${s})`);
    /** In LaTeX every number that was read, and every term of a sum, can be found again in the page. */
    const leaf = (n) => {
      if (!tex) return number(n.number, digits);
      const set = texNumber(n.number, digits);
      return n.read ? `\\htmlData{symbol=${codes(n.read.symbol)},flat=${n.read.flat}}{${set}}` : set;
    };
    const write = (n, least, leading) => {
      if (n.number !== undefined) {
        const negative = n.number < 0 || Object.is(n.number, -0);
        return negative && number(n.number, digits)[0] === "−" && (!leading || least > PRODUCT) ? bracketed(leaf(n)) : leaf(n);
      }
      const brackets = level(n) < least || (n.name === "neg" && !leading);
      const inside = bare(n, leading || brackets);
      return brackets ? bracketed(inside) : inside;
    };
    const comparison = (n) => {
      const sign = tex ? {"≥": "\\ge", "≤": "\\le"}[n.name] || n.name : n.name;
      return `${write(n.of[0], SUM, true)} ${sign} ${write(n.of[1], SUM, true)}`;
    };
    const bare = (n, leading) => {
      if (n.terms) return reduction(n, leading);
      const [a, b] = n.of, minus = tex ? "-" : "−";
      if (n.name === "+" || n.name === "-")
        return `${write(a, SUM, leading)} ${n.name === "+" ? "+" : minus} ${write(b, n.name === "+" ? SUM + 1 : PRODUCT, false)}`;
      if (n.name === "*") return write(a, PRODUCT, leading) + (tex ? " \\cdot " : "·") + write(b, POWER, false);
      if (n.name === "/")  // a long sum over a number stays in a line, which can be broken
        return tex && !exponent && !(a.terms && a.terms.length > 2) ? `\\dfrac{${write(a, SUM, true)}}{${write(b, SUM, true)}}`
                   : `${write(a, PRODUCT, leading)}/${write(b, POWER, false)}`;
      if (n.name === "neg") return minus + write(a, PRODUCT, false);
      if (n.name === "^") {
        const under = write(a, PRIMARY, false);
        if (tex) return `{${under}}^{${write(b, SUM, true)}}`;
        return under + ({2: "²", 3: "³"}[b.number] || "^" + write(b, PRIMARY, false));
      }
      if (relations.includes(n.name)) return `[${comparison(n)}]`;
      const list = (parts) => parts.map((part) => write(part, SUM, true)).join(", ");
      if (n.name === "if")
        return tex ? `\\begin{cases}${write(n.of[1], SUM, true)} & ${comparison(a)}\\\\${write(n.of[2], SUM, true)} & \\text{else}\\end{cases}`
                   : `if(${comparison(a)}, ${list(n.of.slice(1))})`;
      if (!tex) return `${n.name}(${list(n.of)})`;
      if (n.name === "exp") {
        ++exponent;
        const above = list(n.of);
        --exponent;
        return `e^{${above}}`;
      }
      if (n.name === "sqrt") return `\\sqrt{${list(n.of)}}`;
      if (n.name === "abs") return `|${list(n.of)}|`;
      return `${texFunctions[n.name] || `\\operatorname{${n.name}}`}(${list(n.of)})`;
    };
    const reduction = (n, leading) => {
      const rest = n.rest && (tex ? `\\underbrace{${texNumber(n.rest.value, digits)}}_{\\text{${n.rest.count} more}}`
                                  : `(${n.rest.count} more: ${number(n.rest.value, digits)})`);
      const parts = n.terms.map((term, i) => {
        const one = n.name === "max" ? write(term, SUM, true) : write(term, n.terms.length > 1 && i ? SUM + 1 : SUM, leading && i === 0);
        return tex ? `\\htmlData{term=${i}}{${one}}` : one;
      });
      if (rest) parts.push(rest);
      if (n.name === "max" && parts.length > 1) return `${tex ? "\\max" : "max"}(${parts.join(", ")})`;
      return parts.join(" + ");
    };
    return (n) => write(n, SUM, true);
  }

  // KaTeX's \htmlData takes plain characters only: a symbol goes by the numbers of its characters.
  const codes = (symbol) => [...symbol].map((c) => c.codePointAt(0)).join("-");
  const text = (node, digits = 6) => writer(false, digits)(node);
  const tex = (node, digits = 6) => writer(true, digits)(node);
  return {decode, number, texNumber, columns, rows, ranges, place, substitute, compile, reads, text, tex, codes};
})();
