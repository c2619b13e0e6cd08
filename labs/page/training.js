"use strict";
// Training in the page: from a frame on, step after step, by the formulas of its trace. A frame made here is like one of
// the library's: the step that comes next, computed, and the loss and the picture before it.
const Training = (() => {
  let frames = null;
  const use = (f) => { frames = f; };
  /** How many examples a world has, a lesson or one's own. */
  const total = (world) => world.data.x.length / world.inputs;
  const perRow = (world) => world.data.y.length / total(world);

  const target = (trace) => trace.values.findIndex((v) => v.from === null && v.name === "target");
  const rowsOf = (trace) => Formula.rows(trace.values[Network.ends(trace).x]);
  /** Where the parameters come from and where the update puts them. */
  const updates = (trace) => trace.assignments.filter((a) => a.phase === "update" && a.target in a.inputs && trace.values[a.inputs[a.target]].from === null)
    .map((a) => ({root: a.inputs[a.target], result: a.value}));

  /** The step over so many rows, with room for them; counts as N follow. */
  function sized(trace, rows, world) {
    const {x} = Network.ends(trace), y = target(trace), before = rowsOf(trace), given = {};
    for (const [v, wide] of [[x, world.inputs], [y, perRow(world)]]) {
      const shape = trace.values[v].shape.length === 1 ? [rows] : [rows, wide];  // classes: a number for each row
      given[v] = {shape, data: new Float64Array(shape.reduce((m, n) => m * n, 1))};
    }
    trace.values.forEach((value, v) => {
      if (value.from === null && value.role === "constant" && value.name === "N")
        given[v] = {shape: value.shape, data: Float64Array.of((value.data[0] * rows) / before)};
    });
    const program = Worksheet.program(trace, given);
    return {...program, rows, x, y};
  }
  function fill(step, trace, parameters, row, world) {
    const {x, y} = world.data, wide = world.inputs, high = perRow(world);
    trace.values.forEach((value, v) => {  // η and what else was given, as it stands in the frame
      if (value.from === null && value.role === "constant" && value.name !== "N") step.cells[v].data.set(value.data);
    });
    for (const [root, data] of parameters) step.cells[root].data.set(data);
    step.cells[step.x].data.set(x.slice(row * wide, (row + step.rows) * wide));
    step.cells[step.y].data.set(y.slice(row * high, (row + step.rows) * high));
  }

  /** Makes the frame's step, and those after it until `enough(epoch, row)`; returns the frame that then comes next. */
  function advance(frame, batch, enough) {
    const {trace, world} = frames[frame], moved = updates(trace), sizes = new Map(), all = total(world);
    const step = (rows) => sizes.get(rows) || sizes.set(rows, sized(trace, rows, world)).get(rows);
    let parameters = moved.map(({root, result}) => [root, Float64Array.from(trace.values[result].data)]);
    let {epoch, row} = frames[frame], rows = rowsOf(trace);
    for (;;) {
      row += rows;
      if (row >= all) { row = 0; ++epoch; }
      rows = Math.min(batch, all - row);
      const next = step(rows);
      fill(next, trace, parameters, row, world);
      next.run();
      if (enough(epoch, row)) return made(frame, world, trace, next, parameters, epoch, row);
      parameters = moved.map(({root, result}) => [root, next.cells[result].data.slice()]);
    }
  }
  function made(parent, world, old, step, parameters, epoch, row) {
    const values = old.values.map((value, v) => ({name: value.name, role: value.role, dtype: "float64", from: value.from,
                                                  shape: step.cells[v].shape, data: Array.from(step.cells[v].data)}));
    const trace = {...old, values, by: "page"};
    const whole = sized(old, total(world), world);
    fill(whole, old, parameters, 0, world);
    whole.run(["forward", "loss"]);
    const loss = old.assignments.filter((a) => a.phase === "loss").pop();
    Worksheet.prepare(trace);
    return {epoch, row, loss: whole.cells[loss.value].data[0], picture: picture(trace, world), trace, by: "page", parent, world};
  }

  /** The first step of a network of one's own: `trace` has its parameters, and room for the rest. */
  function begin(trace, world, batch) {
    Worksheet.prepare(trace);
    const parameters = updates(trace).map(({root}) => [root, trace.values[root].cpp]), step = sized(trace, Math.min(batch, total(world)), world);
    fill(step, trace, parameters, 0, world);
    step.run();
    return made(undefined, world, trace, step, parameters, 0, 0);
  }

  function softmax(z) {
    const top = d3.max(z), e = z.map((x) => Math.exp(x - top)), sum = d3.sum(e);
    return e.map((x) => x / sum);
  }

  /** What the network with the parameters shown makes of the picture's inputs. */
  function picture(trace, world) {
    const {x, output} = Network.ends(trace), {canvas} = world;
    const inputs = world.picture === "boundary" ? canvas.y.flatMap((b) => canvas.x.flatMap((a) => [a, b]))
                 : world.picture === "curve" ? canvas.x : world.data.x;
    const p = Worksheet.predict(trace, x, output, inputs, inputs.length / world.inputs);
    if (!world.logits) return p;
    return world.classes > 2 ? d3.range(p.length / world.classes).flatMap((n) => softmax(p.slice(n * world.classes, (n + 1) * world.classes)))
                             : p.map((z) => 1 / (1 + Math.exp(-z)));
  }

  const step = (frame, batch) => advance(frame, batch, () => true);
  const epoch = (frame, batch) => { const {epoch: now} = frames[frame]; return advance(frame, batch, (e) => e > now); };
  return {use, begin, step, epoch, picture, rowsOf, total};
})();
