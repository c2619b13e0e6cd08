"use strict";
// Where one stands (frame, assignment, element, example), the ways to move, and what is shown. The address keeps it.
const Page = (() => {
  const {lesson, frames, kits, readme} = JSON.parse(document.getElementById("data").textContent);
  const state = {frame: 0, at: 0, element: 0, example: 0, edges: "weight", h: 5};
  const byId = (id) => document.getElementById(id);
  const trace = () => frames[state.frame].trace;
  const assignment = () => trace().assignments[state.at];
  let timer = null, addressLater = null, lastPlace = "";

  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  function settle() {  // every part of the state to something that exists
    state.frame = clamp(state.frame, 0, frames.length - 1);
    state.at = clamp(state.at, 0, trace().assignments.length - 1);
    state.element = clamp(state.element, 0, trace().values[assignment().value].data.length - 1);
    state.example = clamp(state.example, 0, Network.examples(trace()) - 1);
    if (!["weight", "gradient"].includes(state.edges)) state.edges = "weight";
    if (!(state.h >= 1 && state.h <= 12)) state.h = 5;
  }

  function go(change) {
    const before = {...state};
    if (("at" in change || "frame" in change) && !("element" in change)) change.element = 0;
    Object.assign(state, change);
    settle();
    const fresh = state.frame !== before.frame || state.at !== before.at;
    if (fresh) ask();
    show(fresh, state.frame !== before.frame, fresh || state.example !== before.example || state.edges !== before.edges);
    clearTimeout(addressLater);
    addressLater = setTimeout(toAddress, 200);  // browsers do not want it at every move of the pointer
  }
  function toAddress() {
    const address = "#" + Object.entries(state).map(([key, value]) => `${key}=${value}`).join("&");
    if (address === location.hash) return;
    const place = `${state.frame} ${state.at}`;  // the browser's Back leads to the assignment before, not to the last cell
    if (place === lastPlace || lastPlace === "") history.replaceState(null, "", address);
    else history.pushState(null, "", address);
    lastPlace = place;
  }
  function fromAddress() {
    clearTimeout(addressLater);
    const asked = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const number = (key) => (/^\d+$/.test(asked[key] || "") ? Number(asked[key]) : 0);
    Object.assign(state, {frame: number("frame"), at: number("at"), element: number("element"),
                          example: number("example"), edges: asked.edges || "weight", h: Number(asked.h) || 5});
    settle();
    lastPlace = `${state.frame} ${state.at}`;
    show(true, true, true);
  }

  const next = () => {
    if (state.at + 1 < trace().assignments.length) go({at: state.at + 1});
    else step();
  };
  const previous = () => {
    if (state.at > 0) go({at: state.at - 1});
    else if (frames[state.frame].parent !== undefined) go({frame: frames[state.frame].parent, at: trace().assignments.length - 1});
    else if (state.frame > 0) go({frame: state.frame - 1, at: trace().assignments.length - 1});
  };

  // ---- Training in the page: frames of its own behind the library's

  const batch = () => clamp(Math.round(Number(byId("batch").value)) || frames[state.frame].world.batch, 1, Training.total(frames[state.frame].world));
  function arrive(frame, at, element) {
    frames.push(frame);
    byId("epochs").max = frames.length - 1;
    go({frame: frames.length - 1, at, element});
  }
  /** On to the next batch; a step that was made before, and of which nothing was changed since, is not made again. */
  function step(at = 0) {
    const from = state.frame, edits = JSON.stringify([...Worksheet.changes(trace())]) + batch();
    const made = frames.findIndex((f) => f.parent === from && f.made === "step" + edits);
    if (made >= 0) return go({frame: made, at});
    arrive({...Training.step(from, batch()), made: "step" + edits}, at, 0);
  }
  function epoch() { arrive(Training.epoch(state.frame, batch()), state.at, state.element); }
  let training = null;
  function train() {
    if (training !== null) { clearTimeout(training); training = null; }
    else training = setTimeout(function more() { epoch(); if (training !== null) training = setTimeout(more, 40); }, 0);
    byId("train").textContent = training === null ? "train" : "stop";
    byId("train").setAttribute("aria-pressed", String(training !== null));
  }
  function setRate(x) {
    const eta = trace().values.findIndex((v) => v.name === "η" && v.from === null);
    if (eta >= 0 && Number.isFinite(x)) change(eta, 0, x);
  }
  /** Another network, on other data: its first step. */
  function begin(event) {
    event.preventDefault();
    const {set, activation, width, seed} = Object.fromEntries(new FormData(byId("own")));
    const kit = kits.find((k) => k.activation === activation && k.regression === (set === "regression"));
    const number = (text, low, high, other) => (text !== "" && Number.isFinite(Number(text)) ? clamp(Math.round(Number(text)), low, high) : other);
    const draw = number(seed, 0, 4294967295, 0), world = Own.world(set, draw, lesson.batch), wide = number(width, 2, 20, 4);
    const rate = Number(byId("rate").value) || 0.1;
    const trace = Own.sized(kit.trace, world, wide, rate, draw);
    world.title = `${set}, ${activation.toLowerCase()}, ${wide} hidden, seed ${draw}`;
    arrive({...Training.begin(trace, world, batch()), made: "begin"}, 0, 0);
    Pictures.picture(world, frames[state.frame]);
  }
  const phase = (name) => {
    const all = trace().assignments, starts = (a, i) => a.phase === name && (i === 0 || all[i - 1].phase !== name);
    const ahead = all.findIndex((a, i) => i > state.at && starts(a, i));
    go({at: ahead >= 0 ? ahead : all.findIndex(starts)});
  };
  const pause = () => { clearInterval(timer); timer = null; playing(); };
  const play = () => { timer = timer ? (clearInterval(timer), null) : setInterval(next, 1500); playing(); };
  const playing = () => {
    byId("play").textContent = timer ? "pause" : "play";
    byId("play").setAttribute("aria-pressed", String(timer !== null));
  };

  // ---- What is shown

  const set = (id, tex) => katex.render(tex, byId(id), {trust: true, strict: false, throwOnError: true, output: "html"});
  const dimensions = (shape) => (shape.length ? shape.join(" \\times ") : "1");
  const symbolTex = (a) => a.formula.latex.split(/ = | \\leftarrow /)[0];

  function substituted() {
    const a = assignment();
    if (!a.element) return null;
    const symbols = Object.fromEntries(Object.entries(a.inputs).map(([s, v]) => [s, trace().values[v]]));
    const range = Formula.ranges(a.element.expression, symbols);
    const place = Formula.place(a.element.index, trace().values[a.value], state.element);
    return Formula.substitute(a.element.expression, symbols, place, range, 6);
  }
  function coordinates(value) {
    const c = Formula.columns(value);
    return value.data.length === 1 ? "" : value.shape.length === 1 ? `${state.element}`
                                                                     : `${Math.floor(state.element / c)},${state.element % c}`;
  }

  function showFormula() {
    const a = assignment(), value = trace().values[a.value], sign = a.target in a.inputs ? "\\leftarrow" : "=";
    const dots = (latex) => latex.replaceAll("\\circ", "\\cdot");  // of elements ∘ is a product of numbers
    const both = a.element && dots(a.element.latex) !== dots(a.formula.latex) ? [a.formula.latex, a.element.latex] : [a.formula.latex];
    d3.select("#symbols").html("").selectAll("span").data(both).enter().append("span").attr("class", "one")
      .attr("title", Help.lines(a).filter(([symbol]) => symbol === a.target || symbol in a.inputs).map(([symbol, text]) => `${symbol}: ${text}`).join("\n"))
      .each(function (latex) { katex.render(latex, this, {strict: false, throwOnError: true, output: "html"}); });
    const inputs = Object.entries(a.inputs).filter(([s]) => s !== a.target).map(([s, v]) => [symbolTexOf(s), trace().values[v]]);
    const constants = inputs.filter(([, v]) => v.role === "constant" && v.data.length === 1);
    set("shapes", `${symbolTex(a)}:\\,${dimensions(value.shape)}` +
        inputs.filter((input) => !constants.includes(input)).map(([s, v]) => `\\qquad {${s}:\\,${dimensions(v.shape)}}`).join("") +
        constants.map(([s, v]) => `\\qquad {${s} = ${Formula.texNumber(Formula.decode(v.data[0]), 6)}}`).join(""));
    showNumbers(a, value, sign);
  }
  const symbolTexOf = (symbol) => trace().symbols[symbol] || symbol;

  function showNumbers(a, value, sign) {
    const where = coordinates(value), node = substituted(), x = Formula.decode(value.data[state.element]);
    const left = symbolTex(a), base = /_/.test(left) && where ? `{${left}}` : left;
    const result = `\\htmlData{result=1}{${Formula.texNumber(x)}}`;
    const plain = node && Formula.text(node), shown = Formula.number(x);
    const repeats = node && node.number !== undefined;
    set("numbers", `${base}${where ? `_{${where}}` : ""} ${sign} ` +
        (node ? (repeats ? Formula.tex(node) : `${Formula.tex(node)} = ${result}`) : result));
    sayWhatScrolls();
    byId("spoken").textContent = `${a.target}${where ? `[${where}]` : ""} ${a.target in a.inputs ? "←" : "="} ` + (node && !repeats ? `${plain} = ` : "") + shown;
    byId("spoken").dataset.expression = plain || "";
    byId("spoken").dataset.value = shown;
    Tables.mark(state.element, node ? Formula.reads(node) : []);
  }

  function sayWhatScrolls() {
    for (const line of document.querySelectorAll(".line")) {
      const formula = line.querySelector("div");
      line.classList.toggle("scrolls", formula.scrollWidth > formula.clientWidth + 1);
    }
  }

  const name = (i) => {
    const a = trace().assignments[i];
    return `${i + 1} ${a.layer ? a.layer + "." : ""}${a.target}`;
  };
  function link(list, i) {
    list.append("button").attr("class", "link").text(name(i)).on("click", () => go({at: i}));
  }
  function showLinks() {
    const a = assignment(), from = d3.select("#from").html(""), feeds = d3.select("#feeds").html("");
    from.append("span").text("from ");
    if (!a.uses.length) from.append("span").text("what was given");
    for (const i of a.uses) link(from, i);
    feeds.append("span").text("feeds ");
    const users = trace().assignments.map((b, i) => [b, i]).filter(([b]) => b.uses.includes(state.at));
    if (!users.length) feeds.append("span").text("nothing more in this step");
    for (const [, i] of users) link(feeds, i);
  }

  function showPhases() {
    const all = trace().assignments;
    const groups = ["forward", "loss", "backward", "update"].map((p) => [p, all.map((a, i) => [a, i]).filter(([a]) => a.phase === p)]);
    const items = d3.select("#phases").html("").selectAll("li").data(groups).enter().append("li");
    items.append("button").text(([p]) => p).attr("class", "phase").attr("aria-current", ([p]) => (p === assignment().phase ? "step" : null))
      .on("click", ([p]) => phase(p));
    items.append("span").attr("class", "dots").selectAll("button").data(([, list]) => list).enter().append("button")
      .attr("class", ([, i]) => (i === state.at ? "dot now" : i < state.at ? "dot done" : "dot"))
      .attr("tabindex", -1).attr("title", ([, i]) => name(i)).attr("aria-label", ([, i]) => name(i)).on("click", ([, i]) => go({at: i}));
  }

  function show(fresh, otherFrame, otherDrawing) {
    const a = assignment(), frame = frames[state.frame], rows = Training.rowsOf(trace()), all = Training.total(frame.world);
    if (fresh) {
      byId("where").textContent = `${frame.world.title && frame.world !== lesson ? frame.world.title + " · " : ""}epoch ${frame.epoch}, batch ${Math.floor(frame.row / rows) + 1} of ${Math.ceil(all / rows)} · assignment ${state.at + 1} of ${trace().assignments.length}`;
      byId("head").textContent = `${a.layer && a.layer !== "loss" ? a.layer + "  " : ""}${a.label}`;
      const kind = a.gradient === "fresh" ? "fresh gradient" : a.gradient === "accumulated" ? "added to an older gradient"
                 : a.by === "formula" ? "intermediate, computed from its formula" : "";
      d3.select("#head").append("small").text(`${a.phase}${kind ? ", " + kind : ""}`);
      showWhy(a);
      Tables.show(trace(), a, {enter, leave, edit});
      showLinks();
      showPhases();
      showSheet();
    }
    showFormula();
    showUnfolded();
    if (otherFrame) {
      byId("epochs").value = state.frame;
      byId("epochs").setAttribute("aria-valuetext", `epoch ${frame.epoch}${frame.by === "page" ? ", computed in this page" : ""}`);
      byId("epoch").textContent = `${frame.epoch} · loss over all data ${Formula.number(frame.loss, 5)} (${frame.by === "page" ? "page" : "C++"})`;
      showPicture();
      Pictures.loss(frames, state.frame, (i) => go({frame: i, at: state.at, element: state.element}));
      const examples = Network.examples(trace());
      d3.select("#example").html("").selectAll("option").data(d3.range(examples)).enter().append("option").attr("value", (i) => i).text((i) => i);
    }
    showAsk();
    if (fresh) Tables.fit();
    showCheck();
    if (!byId("help").hidden) showHelp();
    if (!otherDrawing) return mark();
    byId("example").value = state.example;
    byId("edges").value = state.edges;
    Network.show(trace(), hiding() ? state.at - 1 : state.at, state.example, state.edges, grab, pick);
    Graph.show(trace(), state.at, (i) => go({at: i}), () => show(false, false, true));
    mark();
  }

  /** The sentence, and where the lab's README says more. */
  function showWhy(a) {
    byId("why").textContent = a.why;
    const at = readme ? Readme.section(readme, a, lesson.name) : -1;
    if (at < 0) return;
    d3.select("#why").append("a").attr("href", `#section-${at}`).text(`more: ${Readme.headings(readme)[at].replace(/^[\d. ]+(and \d+\. )?/, "")}`)
      .on("click", () => {
        d3.event.preventDefault();
        byId("readme").open = true;
        byId(`section-${at}`).scrollIntoView({block: "start"});
      });
  }

  /** Where a formula is what a chain of derivatives has come to: the chain, with the numbers of the chosen element. */
  function showUnfolded() {
    const a = assignment(), chains = a.unfold || [];
    byId("unfold").hidden = !chains.length || hiding();
    if (!chains.length || !byId("unfold").open) return;
    const symbols = Object.fromEntries(Object.entries(a.inputs).map(([s, v]) => [s, trace().values[v]]));
    const place = Formula.place(a.element.index, trace().values[a.value], state.element);
    const box = d3.select("#unfold div").html("");
    for (const {title, steps} of chains) {
      box.append("p").text(title);
      for (const {left, element, right} of steps) {
        const node = Formula.substitute(element.expression, symbols, place, Formula.ranges(element.expression, symbols), 6);
        const formula = element.latex.replace(/^.*?(?: = )/, "");
        box.append("div").attr("class", "step").attr("data-value", node.value).each(function () {
          katex.render(`${left} = ${formula}${right ? " = " + right : ""} = ${Formula.tex(node, 4)} = ${Formula.texNumber(node.value, 6)}`, this,
                       {trust: true, strict: false, throwOnError: true, output: "html"});
        });
      }
    }
  }

  function showHelp() {
    const lines = d3.select("#help dl").html("").selectAll("div").data(Help.lines(assignment())).enter().append("div");
    lines.append("dt").text(([symbol]) => symbol);
    lines.append("dd").text(([, text]) => text);
  }
  function help() {
    byId("help").hidden = !byId("help").hidden;
    byId("ask-help").setAttribute("aria-expanded", String(!byId("help").hidden));
    if (!byId("help").hidden) showHelp();
  }

  // ---- What is picked: one number, the same in tables, formula, network and graph

  let picked = null;
  function pick(value, flat) {
    const a = assignment(), here = a.value === value || Object.values(a.inputs).includes(value);
    picked = {value, flat};
    if (a.value === value) return go({element: flat});
    if (here) return mark();
    const {from} = trace().values[value];
    const at = from !== null ? from : trace().assignments.findIndex((b) => Object.values(b.inputs).includes(value));
    go(from !== null ? {at, element: flat} : {at});
  }
  function mark() {
    d3.selectAll(".picked").classed("picked", false);
    if (!picked) return;
    const {value, flat} = picked, a = assignment();
    d3.selectAll("#tensors td[data-flat]").filter((d) => d.value === value && d.flat === flat).classed("picked", true);
    d3.selectAll(`#network [data-value="${value}"][data-flat="${flat}"]`).classed("picked", true);
    for (const [symbol, v] of Object.entries(a.inputs))
      if (v === value) d3.selectAll(`#numbers [data-symbol="${Formula.codes(symbol)}"][data-flat="${flat}"]`).classed("picked", true);
    const from = trace().values[value] ? trace().values[value].from : null;
    d3.selectAll("#graph .box").filter((n) => n.of.includes(from)).classed("picked", true);
  }
  /** A number of the formula that was clicked. */
  function pickTerm(event) {
    const leaf = event.target.closest("[data-symbol]");
    if (!leaf) return;
    const found = Object.entries(assignment().inputs).find(([s]) => Formula.codes(s) === leaf.dataset.symbol);
    if (found) pick(found[1], Number(leaf.dataset.flat));
  }


  // ---- The worksheet

  /** A number typed into a cell, or dragged; null brings the one before back. */
  function change(value, flat, x) {
    Worksheet.edit(trace(), value, flat, x);
    redraw();
  }
  function edit(cell, x) {
    change(cell.value, cell.flat, x);
    const again = document.querySelector(`#tensors td[data-role="${cell.role}"][data-symbol="${cell.symbol}"][data-flat="${cell.flat}"]`);
    if (again) again.focus();
  }
  function reset() {
    Worksheet.reset(trace());
    redraw();
    byId("next").focus();
  }
  function redraw() {
    show(true, false, true);
    showPicture();
    for (const value of trace().values) value.flash.clear();
  }
  function showSheet() {
    const many = Worksheet.edited(trace()), loss = Worksheet.loss(trace());
    const was = loss && loss.cpp[0], now = loss && loss.data[0];
    byId("reset").hidden = !many;
    byId("sheet").textContent = !many ? "Underlined numbers can be changed: Enter, a double click, or dragging an edge."
      : `${many} ${many === 1 ? "number" : "numbers"} changed; what is made of ${many === 1 ? "it" : "them"} is computed in this page.` +
        (loss ? ` Loss of the batch: ${Formula.number(was, 6)} → ${Formula.number(now, 6)}.` : "");
    const eta = trace().values.find((v) => v.name === "η" && v.from === null);
    byId("rate").closest("label").hidden = !eta;
    if (eta && document.activeElement !== byId("rate")) byId("rate").value = eta.data[0];
    byId("sheet").dataset.loss = loss ? String(now) : "";
  }
  /** The picture of the frame; with changed parameters the page's own. */
  function showPicture() {
    const frame = frames[state.frame];
    const changed = trace().values.some((v) => v.role === "parameter" && v.by === "changed");
    Pictures.picture(frame.world, changed ? {...frame, picture: Training.picture(trace(), frame.world), by: "page"} : frame);
  }

  // ---- Predict

  let predicting = false, answered = false;
  function predict() {
    predicting = !predicting;
    byId("predict").setAttribute("aria-pressed", String(predicting));
    ask();
    show(true, false, true);
  }
  /** The next question: an element whose formula computes something. */
  function ask() {
    answered = false;
    byId("answer").value = "";
    byId("verdict").textContent = "";
    if (!predicting) return;
    const {data} = trace().values[assignment().value], some = d3.range(data.length).filter((i) => data[i] !== 0);
    if (some.length) state.element = some[Math.floor(Math.random() * some.length)];
  }
  const hiding = () => predicting && !answered && substituted() !== null && substituted().number === undefined;
  function showAsk() {
    document.body.classList.toggle("hiding", hiding());
    byId("ask").hidden = !predicting;
    if (!predicting) return;
    const where = coordinates(trace().values[assignment().value]);
    byId("asked").textContent = hiding() || answered ? `${assignment().target}${where ? `[${where}]` : ""}` : "nothing here";
    if (!hiding()) return;
    d3.selectAll("#tensors td.chosen").attr("title", null);
    byId("spoken").textContent = `${assignment().target}[${where}] = ?`;
  }
  function answer(event) {
    event.preventDefault();
    const x = Number(byId("answer").value.trim().replaceAll("−", "-").replace(",", "."));
    if (byId("answer").value.trim() === "" || !Number.isFinite(x) || !substituted()) { byId("verdict").textContent = "A number, as −0.25."; return; }
    const a = assignment(), value = trace().values[a.value], updates = a.target in a.inputs;
    const before = updates ? trace().values[a.inputs[a.target]].data[state.element] : NaN;
    const wrong = Predict.diagnose(x, substituted(), {...value, before}, state.element, updates);
    answered = answered || !wrong;
    byId("verdict").textContent = wrong || `Right: ${Formula.number(substituted().value, 6)}.`;
    if (!wrong) show(false, false, true);
  }
  function give() {
    answered = true;
    byId("verdict").textContent = `It is ${Formula.number(trace().values[assignment().value].data[state.element], 6)}.`;
    show(false, false, true);
  }

  /** The parameter that the numeric check is about: the one whose gradient is chosen, else the one last looked at. */
  let looked = null;
  function chosen() {
    const a = assignment(), values = trace().values;
    if (a.gradient && Worksheet.parameterOf(trace(), a) >= 0) return {value: Worksheet.parameterOf(trace(), a), flat: state.element};
    const fits = (v) => v !== undefined && values[v] && values[v].role === "parameter" && values[v].from === null;
    if (looked && fits(looked.value) && looked.flat < values[looked.value].data.length) return looked;
    const first = Object.values(a.inputs).find(fits), any = values.findIndex((_, v) => fits(v));
    return first !== undefined ? {value: first, flat: 0} : any >= 0 ? {value: any, flat: 0} : null;
  }
  function showCheck() {
    const it = Worksheet.loss(trace()) && chosen();
    byId("h").value = state.h;
    byId("h").setAttribute("aria-valuetext", `h = 10^−${state.h}`);
    if (!it) return Check.show(trace(), null);
    const value = trace().values[it.value], c = Formula.columns(value);
    const where = value.shape.length === 2 ? `${Math.floor(it.flat / c)},${it.flat % c}` : `${it.flat}`;
    Check.show(trace(), it, state.h, `${value.name}[${where}]`);
  }

  /** An edge or an input node is dragged: up is more. */
  function grab(value, flat, event) {
    event.preventDefault();
    const from = event.clientY, start = trace().values[value].data[flat];
    looked = {value, flat};
    let moved = false;
    const move = (e) => { moved = true; change(value, flat, start + Math.round((from - e.clientY) * 2) / 100); };
    const drop = () => {
      if (!moved) pick(value, flat); 
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", drop);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", drop);
  }

  /** A cell under the pointer or the focus: of the result it is put into the formula; its row, column and term light up. */
  function enter(cell, focused) {
    if (cell.role === "input" && cell.given && (!looked || looked.value !== cell.value || looked.flat !== cell.flat)) {
      looked = {value: cell.value, flat: cell.flat};
      showCheck();
    }
    if (cell.role === "result" && cell.flat !== state.element && !predicting) go({element: cell.flat});
    if (focused) { picked = {value: cell.value, flat: cell.flat}; mark(); }
    Tables.cross(cell);
    d3.selectAll("#numbers .lit").classed("lit", false);
    const found = cell.role === "result" ? "[data-result]" : `[data-symbol="${Formula.codes(cell.symbol)}"][data-flat="${cell.flat}"]`;
    d3.selectAll(`#numbers ${found}`).each(function () {
      d3.select(this.closest("[data-term]") || this).classed("lit", true);
    });
  }
  function leave() {
    Tables.cross(null);
    d3.selectAll("#numbers .lit").classed("lit", false);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inControl = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName), inCell = event.target.closest("td[data-flat]");
    const actions = {n: next, p: previous, f: () => phase("forward"), l: () => phase("loss"), b: () => phase("backward"),
                     u: () => phase("update"), e: () => go({frame: state.frame + 1, at: 0}),
                     E: () => go({frame: state.frame - 1, at: 0})};
    if (event.key === "Escape") { if (!byId("help").hidden) help(); picked = null; return mark(); }
    actions["?"] = help;
    if (!inControl && !inCell) Object.assign(actions, {ArrowRight: next, ArrowLeft: previous});
    if (!inControl && event.target.tagName !== "BUTTON" && event.target.tagName !== "SUMMARY") actions[" "] = play;
    if (!actions[event.key] || (inControl && event.target.type !== "range" && event.key.length === 1)) return;  // 1e-3 is typed
    event.preventDefault();
    actions[event.key]();
  }

  /** How KaTeX is to write each symbol: as the library wrote it where it stands as a target or by itself. */
  function nameSymbols() {
    for (const {trace: t} of [...frames, ...kits]) {
      t.symbols = {};
      for (const a of t.assignments) t.symbols[a.target] = symbolTex(a);
      for (const a of t.assignments)
        for (const s of Object.keys(a.inputs))
          if (!t.symbols[s]) t.symbols[s] = {"δ": "\\delta", "η": "\\eta", "λ": "\\lambda", "α": "\\alpha", "ε": "\\varepsilon"}[s] ||
                                            (s.length === 1 ? s : /^[a-z]\d$/.test(s) ? `${s[0]}_${s[1]}` : `\\mathrm{${s.replace("_", "\\_")}}`);
    }
  }

  function start() {
    nameSymbols();
    Training.use(frames);
    for (const frame of frames) { Worksheet.prepare(frame.trace); frame.row = 0; frame.world = lesson; }
    byId("batch").value = lesson.batch;
    byId("batch").max = Training.total(lesson);
    byId("step").onclick = () => step(state.at);
    byId("one").onclick = epoch;
    byId("train").onclick = train;
    byId("rate").onchange = (event) => setRate(Number(event.target.value));
    byId("own").hidden = !kits.length;
    d3.select("#own [name=set]").selectAll("option").data(Own.names).enter().append("option").text((n) => n);
    d3.select("#own [name=activation]").selectAll("option").data([...new Set(kits.map((k) => k.activation))]).enter().append("option").text((n) => n);
    byId("own").onsubmit = begin;
    byId("ask-help").onclick = help;
    byId("unfold").ontoggle = showUnfolded;
    byId("numbers").onclick = pickTerm;
    byId("readme").hidden = !readme;
    if (readme) byId("readme").querySelector("div").innerHTML = Readme.html(readme);
    byId("predict").onclick = predict;
    byId("ask").onsubmit = answer;
    byId("give").onclick = give;
    Tables.dark.addEventListener("change", () => show(true, true, true));
    window.addEventListener("resize", () => { sayWhatScrolls(); Tables.fit(); });
    byId("reset").onclick = reset;
    byId("h").oninput = (event) => go({h: Number(event.target.value)});
    byId("title").textContent = lesson.title;
    byId("summary").textContent = lesson.summary;
    byId("epochs").max = frames.length - 1;
    byId("next").onclick = next;
    byId("previous").onclick = previous;
    byId("play").onclick = play;
    byId("epochs").oninput = (event) => go({frame: Number(event.target.value), at: state.at, element: state.element});
    byId("example").onchange = (event) => go({example: Number(event.target.value)});
    byId("edges").onchange = (event) => go({edges: event.target.value});
    document.addEventListener("keydown", key);
    window.addEventListener("hashchange", fromAddress);
    fromAddress();
  }
  start();
  return {state, frames, lesson, go, next, previous, change, reset, step, epoch, train, pick};
})();
