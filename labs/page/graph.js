"use strict";
// The step as a graph: a node for each assignment, in the column of its layer; values flow to the right in the forward,
// gradients back in the backward, down into the update. A layer can be folded into one node for each phase.
const Graph = (() => {
  const width = 470, top = 20, rowHeight = 24;
  const folded = new Set();

  /** The columns, the rows of each lane, and where every assignment stands. */
  function layout(trace) {
    const columns = [];
    trace.assignments.forEach((a) => { if (a.phase !== "update" && !columns.includes(a.layer)) columns.push(a.layer); });
    const nodes = [], nodeOf = [];
    trace.assignments.forEach((a, i) => {
      const lane = a.phase === "loss" ? "forward" : a.phase, key = `${a.layer} ${lane}`;
      let node = folded.has(a.layer) && nodes.find((n) => n.key === key);
      if (!node) {
        node = {key, lane, layer: a.layer, column: Math.max(0, columns.indexOf(a.layer)), of: [],
                row: nodes.filter((n) => n.key === key).length};
        nodes.push(node);
      }
      node.of.push(i);
      nodeOf[i] = node;
    });
    const lanes = ["forward", "backward", "update"].map((lane) => ({lane, rows: d3.max(nodes.filter((n) => n.lane === lane), (n) => n.row + 1) || 0}));
    let y = top;
    for (const lane of lanes) { lane.y = y; y += lane.rows * rowHeight + (lane.rows ? 10 : 0); }
    const step = (width - 20) / columns.length, wide = Math.min(62, step - 16);
    for (const n of nodes) {
      n.x = 10 + (n.column + 0.5) * step;
      n.y = lanes.find((l) => l.lane === n.lane).y + (n.row + 0.5) * rowHeight;
    }
    return {columns, nodes, nodeOf, height: y, step, wide};
  }

  /** `go(i)` hears of an assignment that was asked for, `fold()` of a layer that was folded or unfolded. */
  function show(trace, at, go, fold) {
    const {columns, nodes, nodeOf, height, step, wide} = layout(trace);
    const svg = d3.select("#graph").html("").append("svg").attr("viewBox", `0 0 ${width} ${height}`)
      .attr("role", "group").attr("aria-label", "The step as a graph: assignments and what they read");
    svg.append("defs").selectAll("marker").data(["", "back", "read"]).enter().append("marker").attr("id", (k) => `arrow${k}`)
      .attr("viewBox", "0 0 8 8").attr("refX", 7).attr("refY", 4).attr("markerWidth", 6).attr("markerHeight", 6).attr("orient", "auto")
      .append("path").attr("d", "M0,0.5 L8,4 L0,7.5 z").attr("class", (k) => `tip ${k}`);

    const heads = svg.append("g").selectAll("g").data(columns).enter().append("g").attr("class", "fold").attr("role", "button")
      .attr("tabindex", 0).attr("aria-expanded", (c) => !folded.has(c))
      .attr("aria-label", (c) => `${title(trace, c)}: ${folded.has(c) ? "unfold" : "fold"}`)
      .on("click", toggle).on("keydown", (c) => { if (["Enter", " "].includes(d3.event.key)) { d3.event.preventDefault(); d3.event.stopPropagation(); toggle(c); } });
    function toggle(c) { folded.has(c) ? folded.delete(c) : folded.add(c); fold(); }
    heads.append("rect").attr("x", (_, i) => 10 + i * step).attr("y", 0).attr("width", step).attr("height", 17);
    heads.append("text").attr("x", (_, i) => 10 + (i + 0.5) * step).attr("y", 12).text((c) => `${folded.has(c) ? "▸" : "▾"} ${short(trace, c, step)}`);

    const edges = [];
    trace.assignments.forEach((a, i) => a.uses.forEach((u) => {
      if (nodeOf[u] !== nodeOf[i] && !edges.some((e) => e.from === nodeOf[u] && e.to === nodeOf[i])) edges.push({from: nodeOf[u], to: nodeOf[i]});
    }));
    const holds = (n) => n.of.includes(at);
    svg.append("g").selectAll("path").data(edges).enter().append("path").attr("d", ({from, to}) => path(from, to, wide))
      .attr("class", ({from, to}) => `arrow${to.lane !== "forward" ? " back" : ""}${holds(to) ? " read" : ""}${holds(from) ? " feeds" : ""}`)
      .attr("marker-end", ({from, to}) => `url(#arrow${holds(to) || holds(from) ? "read" : to.lane !== "forward" ? "back" : ""})`);

    const boxes = svg.append("g").selectAll("g").data(nodes).enter().append("g").attr("role", "button")
      .attr("class", (n) => `box ${n.lane}${holds(n) ? " at" : n.of[n.of.length - 1] < at ? " done" : ""}`)
      .attr("tabindex", (n) => (holds(n) ? 0 : -1)).attr("aria-current", (n) => (holds(n) ? "step" : null))
      .attr("data-of", (n) => n.of.join(" ")).attr("aria-label", (n) => n.of.map((i) => says(trace, i)).join("; "))
      .on("click", (n) => go(n.of.includes(at) ? n.of[(n.of.indexOf(at) + 1) % n.of.length] : n.of[0]))
      .on("keydown", (n) => { if (d3.event.key === "Enter") go(n.of[0]); });
    boxes.append("title").text((n) => n.of.map((i) => says(trace, i)).join("\n"));
    boxes.append("rect").attr("x", (n) => n.x - wide / 2).attr("y", (n) => n.y - 9).attr("width", wide).attr("height", 18).attr("rx", 5);
    boxes.append("text").attr("x", (n) => n.x).attr("y", (n) => n.y + 4)
      .text((n) => (n.of.length > 1 ? n.of.map((i) => trace.assignments[i].target).join(" ").slice(0, wide / 6) : name(trace, n.of[0])));
  }
  const name = (trace, i) => { const a = trace.assignments[i]; return a.phase === "update" ? `${a.target} new` : a.target; };
  const says = (trace, i) => { const a = trace.assignments[i]; return `${i + 1}, ${a.phase} of ${a.label}: ${a.formula.text}`; };
  const title = (trace, c) => (c === "loss" ? "loss" : (trace.assignments.find((a) => a.layer === c && a.phase === "forward") || {label: c}).label);
  const short = (trace, c, step) => { const name = title(trace, c).replace(/\(.*/, ""); return name.length * 6 + 16 > step ? name.slice(0, Math.max(2, (step - 22) / 6)) : name; };

  /** From the side of a node that looks to where the value goes. */
  function path(from, to, wide) {
    if (from.column === to.column && from.lane === to.lane) {
      const side = from.x + (from.lane === "backward" ? -1 : 1) * (wide / 2), out = side + (from.lane === "backward" ? -9 : 9) * Math.min(1.6, 0.6 + 0.4 * Math.abs(to.row - from.row));
      return `M${side},${from.y} C${out},${from.y} ${out},${to.y} ${side},${to.y}`;
    }
    if (from.column === to.column) {
      const side = from.x + wide / 2, out = side + 11;
      return `M${side},${from.y} C${out},${from.y} ${out},${to.y} ${side},${to.y}`;
    }
    const way = Math.sign(to.x - from.x), a = from.x + (way * wide) / 2, b = to.x - (way * wide) / 2, m = (a + b) / 2;
    return `M${a},${from.y} C${m},${from.y} ${m},${to.y} ${b},${to.y}`;
  }
  return {show};
})();
