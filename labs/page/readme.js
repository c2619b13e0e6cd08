"use strict";
// The lab's README, set in the page: headings, paragraphs, lists, tables as they stand, formulas as code.
const Readme = (() => {
  const escape = (text) => text.replace(/&/g, "&amp;").replace(/[<]/g, "&lt;").replace(/>/g, "&gt;");
  const inline = (text) => escape(text).replace(/`([^`]+)`/g, "<code>$1</code>").replace(/\*\*([^*]+)\*\*/g, "<b>$1</b>")
    .replace(/(^|[\s(])\*([^*\s][^*]*)\*/g, "$1<i>$2</i>").replace(/\[([^\]]+)\]\(([^)]+)\)/g, "$1");

  function html(markdown) {
    const out = [];
    let block = [], kind = null, fenced = false, section = 0;
    const close = () => {
      if (block.length) out.push(kind === "pre" ? `<pre>${escape(block.join("\n"))}</pre>`
                               : kind === "ul" ? `<ul>${block.map((b) => `<li>${inline(b)}</li>`).join("")}</ul>` : `<p>${inline(block.join(" "))}</p>`);
      block = [];
      kind = null;
    };
    const add = (to, line) => { if (kind !== to) close(); kind = to; block.push(line); };
    for (const line of markdown.split("\n")) {
      const heading = line.match(/^(#+) (.*)/), item = line.match(/^[-*] (.*)/);
      if (line.startsWith("```")) { close(); fenced = !fenced; }
      else if (fenced || line.startsWith("    ") || line.startsWith("|")) add("pre", line);
      else if (heading) { close(); out.push(`<h3 id="section-${section}">${inline(heading[2])}</h3>`); ++section; }
      else if (item) add("ul", item[1]);
      else if (line.startsWith("  ") && kind === "ul") block[block.length - 1] += " " + line.trim();
      else if (line.trim() === "") { if (kind !== "pre") close(); else block.push(""); }
      else add("p", line);
    }
    close();
    return out.join("\n");
  }
  const headings = (markdown) => markdown.split("\n").filter((l) => /^#+ /.test(l)).map((l) => l.replace(/^#+ /, ""));
  /** The section about what an assignment of a lesson does, by its heading; −1 if none is. */
  function section(markdown, a, lesson) {
    const loss = a.layer.startsWith("loss"), phase = loss && a.phase === "backward" ? "loss" : a.phase;
    const here = {xor: {forward: /exclusive or/i, loss: /exclusive or/i, backward: /exclusive or/i, update: /exclusive or/i},
                  gabor: {forward: /gabor layer/i, loss: /gabor layer/i, backward: /gabor layer/i},
                  network: {loss: /two moons/i}, classes: {forward: /through the network/i}}[lesson] || {};
    const about = here[phase] || {forward: /^Linear/.test(a.label) ? /model|layer|neuron|product/i : /model|activation/i, loss: /loss|error|entropy/i,
                                  backward: /backward|delta rule/i, update: /descent|how fast|fit|line|step/i}[phase];
    return headings(markdown).findIndex((h, i) => i > 0 && about.test(h));
  }
  return {html, headings, section};
})();
