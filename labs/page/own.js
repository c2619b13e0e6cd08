"use strict";
// A network of one's own: data, activation and width chosen in the page. Its step is one that the library recorded, with
// other sizes; its data and its first weights are drawn here, from the seed.
const Own = (() => {
  /** Numbers from [0, 1), by mulberry32; the same seed draws the same ones everywhere. */
  function draws(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return {uniform, normal};
  }

  /** (x₁, x₂) and the class, or x and y, of one point. */
  const sets = {
    xor: ({uniform, normal}) => {
      const a = uniform() < 0.5 ? 0 : 1, b = uniform() < 0.5 ? 0 : 1;
      return [[a + 0.12 * normal(), b + 0.12 * normal()], a ^ b];
    },
    moons: ({uniform, normal}) => {
      const c = uniform() < 0.5 ? 0 : 1, t = Math.PI * uniform();
      return [[(c ? 1 - Math.cos(t) : Math.cos(t)) + 0.1 * normal(), (c ? 0.5 - Math.sin(t) : Math.sin(t)) + 0.1 * normal()], c];
    },
    circles: ({uniform, normal}) => {
      const c = uniform() < 0.5 ? 0 : 1, t = 2 * Math.PI * uniform(), r = c ? 0.5 : 1;
      return [[r * Math.cos(t) + 0.06 * normal(), r * Math.sin(t) + 0.06 * normal()], c];
    },
    spirals: ({uniform, normal}) => {
      const c = uniform() < 0.5 ? 0 : 1, r = 0.1 + 0.9 * uniform(), t = 2 * Math.PI * (0.75 * r + c / 2);
      return [[r * Math.cos(t) + 0.03 * normal(), r * Math.sin(t) + 0.03 * normal()], c];
    },
    regression: ({uniform, normal}) => {
      const x = 4 * uniform() - 2;
      return [[x], Math.sin(2 * x) + 0.1 * normal()];
    },
  };

  const points = (low, high, count) => d3.range(count).map((i) => low + ((high - low) * i) / (count - 1));
  function axis(values, count) {
    const [low, high] = d3.extent(values), margin = 0.08 * (high - low);
    return points(low - margin, high + margin, count);
  }

  /** What stands in the place of a lesson: data, and how they are drawn. */
  function world(set, seed, batch) {
    const random = draws(seed), drawn = d3.range(200).map(() => sets[set](random)), inputs = drawn[0][0].length;
    const x = drawn.flatMap(([point]) => point), y = drawn.map(([, target]) => target), column = (k) => drawn.map(([point]) => point[k]);
    const canvas = inputs === 2 ? {x: axis(column(0), 40), y: axis(column(1), 40)} : {x: axis(column(0), 160), y: []};
    return {name: set, data: {x, y}, x, y, inputs, canvas, batch, picture: inputs === 2 ? "boundary" : "curve", logits: inputs === 2};
  }

  /**
   * The kit's step for other sizes: x and the parameters get their shapes and numbers, drawn as PyTorch's Linear draws
   * them, from U(−1/√in, 1/√in); all that is made of them follows.
   */
  function sized(kit, world, hidden, rate, seed) {
    const {uniform} = draws(seed + 1), values = kit.values.map((v) => ({...v})), assignments = kit.assignments.map((a) => ({...a}));
    const layers = assignments.filter((a) => a.phase === "forward" && a.inputs.W !== undefined);
    layers.forEach((a, i) => {
      const from = i === 0 ? world.inputs : hidden, to = i + 1 === layers.length ? 1 : hidden, most = 1 / Math.sqrt(from);
      const draw = (count) => d3.range(count).map(() => (2 * uniform() - 1) * most);
      Object.assign(values[a.inputs.W], {shape: [to, from], data: draw(to * from)});
      Object.assign(values[a.inputs.b], {shape: [to], data: draw(to)});
      for (const b of assignments) if (b.layer === a.layer && b.label === a.label) b.sized = `Linear(${from} → ${to})`;
    });
    for (const a of assignments) a.label = a.sized || a.label;
    const x = values[layers[0].inputs.x], rows = x.shape[0];  // N is to grow with the rows: they have to be there
    Object.assign(x, {shape: [rows, world.inputs], data: new Array(rows * world.inputs).fill(0)});
    for (const v of values) if (v.name === "η") v.data = [rate];
    return {...kit, values, assignments};
  }
  return {names: Object.keys(sets), draws, world, sized};
})();
