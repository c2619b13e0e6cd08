"use strict";
// Tensors as heat maps with their numbers. A colour is never the only cue: the sign stands before the number, the chosen
// element and those that its formula reads have borders of their own.
const Tables = (() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const colours = {false: {minus: d3.interpolateRgb("#ffffff", "#b35806"), plus: d3.interpolateRgb("#ffffff", "#1f5fa8")},
                   true: {minus: d3.interpolateRgb("#1c2026", "#c76a16"), plus: d3.interpolateRgb("#1c2026", "#3478c9")}};

  /** Blue above zero, orange below, the stronger the larger; and the text's colour on it. */
  function shade(x, scale) {
    if (!Number.isFinite(x)) return {background: "#d9d9d9", text: "#111"};
    const t = scale > 0 ? Math.min(1, Math.abs(x) / scale) : 0;
    const {minus, plus} = colours[dark.matches];
    return {background: (x < 0 ? minus : plus)(0.85 * t), text: dark.matches || t > 0.62 ? "#fff" : "#111"};
  }
  const scaleOf = (value) => d3.max(value.data, (x) => (Number.isFinite(Formula.decode(x)) ? Math.abs(x) : 0)) || 0;
  const shapeText = (shape) => (shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`);

  const whose = {given: "given: these numbers can be changed", changed: "given, and changed by you",
                 page: "computed in this page from the changed numbers", "C++": "computed by the library"};

  /**
   * One table. `role` is "result" or "input"; of `hear`, enter(cell, focused) hears of a cell under the pointer or
   * focused, leave() of none, and edit(cell, x) of a number that was typed in (null: the one before). `meaning` is
   * what the symbol stands for, said on the heading under the pointer.
   */
  function table(symbol, title, value, role, number, hear, meaning) {
    const box = d3.create("div").attr("class", `tensor ${role}`);
    const id = `t-${role}-${Formula.codes(symbol)}`;
    const given = Worksheet.isGiven(value);
    const head3 = box.append("h3").attr("id", id).attr("title", meaning).text(`${title} ${value.shape.length ? shapeText(value.shape) : ""} `);
    head3.append("small").attr("class", `by ${value.by === "C++" ? "cpp" : value.by}`).attr("title", whose[value.by]).text(value.by);
    head3.append("small").attr("class", "more");
    const scroller = box.append("div").attr("class", "scroller").attr("data-rows", Formula.rows(value)).attr("data-columns", Formula.columns(value));
    const grid = scroller.append("table").attr("role", "grid").attr("aria-labelledby", id);
    const columns = Formula.columns(value), rows = Formula.rows(value), scale = scaleOf(value);
    const head = grid.append("thead").append("tr");
    const vector = value.shape.length < 2;  // one row, which needs no number
    if (!vector) head.append("td");
    for (let c = 0; c < columns; ++c) head.append("th").attr("scope", "col").text(c);
    // As text, which a browser reads much faster than it takes attributes one by one.
    const hint = given ? " (Enter or a double click changes it)" : "", lines = [];
    for (let r = 0; r < rows; ++r) {
      lines.push(vector ? "<tr>" : `<tr><th scope="row">${r}</th>`);
      for (let c = 0; c < columns; ++c) {
        const flat = r * columns + c, x = Formula.decode(value.data[flat]), {background, text} = shade(x, scale);
        const ghost = Worksheet.ghost(value, flat), before = ghost === null ? "" : Formula.number(ghost, 4);
        const kinds = [given && "given", ghost !== null && "changed", value.flash.has(flat) && "flash"].filter(Boolean).join(" ");
        lines.push(`<td role="gridcell" aria-readonly="${!given}" class="${kinds}" tabindex="${flat === 0 ? 0 : -1}" data-role="${role}"`,
                   ` data-symbol="${symbol}" data-flat="${flat}" style="background: ${background}; color: ${text};"`,
                   ` title="${symbol}[${r},${c}] = ${Formula.number(x, 9)}${before && `, before: ${Formula.number(ghost, 9)}`}${hint}">`,
                   `<span class="n">${Formula.number(x, 4)}</span>${before && `<span class="ghost" aria-label="before">${before}</span>`}</td>`);
      }
      lines.push("</tr>");
    }
    grid.append("tbody").html(lines.join(""))
      .selectAll("td[data-flat]").each(function (_, flat) { this.__data__ = {symbol, flat, role, value: number, given}; });
    const target = (event) => event.target.closest("td[data-flat]");
    const editing = (event) => event.target.tagName === "INPUT";
    grid.on("mouseover", () => { const cell = target(d3.event); if (cell) hear.enter(d3.select(cell).datum(), false); })
      .on("focusin", () => { const cell = target(d3.event); if (cell && !editing(d3.event)) hear.enter(d3.select(cell).datum(), true); })
      .on("click", () => { const cell = target(d3.event); if (cell && !editing(d3.event)) cell.focus(); })
      .on("dblclick", () => { const cell = target(d3.event); if (cell && given) open(cell, value, hear.edit); })
      .on("mouseleave", hear.leave)
      .on("keydown", () => {
        const event = d3.event, cell = target(event);
        if (editing(event)) return;
        if (cell && given && !event.ctrlKey && !event.metaKey && !event.altKey) {
          if (event.key === "Enter" || event.key === "F2" || /^[-−0-9.]$/.test(event.key)) {
            event.preventDefault();
            event.stopPropagation();
            return open(cell, value, hear.edit, event.key.length === 1 ? event.key : undefined);
          }
          if (event.key === "Delete") return hear.edit(d3.select(cell).datum(), null);
        }
        arrow(grid, event, columns, rows);
      });
    return box.node();
  }

  /** Puts a field into a cell. Enter takes the number over, Escape leaves the one that was there. */
  function open(cell, value, edit, text) {
    if (cell.querySelector("input")) return;
    const d = d3.select(cell).datum(), shown = [...cell.childNodes];
    const field = d3.select(cell).html("").append("input").attr("type", "text").attr("inputmode", "text").attr("size", 8)
      .attr("aria-label", `${d.symbol}, element ${d.flat}`).node();
    let done = false;
    field.value = text === undefined ? String(value.data[d.flat]) : text;
    const close = (take) => {
      if (done) return;
      const x = Number(field.value.trim().replaceAll("−", "-").replace(",", "."));
      if (take && (field.value.trim() === "" || !Number.isFinite(x))) {
        field.setAttribute("aria-invalid", "true");
        field.title = "a number, as 0.5 or −1e−3";
        return;
      }
      done = true;
      cell.replaceChildren(...shown);
      if (take) edit(d, x);
      else cell.focus();
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") close(true);
      if (event.key === "Escape") close(false);
    });
    field.addEventListener("blur", () => close(field.getAttribute("aria-invalid") === null));
    field.addEventListener("input", () => field.removeAttribute("aria-invalid"));
    field.focus();
    if (text === undefined) field.select();
  }

  /** Arrows move from cell to cell. */
  function arrow(grid, event, columns, rows) {
    const cell = event.target.closest("td[data-flat]");
    const by = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!cell || !by) return;
    event.preventDefault();
    event.stopPropagation();
    const flat = Number(cell.dataset.flat), r = Math.floor(flat / columns) + by[0], c = (flat % columns) + by[1];
    if (r < 0 || c < 0 || r >= rows || c >= columns) return;
    const next = grid.select(`td[data-flat="${r * columns + c}"]`).node();
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  /** The tables of an assignment: its result, an arrow, and what it reads. */
  function show(trace, assignment, hear) {
    const scrolled = {};
    for (const tensor of document.querySelectorAll("#tensors .scroller")) scrolled[tensor.previousSibling.id] = [tensor.scrollLeft, tensor.scrollTop];
    const box = d3.select("#tensors").html("");
    const updates = assignment.target in assignment.inputs;
    const result = trace.values[assignment.value];
    box.append(() => table(assignment.target, assignment.target + (updates ? " new" : ""), result, "result", assignment.value, hear, Help.meaning(assignment.target, assignment)));
    const inputs = box.append("div").attr("class", "inputs");
    inputs.append("span").attr("class", "made").attr("aria-hidden", "true").text("made of");
    for (const [symbol, number] of Object.entries(assignment.inputs))
      if (trace.values[number].role !== "constant" || Worksheet.isGiven(trace.values[number]))
        inputs.append(() => table(symbol, symbol + (updates && symbol === assignment.target ? " before" : ""),
                                  trace.values[number], "input", number, hear, Help.meaning(symbol, assignment)));
    for (const tensor of document.querySelectorAll("#tensors .scroller"))
      [tensor.scrollLeft, tensor.scrollTop] = scrolled[tensor.previousSibling.id] || [0, 0];
  }

  /**
   * On a wide screen the tables, below all else, are as high as they can be with all of them in sight; in a narrow or low
   * window, where that is out of reach, they keep the height that the style gives them.
   */
  const wide = window.matchMedia("(min-width: 1001px) and (min-height: 500px)");
  function fit() {
    const section = document.getElementById("tensors");
    section.style.removeProperty("--high");
    halve(section);
    sayWhatIsHidden();
    if (!wide.matches) return;
    const room = window.innerHeight - section.offsetTop - 2;
    for (const high of [14, 11, 9, 7.5, 6.5, 5.6, 4.8]) {
      section.style.setProperty("--high", `${high}rem`);
      sayWhatIsHidden();
      if (section.offsetHeight <= room) break;
    }
    revealMarked();
  }

  /** Tables that need more than half of the row share rows in halves; one that is alone has the whole row. */
  function halve(section) {
    const {columnGap, paddingLeft, paddingRight} = getComputedStyle(section);
    const half = (section.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight) - parseFloat(columnGap)) / 2;
    for (const box of section.querySelectorAll(".tensor")) box.classList.toggle("wide", box.querySelector("table").offsetWidth + 2 > half);
  }

  /** A table that is wider or higher than its box says so. */
  function sayWhatIsHidden() {
    const boxes = [...document.querySelectorAll("#tensors .scroller")];
    for (const box of boxes) box.classList.remove("tall", "whole", "tight");
    const over = boxes.map((box) => box.scrollHeight - box.clientHeight), high = over.map((pixels) => pixels >= 24);
    boxes.forEach((box, i) => {
      box.classList.toggle("tall", high[i]);  // its bar gets room of its own, beside the columns
      box.classList.toggle("whole", over[i] > 2 && !high[i]);  // less than a row is not worth a bar
    });
    const lack = () => boxes.map((box) => box.scrollWidth - box.clientWidth);
    lack().forEach((pixels, i) => boxes[i].classList.toggle("tight", pixels > 2 && pixels < 24));  // nor are a few pixels
    const broad = lack().map((pixels) => pixels > 2);
    boxes.forEach((box, i) => {
      box.classList.toggle("broad", broad[i]);
      const {rows, columns} = box.dataset;
      box.parentNode.querySelector(".more").textContent = [broad[i] ? `${columns} columns →` : "", high[i] ? `${rows} rows ↓` : ""].join(" ").trim();
    });
  }

  const cells = (role, symbol) => d3.select("#tensors").selectAll("td[data-flat]")
    .filter((d) => d.role === role && (symbol === undefined || d.symbol === symbol));

  /** Marks the chosen element of the result and the elements that its formula reads. */
  function mark(element, reads) {
    const read = new Set(reads.map(({symbol, flat}) => `${symbol} ${flat}`));
    cells("result").classed("chosen", (d) => d.flat === element).attr("aria-selected", (d) => d.flat === element);
    cells("input").classed("read", (d) => read.has(`${d.symbol} ${d.flat}`));
    revealMarked();
  }
  function revealMarked() {
    for (const scroller of document.querySelectorAll("#tensors .scroller"))
      reveal(scroller, scroller.querySelector("td.chosen, td.read"));
  }

  /** Scrolls a table to a cell, within its own box: the page itself stays where it is. */
  function reveal(box, cell) {
    if (!cell) return;
    const head = 26;  // the row and column numbers, which stay in sight
    if (cell.offsetTop < box.scrollTop + head || cell.offsetTop + cell.offsetHeight > box.scrollTop + box.clientHeight)
      box.scrollTop = cell.offsetTop - box.clientHeight / 2;
    if (cell.offsetLeft < box.scrollLeft + head || cell.offsetLeft + cell.offsetWidth > box.scrollLeft + box.clientWidth)
      box.scrollLeft = cell.offsetLeft - box.clientWidth / 2;
  }

  /** Lights the row and the column of a cell in its table. */
  function cross(cell) {
    d3.selectAll("#tensors td.cross").classed("cross", false);
    d3.selectAll("#tensors td.here").classed("here", false);
    if (!cell) return;
    const same = cells(cell.role, cell.symbol);
    const columns = same.nodes()[0].parentNode.querySelectorAll("td[data-flat]").length;
    same.classed("cross", (d) => Math.floor(d.flat / columns) === Math.floor(cell.flat / columns) ||
                                 d.flat % columns === cell.flat % columns)
      .classed("here", (d) => d.flat === cell.flat);
  }

  return {show, mark, cross, shade, shapeText, dark, fit};
})();
