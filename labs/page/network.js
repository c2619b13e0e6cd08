"use strict";
// The network, drawn: a column of nodes for the input and for each layer's output. Nodes show the activation of one
// example and, once the backward has come by, its δ; edges the weights or their gradients.
const Network = (() => {
  /** The layers of a step with what each assignment made of them, and when. */
  function layers(trace) {
    const all = [];
    trace.assignments.forEach((a, i) => {
      if (a.phase === "forward" && !a.layer.startsWith("loss")) {
        let layer = all.find((l) => l.place === a.layer);
        if (!layer) all.push((layer = {place: a.layer, label: a.label, x: Object.values(a.inputs)[0], gradients: {}}));
        layer.output = a.value;
        layer.at = i;
        for (const [symbol, value] of Object.entries(a.inputs)) {
          if (trace.values[value].role === "parameter") (layer.parameters = layer.parameters || {})[symbol] = value;
          if (trace.values[value].name === "x" || trace.values[value].from !== null) layer.x = layer.inputOf ?? value;
        }
        layer.inputOf = layer.inputOf ?? layer.x;
      }
    });
    trace.assignments.forEach((a, i) => {
      if (a.phase !== "backward") return;
      const layer = all.find((l) => l.place === a.layer);
      for (const value of Object.values(a.inputs)) {  // δ came in: the gradient of this layer's output
        const made = trace.values[value].from;
        if (layer && layer.delta === undefined && made !== null && trace.assignments[made].phase === "backward" &&
            trace.assignments[made].layer !== a.layer)
          layer.delta = {value, at: made};
      }
      if (layer && a.gradient) layer.gradients[a.target] = {value: a.value, at: i};
    });
    return all;
  }

  const width = 470, top = 34;

  /** `grab(value, flat, event)` hears of an edge or an input node that is taken hold of, `pick(value, flat)` of another node. */
  function show(trace, at, example, edges, grab, pick) {
    const all = layers(trace);
    const x = trace.values[all[0].inputOf];
    const columns = [{label: "input", value: x, at: -1}].concat(
      all.map((l) => ({label: l.label, value: trace.values[l.output], at: l.at, delta: l.delta, layer: l})));
    const most = d3.max(columns, (c) => Formula.columns(c.value)), height = Math.min(260, top + 24 + 44 * most);
    const svg = d3.select("#network").html("").append("svg").attr("viewBox", `0 0 ${width} ${height}`)
      .attr("role", "img").attr("aria-label", `The network for example ${example}: ` + describe(trace, columns, at, example));
    const place = d3.scalePoint().domain(d3.range(columns.length)).range([46, width - 60]);
    const units = (c) => Formula.columns(c.value), step = (c) => Math.min(44, (height - top - 14) / units(c));
    const y = (c, i) => top + (height - top - 10) / 2 + (i - (units(c) - 1) / 2) * step(c);
    const numbered = (c) => step(c) >= 18;  // there is room for the number below a node
    const radius = (c) => (numbered(c) ? Math.min(12, (step(c) - 9.5) / 2) : Math.max(3.5, step(c) * 0.36));
    const current = trace.assignments[Math.max(0, at)].layer;

    columns.slice(1).forEach((column, k) => {
      const before = columns[k], layer = column.layer;
      const matrix = Object.entries(layer.parameters || {}).find(([, v]) => trace.values[v].shape.length === 2);
      let weight = matrix && trace.values[matrix[1]];
      if (matrix && edges === "gradient") {
        const gradient = layer.gradients["d" + matrix[0]];
        weight = gradient && gradient.at <= at ? trace.values[gradient.value] : null;
      }
      const scale = weight ? d3.max(weight.data, (v) => Math.abs(Formula.decode(v))) || 1 : 1;
      const pairs = matrix ? d3.cross(d3.range(units(before)), d3.range(units(column)))
                           : d3.range(Math.min(units(before), units(column))).map((i) => [i, i]);
      const shown = matrix && (edges === "gradient" ? (layer.gradients["d" + matrix[0]] || {}).value : matrix[1]);
      const way = ([i, o]) => `x1="${place(k)}" y1="${y(before, i)}" x2="${place(k + 1)}" y2="${y(column, o)}"`;
      svg.append("g").html(pairs.map((pair) => {  // as text: there can be hundreds
        const flat = pair[1] * units(before) + pair[0], w = weight ? Formula.decode(weight.data[flat]) : 0, size = Math.abs(w) / scale;
        const kind = !matrix ? "thread" : !weight ? "edge unknown" : w < 0 ? "edge minus" : "edge plus";
        const [wide, strong] = matrix && weight ? [0.3 + 3.2 * size, 0.2 + 0.7 * size] : [0.7, 0.5];
        return `<line ${matrix ? `data-value="${shown}" data-flat="${flat}" ` : ""}${way(pair)} class="${kind}" style="stroke-width: ${wide}; stroke-opacity: ${strong};"></line>`;
      }).join(""));
    });

    columns.slice(1).forEach((column, k) => {  // wide and unseen, to take hold of a weight
      const matrix = Object.values(column.layer.parameters || {}).find((v) => trace.values[v].shape.length === 2);
      if (matrix === undefined || edges !== "weight") return;
      const before = columns[k], pairs = d3.cross(d3.range(units(before)), d3.range(units(column)));
      svg.append("g").html(pairs.map(([i, o]) =>
        `<line class="grip" data-grip="${o * units(before) + i}" style="stroke-width: ${pairs.length > 60 ? 3 : 9};" x1="${place(k)}" y1="${y(before, i)}" ` +
        `x2="${place(k + 1)}" y2="${y(column, o)}"><title>W[${o},${i}]: drag up or down to change it</title></line>`).join(""))
        .on("pointerdown", () => { const line = d3.event.target.closest("line"); if (line) grab(matrix, Number(line.dataset.grip), d3.event); });
    });

    columns.forEach((column, k) => {
      const known = column.at <= at, delta = column.delta && column.delta.at <= at ? trace.values[column.delta.value] : null;
      const scale = d3.max(column.value.data, (v) => Math.abs(Formula.decode(v))) || 1;
      const deltaScale = delta ? d3.max(delta.data, (v) => Math.abs(Formula.decode(v))) || 1 : 1;
      const g = svg.append("g").attr("class", column.layer && column.layer.place === current ? "column current" : "column");
      g.append("text").attr("x", place(k)).attr("y", k % 2 ? 26 : 12).text(column.label.length > 16 ? column.label.replace(/\(.*/, "") : column.label);
      for (let i = 0; i < units(column); ++i) {
        const flat = example * units(column) + i, a = Formula.decode(column.value.data[flat]);
        const node = g.append("g").attr("class", "node");
        node.append("title").text(`${column.label}, unit ${i}` + (known ? `: ${Formula.number(a, 5)}` : ": not yet") +
                                  (delta ? `, δ = ${Formula.number(Formula.decode(delta.data[flat]), 5)}` : ""));
        if (k === 0) node.classed("grip", true).on("pointerdown", () => grab(all[0].inputOf, flat, d3.event));
        const number = k === 0 ? all[0].inputOf : column.layer.output;
        if (k > 0) node.on("click", () => pick(number, flat));
        node.append("circle").attr("cx", place(k)).attr("cy", y(column, i)).attr("r", radius(column))
          .attr("data-value", number).attr("data-flat", flat)
          .attr("class", known ? (a < 0 ? "minus" : "plus") : "unknown")
          .style("fill", known ? Tables.shade(a, scale).background : null);
        if (delta) {
          const d = Formula.decode(delta.data[flat]);
          node.append("circle").attr("cx", place(k) + radius(column) + 5).attr("cy", y(column, i))
            .attr("data-value", column.delta.value).attr("data-flat", flat).on("click", () => { d3.event.stopPropagation(); pick(column.delta.value, flat); })
            .attr("r", Math.max(2.2, radius(column) * 0.45)).attr("class", d < 0 ? "delta minus" : "delta plus")
            .style("fill", Tables.shade(d, deltaScale).background);
        }
        if (known && numbered(column))
          node.append("text").attr("x", place(k)).attr("y", y(column, i) + radius(column) + 8).attr("class", "number")
            .text(Formula.number(a, 2));
      }
    });
  }

  function describe(trace, columns, at, example) {
    return columns.filter((c) => c.at <= at && Formula.columns(c.value) <= 8).map((c) => {
      const n = Formula.columns(c.value);
      return `${c.label} ${d3.range(n).map((i) => Formula.number(Formula.decode(c.value.data[example * n + i]), 3)).join(" ")}`;
    }).join("; ");
  }

  const examples = (trace) => Formula.rows(trace.values[layers(trace)[0].output]);
  /** The values of the network's input and of its output. */
  function ends(trace) {
    const all = layers(trace);
    return {x: all[0].inputOf, output: all[all.length - 1].output};
  }
  return {show, examples, ends};
})();
