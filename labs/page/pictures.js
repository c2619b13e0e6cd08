"use strict";
// The loss over the epochs, and what the network makes of its inputs at one of them.
const Pictures = (() => {
  const width = 300, height = 250, margin = {left: 44, right: 20, top: 24, bottom: 34};

  const plain = (x) => Formula.number(x, 6);

  function axes(id, x, y, xLabel, yLabel, label) {
    const svg = d3.select(id).html("").append("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("role", "img")
      .attr("aria-label", label);
    svg.append("g").attr("transform", `translate(0,${height - margin.bottom})`).call(d3.axisBottom(x).ticks(5).tickFormat(plain));
    svg.append("g").attr("transform", `translate(${margin.left},0)`).call(y.base ? d3.axisLeft(y).tickFormat(y.tickFormat(4, plain)) : d3.axisLeft(y).ticks(4).tickFormat(plain));
    svg.append("text").attr("class", "label").attr("x", width - margin.right).attr("y", height - 4)
      .attr("text-anchor", "end").text(xLabel);
    svg.append("text").attr("class", "label").attr("x", 4).attr("y", 13).text(yLabel);
    return svg;
  }
  const across = (domain) => d3.scaleLinear().domain(domain).range([margin.left, width - margin.right]);
  const up = (domain) => d3.scaleLinear().domain(domain).range([height - margin.bottom, margin.top]);

  /** The scrubber's curve; a click on it goes to the nearest frame. */
  function loss(all, shown, go) {
    const frames = all.filter((f) => f.world === all[shown].world), frame = frames.indexOf(all[shown]);
    const values = frames.map((f) => f.loss).filter((l) => Number.isFinite(l));
    if (!values.length || !Number.isFinite(frames[frame].loss)) values.push(0, 1);
    const [low, high] = d3.extent(values), log = low > 0 && high / low > 50;
    const time = (f) => f.epoch + (f.row || 0) / Training.total(f.world), x = across(d3.extent(frames, time));
    const y = log ? d3.scaleLog().domain([low, high]).range([height - margin.bottom, margin.top])
                  : up([Math.min(0, low), high]).nice();
    const svg = axes("#loss", x, y, "epoch", log ? "loss over all data (log)" : "loss over all data",
                     `Loss ${Formula.number(frames[frame].loss, 4)} at epoch ${frames[frame].epoch}`);
    const known = frames.filter((f) => Number.isFinite(f.loss));
    svg.append("path").attr("class", "curve").attr("d", d3.line().x((f) => x(time(f))).y((f) => y(f.loss))(known.filter((f) => f.by !== "page")));
    svg.append("g").selectAll("line").data(known.filter((f) => f.parent !== undefined && Number.isFinite(all[f.parent].loss))).enter().append("line")
      .attr("class", "own").attr("x1", (f) => x(time(all[f.parent]))).attr("y1", (f) => y(all[f.parent].loss))
      .attr("x2", (f) => x(time(f))).attr("y2", (f) => y(f.loss));
    svg.append("line").attr("class", "now").attr("x1", x(time(frames[frame]))).attr("x2", x(time(frames[frame])))
      .attr("y1", margin.top).attr("y2", height - margin.bottom);
    svg.append("circle").attr("class", "now").attr("r", 4).attr("cx", x(time(frames[frame]))).attr("cy", Number.isFinite(frames[frame].loss) ? y(frames[frame].loss) : margin.top);
    svg.on("click", function () {
      const epoch = x.invert(d3.mouse(this)[0]);
      go(all.indexOf(frames[d3.scan(frames, (a, b) => Math.abs(time(a) - epoch) - Math.abs(time(b) - epoch))]));
    });
  }

  const colours = ["#4292c6", "#e08214", "#8c6bb1"], shapes = [d3.symbolCircle, d3.symbolTriangle, d3.symbolCross];
  /** The colour of the most probable class, the paler the less sure. */
  function ofMost(p) {
    const c = d3.scan(p, d3.descending), sure = (p[c] - 1 / p.length) / (1 - 1 / p.length);
    return d3.interpolateRgb("#ffffff", colours[c])(0.9 * sure);
  }

  function boundary(lesson, frame) {
    const {x: xs, y: ys} = lesson.canvas, x = across(d3.extent(xs)), y = up(d3.extent(ys)), wide = xs.length, {classes} = lesson;
    const several = classes > 2, p = several ? d3.range(xs.length * ys.length).map((i) => frame.picture.slice(i * classes, (i + 1) * classes)) : frame.picture;
    const svg = axes("#picture", x, y, "x₁", "x₂", `Decision boundary at epoch ${frame.epoch}`);
    const back = d3.interpolateRgbBasis(["#4292c6", "#c6dbef", "#ffffff", "#fee0b6", "#e08214"]);
    const w = (x(xs[wide - 1]) - x(xs[0])) / (wide - 1), h = (y(ys[0]) - y(ys[ys.length - 1])) / (ys.length - 1);
    svg.insert("g", "g").attr("shape-rendering", "crispEdges").selectAll("rect").data(p).enter().append("rect")
      .attr("x", (_, i) => x(xs[i % wide]) - w / 2).attr("y", (_, i) => y(ys[Math.floor(i / wide)]) - h / 2)
      .attr("width", w + 0.4).attr("height", h + 0.4).attr("fill", several ? ofMost : back);
    const contours = d3.contours().size([wide, ys.length]);
    const line = several ? d3.range(classes).flatMap((c) => contours.thresholds([0])(p.map((q) => q[c] - d3.max(q.filter((_, k) => k !== c)))))
                         : contours.thresholds([0.5])(p);
    const path = d3.geoPath(d3.geoTransform({point(cx, cy) {
      this.stream.point(x(xs[0]) + (cx - 0.5) * w, y(ys[0]) - (cy - 0.5) * h);
    }}));
    svg.append("clipPath").attr("id", "inside").append("rect").attr("x", margin.left + 1).attr("y", margin.top + 1)
      .attr("width", width - margin.left - margin.right - 2).attr("height", height - margin.top - margin.bottom - 2);
    svg.append("path").attr("class", "boundary").attr("clip-path", "url(#inside)").attr("d", line.map(path).join(""));
    const shape = d3.symbol().size(22);
    svg.append("g").selectAll("path").data(lesson.y).enter().append("path")
      .attr("class", (c) => `class${c}`).attr("d", (c) => shape.type(shapes[c])())
      .attr("transform", (_, i) => `translate(${x(lesson.x[2 * i])},${y(lesson.x[2 * i + 1])})`);
    if (several) return "Shaded: the most probable class, the paler the less sure: blue discs 0, orange triangles 1, violet crosses 2; the lines: where two are equally probable.";
    return "Shaded: the probability of class 1 (orange triangles); blue discs: class 0; the line: probability ½.";
  }

  function curve(lesson, frame) {
    const xs = lesson.canvas.x, x = across(d3.extent(xs));
    const y = up(d3.extent(lesson.y.concat(frame.picture))).nice();
    const svg = axes("#picture", x, y, "x", "y", `Fitted curve at epoch ${frame.epoch}`);
    svg.append("g").selectAll("circle").data(lesson.y).enter().append("circle").attr("class", "point").attr("r", 1.8)
      .attr("cx", (_, i) => x(lesson.x[i])).attr("cy", y);
    svg.append("path").attr("class", "curve").attr("d", d3.line().x((_, i) => x(xs[i])).y(y)(frame.picture));
    return "Points: the data; the line: the model.";
  }

  function rows(lesson, frame) {
    const x = across(d3.extent(lesson.y.concat(frame.picture))).nice(), y = up(x.domain());
    const svg = axes("#picture", x, y, "target", "prediction", `Predictions against targets at epoch ${frame.epoch}`);
    const [low, high] = x.domain();
    svg.append("line").attr("class", "boundary").attr("x1", x(low)).attr("y1", y(low)).attr("x2", x(high)).attr("y2", y(high));
    svg.append("g").selectAll("circle").data(frame.picture).enter().append("circle").attr("class", "point").attr("r", 3)
      .attr("cx", (_, i) => x(lesson.y[i])).attr("cy", y).append("title")
      .text((p, i) => `row ${i}: predicted ${Formula.number(p, 4)}, target ${Formula.number(lesson.y[i], 4)}`);
    return "One point for each row; on the line, prediction and target are equal.";
  }

  function picture(lesson, frame) {
    const caption = {boundary, curve, rows}[lesson.picture](lesson, frame);
    d3.select("#picture").append("p").attr("class", "legend").text(caption + (frame.by === "page" ? " Computed in this page." : ""));
  }
  return {loss, picture};
})();
