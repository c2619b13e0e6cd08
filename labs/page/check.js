"use strict";
// The numeric check in view: [L(w + h) − L(w − h)]/2h of one parameter beside the backward's number, for any h.
const Check = (() => {
  const powers = d3.range(1, 12.01, 0.5), width = 330, height = 190, margin = {left: 52, right: 24, top: 24, bottom: 36};
  let key = null, curve = [];
  const error = (a, b) => Math.abs(a - b) / Math.max(1e-300, Math.abs(a), Math.abs(b));

  /** `chosen` is {value, flat} of a parameter, `power` the one of h = 10^−power. */
  function show(trace, chosen, power, name) {
    const box = d3.select("#check").attr("hidden", chosen ? null : true);
    if (!chosen) return;
    const {value, flat} = chosen, gradient = Worksheet.gradientOf(trace, value), w = trace.values[value].data[flat];
    const before = gradient && gradientBefore(trace, gradient), backward = gradient ? gradient.value.data[flat] - (before ? before.data[flat] : 0) : NaN;
    const h = 10 ** -power, {above, below, slope} = Worksheet.slope(trace, value, flat, h), off = error(slope, backward);
    const exact = (x) => Formula.number(x, 12);
    const lines = [["w", `${name} = ${exact(w)}`], ["h", Formula.number(h, 3)], ["L(w + h)", exact(above)], ["L(w − h)", exact(below)],
                   ["[L(w + h) − L(w − h)]/2h", exact(slope)],
                   ["the backward’s number", `${exact(backward)} (${gradient ? gradient.value.by : "not computed"})`],
                   ["they differ by", `${Formula.number(off, 2)} of it`]];
    const rows = box.select("dl").html("").selectAll("div").data(lines).enter().append("div");
    rows.append("dt").text(([what]) => what);
    rows.append("dd").text(([, text]) => text);
    box.select("dl").node().dataset.slope = String(slope);
    box.select("dl").node().dataset.backward = String(backward);
    const now = JSON.stringify([value, flat, trace.values.filter((v) => v.from === null && v.role !== "constant").map((v) => v.data)]);
    if (now !== key) {
      key = now;
      curve = powers.map((p) => ({h: 10 ** -p, error: Math.max(1e-16, error(Worksheet.slope(trace, value, flat, 10 ** -p).slope, backward))}));
    }
    draw(h, Math.max(1e-16, off));
  }
  /** What was in a gradient before this step added to it. */
  function gradientBefore(trace, {at}) {
    const a = trace.assignments[at];
    return a.gradient === "accumulated" ? trace.values[a.inputs[a.target + "_old"]] : null;
  }

  function draw(h, off) {
    const x = d3.scaleLog().domain([1e-12, 1e-1]).range([margin.left, width - margin.right]);
    const y = d3.scaleLog().domain([1e-16, 10]).range([height - margin.bottom, margin.top]).clamp(true);
    const tens = (d) => `1e${Math.round(Math.log10(d))}`.replace("-", "−");
    const svg = d3.select("#vee").html("").append("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("role", "img")
      .attr("aria-label", `Relative difference of differences and backward: ${Formula.number(off, 2)} at h = ${Formula.number(h, 3)}`);
    svg.append("g").attr("transform", `translate(0,${height - margin.bottom})`).call(d3.axisBottom(x).tickValues([1e-12, 1e-9, 1e-6, 1e-3, 1e-1]).tickFormat(tens));
    svg.append("g").attr("transform", `translate(${margin.left},0)`).call(d3.axisLeft(y).tickValues([1e-16, 1e-12, 1e-8, 1e-4, 1]).tickFormat(tens));
    svg.append("text").attr("class", "label").attr("x", width - margin.right).attr("y", height - 4).attr("text-anchor", "end").text("h");
    svg.append("text").attr("class", "label").attr("x", 4).attr("y", 13).text("difference, relative");
    const points = curve.filter((p) => Number.isFinite(p.error));
    svg.append("path").attr("class", "curve").attr("d", d3.line().x((p) => x(p.h)).y((p) => y(p.error))(points));
    svg.append("circle").attr("class", "now").attr("r", 4.5).attr("cx", x(h)).attr("cy", Number.isFinite(off) ? y(off) : y(10));
  }
  return {show};
})();
