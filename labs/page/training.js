"use strict";
// Training in the page: from a frame on, step after step, by the formulas of its trace. A frame made here is like one of
// the library's: the step that comes next, computed, and the loss and the picture before it.
const Training = (() => {
  let lesson = null, frames = null;
  const use = (l, f) => { lesson = l; frames = f; };
  const total = () => lesson.data.y.length / perRow(lesson.data.y);
  const perRow = (y) => y.length / (lesson.data.x.length / lesson.inputs);

  const target = (trace) => trace.values.findIndex((v) => v.from === null && v.name === "target");
  const rowsOf = (trace) => Formula.rows(trace.values[Network.ends(trace).x]);
  /** Where the parameters come from and where the update puts them. */
  const updates = (trace) => trace.assignments.filter((a) => a.phase === "update" && a.target in a.inputs && trace.values[a.inputs[a.target]].from === null)
    .map((a) => ({root: a.inputs[a.target], result: a.value}));

  /** The step over so many rows, with room for them; counts as N follow. */
  function sized(trace, rows) {
    const {x} = Network.ends(trace), y = target(trace), before = rowsOf(trace), given = {};
    for (const v of [x, y]) {
      const shape = [rows, ...trace.values[v].shape.slice(1)];
      given[v] = {shape, data: new Float64Array(shape.reduce((m, n) => m * n, 1))};
    }
    trace.values.forEach((value, v) => {
      if (value.from === null && value.role === "constant" && value.name === "N")
        given[v] = {shape: value.shape, data: Float64Array.of((value.data[0] * rows) / before)};
    });
    const program = Worksheet.program(trace, given);
    return {...program, rows, x, y};
  }
  function fill(step, trace, parameters, row) {
    const {x, y} = lesson.data, wide = lesson.inputs, high = perRow(y);
    trace.values.forEach((value, v) => {  // η and what else was given, as it stands in the frame
      if (value.from === null && value.role === "constant" && value.name !== "N") step.cells[v].data.set(value.data);
    });
    for (const [root, data] of parameters) step.cells[root].data.set(data);
    step.cells[step.x].data.set(x.slice(row * wide, (row + step.rows) * wide));
    step.cells[step.y].data.set(y.slice(row * high, (row + step.rows) * high));
  }

  /** Makes the frame's step, and those after it until `enough(epoch, row)`; returns the frame that then comes next. */
  function advance(frame, batch, enough) {
    const {trace} = frames[frame], moved = updates(trace), sizes = new Map();
    const step = (rows) => sizes.get(rows) || sizes.set(rows, sized(trace, rows)).get(rows);
    let parameters = moved.map(({root, result}) => [root, Float64Array.from(trace.values[result].data)]);
    let {epoch, row} = frames[frame], rows = rowsOf(trace);
    for (;;) {
      row += rows;
      if (row >= total()) { row = 0; ++epoch; }
      rows = Math.min(batch, total() - row);
      const next = step(rows);
      fill(next, trace, parameters, row);
      next.run();
      if (enough(epoch, row)) return made(frame, trace, next, parameters, epoch, row, step(total()));
      parameters = moved.map(({root, result}) => [root, next.cells[result].data.slice()]);
    }
  }
  function made(parent, old, step, parameters, epoch, row, whole) {
    const values = old.values.map((value, v) => ({name: value.name, role: value.role, dtype: "float64", from: value.from,
                                                  shape: step.cells[v].shape, data: Array.from(step.cells[v].data)}));
    const trace = {...old, values, by: "page"};
    if (whole === step) { const again = sized(old, total()); whole = again; }
    fill(whole, old, parameters, 0);
    whole.run(["forward", "loss"]);
    const loss = old.assignments.filter((a) => a.phase === "loss").pop();
    Worksheet.prepare(trace);
    return {epoch, row, loss: whole.cells[loss.value].data[0], picture: picture(trace), trace, by: "page", parent};
  }

  /** What the network with the parameters shown makes of the picture's inputs. */
  function picture(trace) {
    const {x, output} = Network.ends(trace), {canvas} = lesson;
    const inputs = lesson.picture === "boundary" ? canvas.y.flatMap((b) => canvas.x.flatMap((a) => [a, b]))
                 : lesson.picture === "curve" ? canvas.x : lesson.data.x;
    const p = Worksheet.predict(trace, x, output, inputs, inputs.length / lesson.inputs);
    return lesson.logits ? p.map((z) => 1 / (1 + Math.exp(-z))) : p;
  }

  const step = (frame, batch) => advance(frame, batch, () => true);
  const epoch = (frame, batch) => { const {epoch: now} = frames[frame]; return advance(frame, batch, (e) => e > now); };
  return {use, step, epoch, picture, rowsOf, total};
})();
