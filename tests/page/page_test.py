"""python3 page_test.py PROGRAM LAB…: the step-through pages in a headless Chromium.

Every step is opened; each number shown is the trace's; each formula with numbers is worth the number beside it; next
and then previous lead back; the keyboard alone will do; the page computes the step as the library did, and a changed
step as Python does; nothing is said on the console and no request leaves.
Where the browser or a package is missing it says "skipped:" and why.
"""

import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import chromium
import formula
import worksheet

# Of one frame: for each assignment, what is shown of it and of some elements of its result.
COLLECT = """(frame => {
  const {frames} = Page, shown = [];
  frames[frame].trace.assignments.forEach((a, at) => {
    Page.go({frame, at});
    const cells = [...document.querySelectorAll("#tensors td[data-flat]")].map(
        c => [c.dataset.role, c.dataset.symbol, Number(c.dataset.flat), c.querySelector('.n').textContent]);
    const last = frames[frame].trace.values[a.value].data.length - 1, elements = [];
    for (const element of new Set([0, Math.floor(last / 3), Math.floor(last / 2), last])) {
      Page.go({element});
      const {expression, value} = document.getElementById("spoken").dataset;
      elements.push({element, expression, value, spoken: document.getElementById("spoken").textContent,
                     set: document.querySelector("#numbers .katex-html").textContent,
                     chosen: [...document.querySelectorAll("td.chosen")].map(c => Number(c.dataset.flat)),
                     read: document.querySelectorAll("td.read").length});
    }
    shown.push({cells, elements, why: document.getElementById("why").textContent, symbols: document.querySelector("#symbols .katex-html") !== null,
                shapes: document.querySelector("#shapes .katex-html") !== null});
  });
  return shown;
})(%d)"""
PAUSE = "new Promise(done => setTimeout(done, 500))"  # until the address has followed
PICTURE = "JSON.stringify([...document.querySelectorAll('#picture svg *')].map(e => [...e.attributes].map(a => a.value)))"


def decoded(x):
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(x, x)


def number(text):
    text = text.replace("−", "-").replace("∞", "inf")
    return float(text)


def is_shown(text, x, digits):
    shown = number(text)
    return shown == x or (math.isnan(shown) and math.isnan(x)) or abs(shown - x) <= 1.001 * formula.rounding(x, digits)


class Failures:
    def __init__(self):
        self.count, self.checked = 0, 0

    def check(self, good, what):
        self.checked += 1
        if not good:
            self.count += 1
            if self.count <= 20:
                print("FAILED:", what)


def check_frame(browser, frames, frame, fails):
    trace = frames[frame]["trace"]
    for a, shown in zip(trace["assignments"], browser.js(COLLECT % frame), strict=True):
        where = f"frame {frame}, {a['label']} {a['formula']['text']}"
        fails.check(shown["symbols"] and shown["shapes"], f"{where}: not set by KaTeX")
        fails.check(len(shown["why"]) > 20, f"{where}: no sentence that says why")
        tables = {("result", a["target"]): trace["values"][a["value"]]["data"]}
        for symbol, value in a["inputs"].items():
            read = trace["values"][value]
            if read["role"] != "constant" or (len(read["data"]) == 1 and not read["name"][0].isupper()):  # η, but not N
                tables["input", symbol] = trace["values"][value]["data"]
        fails.check(len(shown["cells"]) == sum(map(len, tables.values())), f"{where}: a cell for each number")
        for role, symbol, flat, text in shown["cells"]:
            fails.check(is_shown(text, decoded(tables[role, symbol][flat]), 4), f"{where}: {symbol}[{flat}] shows {text}")
        for e in shown["elements"]:
            value = decoded(trace["values"][a["value"]]["data"][e["element"]])
            fails.check(is_shown(e["value"], value, 6), f"{where}: element {e['element']} shows {e['value']}")
            fails.check(e["chosen"] == [e["element"]], f"{where}: element {e['element']} is marked")
            if not a["element"]:
                continue
            fails.check(e["read"] > 0, f"{where}: no element that was read is marked")
            fails.check(formula.says(e["expression"], number(e["value"])), f"{where}: {e['spoken']}")
            fails.check(e["expression"] in e["spoken"] and e["spoken"].endswith(e["value"]), f"{where}: {e['spoken']}")
            if "e" not in re.sub("[a-z]{2,}", "", e["spoken"]):  # KaTeX writes powers of ten differently
                digits = lambda text: sorted(re.sub(r"[^0-9]", "", re.split("[=←]", text, maxsplit=1)[1]))
                fails.check(digits(e["set"].replace("2more", "2 more")) == digits(e["spoken"]) or "²" in e["spoken"],
                            f"{where}: KaTeX shows {e['set']}, not {e['spoken']}")


def check_moves(browser, frames, fails):
    look = ("(s => { let hash = 7; for (let i = 0; i < s.length; ++i) hash = (hash * 31 + s.charCodeAt(i)) | 0; return [hash, s.length]; })("
            "['formula', 'tensors', 'drawing', 'picture'].map(id => document.getElementById(id).innerHTML).join()"
            " + document.querySelector('nav').innerHTML + JSON.stringify(Page.state))")
    steps = len(frames[0]["trace"]["assignments"])
    for at in [*range(steps - 1), steps - 1]:  # the last leads to the next batch, computed by the page
        browser.js(f"Page.go({{frame: 0, at: {at}}}), document.activeElement.blur()")
        before = browser.js(look)
        browser.key("ArrowRight")
        there = browser.js(look)
        browser.key("ArrowLeft")
        fails.check(there != before and browser.js(look) == before, f"next, then previous, at {at}")
    for key, phase in {"b": "backward", "u": "update", "f": "forward", "l": "loss"}.items():
        browser.key(key, key)
        fails.check(browser.js("Page.frames[Page.state.frame].trace.assignments[Page.state.at].phase") == phase, f"key {key}")
    browser.key("e", "e")
    fails.check(browser.js("[Page.state.frame, Page.state.at]") == [1, 0], "key e")

    browser.js("Page.go({frame: 0, at: 0}), document.getElementById('next').focus()")
    presses = 0
    while not browser.js("document.activeElement.matches('td[data-role=result]')") and presses < 40:
        browser.key("Tab")
        presses += 1
    fails.check(presses < 40, "Tab leads to the result's table")
    size = len(frames[0]["trace"]["values"][frames[0]["trace"]["assignments"][0]["value"]]["data"])
    browser.key("ArrowDown")
    browser.key("ArrowRight")
    fails.check(browser.js("Page.state.element") > 0 and size > 1, "arrows move in the table")
    fails.check(browser.js("Number(document.activeElement.dataset.flat) === Page.state.element"), "the focus stays with the element")

    browser.js("Page.go({frame: 0, at: 0, element: 0}), document.activeElement.blur()")
    browser.hover("td.read")
    fails.check(browser.js("document.querySelectorAll('#numbers .lit').length") > 0, "the term lights up")
    fails.check(browser.js("document.querySelectorAll('td.cross').length") >= 1, "row and column light up")
    fails.check(browser.js("document.querySelectorAll('td.here').length") == 1, "the cell lights up")


def near(a, b):
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-9 * max(1e-3, abs(a), abs(b))


def check_worksheet(browser, frames, fails):
    all_data = "Page.frames[%d].trace.values.map(v => v.data.map(String))"
    for frame in sorted({0, len(frames) // 2, len(frames) - 1}):  # unchanged: the library's numbers
        computed = browser.js(f"Worksheet.recomputed(Page.frames[{frame}].trace).map(v => v.map(String))")
        for value, numbers in zip(frames[frame]["trace"]["values"], computed, strict=True):
            good = all(near(decoded(x), float(y.replace("Infinity", "inf"))) for x, y in zip(value["data"], numbers, strict=True))
            fails.check(good, f"frame {frame}: the page computes {value['name']} as the library does")

    step, frame = worksheet.Step(frames[1]["trace"]), 1
    for value in step.given():
        kind = step.values[value]
        if kind["role"] == "constant" and kind["name"][0].isupper():
            continue
        flat = len(kind["data"]) - 1
        x = kind["data"][flat] * 1.5 + 0.01
        browser.js(f"Page.go({{frame: {frame}, at: 0}}), Page.change({value}, {flat}, {x!r})")
        expected = step.compute({(value, flat): x})
        shown = [[float(y.replace("Infinity", "inf")) for y in v] for v in browser.js(all_data % frame)]
        for v, (a, b) in enumerate(zip(expected, shown, strict=True)):
            fails.check(all(map(near, a, b)), f"{kind['name']}[{flat}] = {x}: {step.values[v]['name']} follows")
        loss = float(browser.js("document.getElementById('sheet').dataset.loss"))
        fails.check(near(loss, step.loss(expected)), f"{kind['name']}[{flat}] = {x}: the loss is {loss}")
        if kind["role"] == "parameter":
            fails.check(loss != step.loss(step.compute()), f"{kind['name']}[{flat}] = {x} changes the loss")
        by = browser.js(f"Page.frames[{frame}].trace.values.map(v => v.by)")
        fails.check(by[value] == "changed" and "page" in by, f"{kind['name']}: whose numbers these are")
        browser.js("Page.reset()")
    back = browser.js(f"Page.frames[{frame}].trace.values.every(v => v.data.every((x, i) => Object.is(x, v.cpp[i])) && v.by !== 'page')")
    fails.check(back, "reset brings the library's numbers back")

    # By keys only: the first given cell of the first assignment.
    browser.js("Page.go({frame: 0, at: 0}), document.activeElement.blur()")
    look = browser.js("document.querySelector('#tensors').textContent")
    browser.js("document.querySelector('td.given[tabindex=\"0\"]').focus()")
    browser.key("7", "7")
    browser.key("Enter", "\r")
    fails.check(browser.js("document.activeElement.matches('td.given.changed')"), "a typed number is taken over, the focus stays")
    fails.check(browser.js("document.activeElement.querySelector('.n').textContent") == "7", "the typed number is shown")
    ghosts = browser.js("[...document.querySelectorAll('td.changed .ghost')].map(g => g.textContent)")
    fails.check(len(ghosts) > 1 and all(g in look for g in ghosts), "the numbers before stay in sight")
    fails.check(browser.js("[...document.querySelectorAll('#tensors .by')].map(b => b.textContent)[0]") == "page", "the result is the page's")
    fails.check(browser.js("document.querySelectorAll('td.flash').length") > 1, "what changed flashes")
    browser.key("7", "7")
    browser.key("x", "x")
    browser.key("Enter", "\r")
    fails.check(browser.js("document.activeElement.getAttribute('aria-invalid')") == "true", "7x is no number")
    browser.key("Escape")
    browser.js("document.getElementById('reset').click()")
    fails.check(browser.js("document.querySelector('#tensors').textContent") == look, "reset")

    # The numeric check: the quotient is Python's and close to the backward's number; at h = 1e-12 it shows rounding.
    trace = frames[0]["trace"]
    for at, a in enumerate(trace["assignments"]):
        if not a["gradient"]:
            continue
        step, flat = worksheet.Step(trace), len(trace["values"][a["value"]]["data"]) - 1
        name = (a["layer"] + "." if a["layer"] else "") + a["target"][1:]
        w = next(i for i in step.given() if step.values[i]["name"] == name)
        browser.js(f"Page.go({{frame: 0, at: {at}, element: {flat}, h: 5}})")
        slope, backward = (float(browser.js(f"document.querySelector('#check dl').dataset.{k}")) for k in ("slope", "backward"))
        losses = [step.loss(step.compute({(w, flat): step.values[w]["data"][flat] + h})) for h in (1e-5, -1e-5)]
        scale = max(1e-3, abs(backward))
        fails.check(abs(slope - (losses[0] - losses[1]) / 2e-5) <= 1e-9 * max(1, abs(losses[0])) * 10 + 1e-7 * scale, f"{name}: quotient {slope}")
        fails.check(abs(slope - backward) <= 1e-5 * scale + 1e-9 * abs(losses[0]), f"{name}: {slope}, backward {backward}")
        fails.check(near(backward, decoded(trace["values"][a["value"]]["data"][flat])), f"{name}: the backward's number")


def check_training(browser, frames, fails):
    """At least three epochs in the page end with the library's weights; a step is the next batch's."""
    last = next(i for i, f in enumerate(frames) if f["epoch"] >= 3)
    browser.js("Page.go({frame: 0, at: 0})")
    look = "document.getElementById('where').textContent"
    browser.js("document.getElementById('step').click()")
    fails.check("batch 2 of" in browser.js(look) or browser.js(look).startswith("epoch 1, batch 1 of 1"), f"a step leads to {browser.js(look)}")
    fails.check(browser.js("document.querySelector('#tensors .by').textContent") == "page", "the step is the page's")
    browser.js("Page.go({frame: 0, at: 0})")
    for _ in range(frames[last]["epoch"]):
        browser.js("document.getElementById('one').click()")
    made = browser.js("(f => ({epoch: f.epoch, loss: f.loss, picture: f.picture, data: f.trace.values.map(v => v.data)}))(Page.frames[Page.state.frame])")
    fails.check(made["epoch"] == frames[last]["epoch"], "epochs are counted")
    for value, data in zip(frames[last]["trace"]["values"], made["data"], strict=True):
        fails.check(all(map(near, map(decoded, value["data"]), map(decoded, data))), f"after {made['epoch']} epochs in the page: {value['name']}")
    fails.check(near(made["loss"], frames[last]["loss"]), f"after {made['epoch']} epochs: loss {made['loss']}, {frames[last]['loss']} of the library")
    picture = browser.js(f"Page.frames[{last}].picture")
    fails.check(all(abs(a - b) <= 1e-4 * max(1, abs(b)) for a, b in zip(made["picture"], picture, strict=True)), "the picture is the library's")
    browser.js("(r => { r.value = 0; r.dispatchEvent(new Event('change')); })(document.getElementById('rate'))")
    browser.js("document.getElementById('one').click()")
    still = browser.js("Page.frames[Page.state.frame].loss")
    fails.check(near(still, made["loss"]), "with η = 0 nothing is learnt")
    browser.js("document.getElementById('train').click(), new Promise(done => setTimeout(done, 300))")
    browser.js("document.getElementById('train').click()")
    fails.check(browser.js("Page.frames[Page.state.frame].epoch") > made["epoch"] + 1, "train goes on by itself")


def check_predict(browser, frames, fails):
    trace = frames[0]["trace"]
    at = next(i for i, a in enumerate(trace["assignments"]) if a["gradient"])
    browser.js(f"Page.go({{frame: 0, at: {at}}}), document.getElementById('predict').click()")
    hidden = "getComputedStyle(document.querySelector('td.chosen .n')).visibility"
    fails.check(browser.js(hidden) == "hidden", "the number asked for is hidden")
    fails.check("?" in browser.js("document.getElementById('spoken').textContent"), "nor is it read out")
    truth = trace["values"][trace["assignments"][at]["value"]]["data"][browser.js("Page.state.element")]

    def answer(x):
        browser.js(f"document.getElementById('answer').value = '{x:.12g}', document.querySelector('#ask button').click()")
        return browser.js("document.getElementById('verdict').textContent")
    fails.check("sign" in answer(-truth), f"a sign: {answer(-truth)}")
    fails.check(browser.js(hidden) == "hidden", "a wrong answer does not show it")
    fails.check("twice" in answer(2 * truth) or "factor" in answer(2 * truth), f"twice: {answer(2 * truth)}")
    fails.check("Right" in answer(truth * 1.0002), f"right to three digits: {answer(truth * 1.0002)}")
    fails.check(browser.js(hidden) == "visible", "the right answer shows it")
    browser.js("document.getElementById('answer').value = '', document.getElementById('answer').focus()")
    for key in "1e-3":
        browser.key(key, key)
    fails.check(browser.js("[document.getElementById('answer').value, Page.state.frame]") == ["1e-3", 0], "1e-3 is typed, not a command")
    browser.js("document.getElementById('predict').click()")
    fails.check(browser.js(hidden) == "visible", "asked no more")


# What is cut off or overlaps: boxes of the page, and texts within a picture.
LAYOUT = """(() => {
  const said = [], wide = document.documentElement.clientWidth;
  const box = e => e.getBoundingClientRect(), shown = e => box(e).width > 0 && box(e).height > 0 && !e.closest(".hidden");
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const name = e => `${e.tagName} ${e.id || e.className.baseVal || e.className || ""} ${e.textContent.trim().slice(0, 25)}`;
  const apart = (list, what) => { const all = [...list].filter(shown); all.forEach((a, i) => all.slice(i + 1).forEach(b => {
    if (over(box(a), box(b))) said.push(`${what}: ${name(a)} over ${name(b)}`); })); };
  if (document.documentElement.scrollWidth > wide) said.push(`wider than ${wide}`);
  apart(document.querySelectorAll("header, nav, section, footer"), "sections");
  for (const s of document.querySelectorAll("nav, section, .buttons, .options, #ask, #formula .links")) apart(s.children, "inside");
  apart(document.querySelectorAll("nav button, nav output"), "controls");
  for (const s of document.querySelectorAll("#tensors .scroller")) {
    const more = s.scrollWidth - s.clientWidth;
    if (more > 2 && more < 12) said.push(`a bar for ${more} pixels: ${name(s.parentNode)}`);
    if (more > 1 && more <= s.offsetWidth - s.clientWidth) said.push(`a bar for the room that the other bar takes: ${name(s.parentNode)}`);
    const over = s.scrollHeight - s.clientHeight;
    if (over > 1 && over <= s.offsetHeight - s.clientHeight) said.push(`a bar for the room that the other bar takes: ${name(s.parentNode)}`);
    const row = [...s.closest("#tensors").querySelectorAll(".scroller")].filter(o => box(o).top < box(s).bottom && box(o).bottom > box(s).top);
    if (more > 1 && row.length === 1 && box(s).width < 0.9 * s.closest("#tensors").clientWidth - 40) said.push(`columns hidden beside an empty place: ${name(s.parentNode)}`);
  }
  for (const t of [...document.querySelectorAll("#network text.number")].filter(shown)) for (const c of document.querySelectorAll("#network circle"))
    if (Math.min(box(t).right, box(c).right) - Math.max(box(t).left, box(c).left) > 3 && Math.min(box(t).bottom, box(c).bottom) - Math.max(box(t).top, box(c).top) > 0.3 * box(t).height)
      said.push(`a number on a node: ${name(t)}`);
  for (const t of document.querySelectorAll("#tensors")) apart(t.querySelectorAll(".tensor"), "tables");
  for (const s of document.querySelectorAll("svg")) {
    apart(s.querySelectorAll("text"), "picture");
    for (const t of [...s.querySelectorAll("text")].filter(shown))
      if (box(t).left < box(s).left - 1 || box(t).right > box(s).right + 1 || box(t).top < box(s).top - 1 || box(t).bottom > box(s).bottom + 1)
        said.push(`cut: ${name(t)}`);
  }
  for (const e of [...document.querySelectorAll("h1, h2, p, button, select, dt, dd, label, td .n, .line > div")].filter(shown)) {
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== "inline" && !e.closest(".scrolls")) said.push(`cut: ${name(e)}`);
    if (!e.closest(".scroller") && (box(e).right > wide + 1 || box(e).left < -1)) said.push(`outside: ${name(e)}`);
  }
  for (const e of [...document.querySelectorAll("button:not(.dot), select, input")].filter(shown))
    if (wide < 500 && (box(e).height < 24 || box(e).width < 24)) said.push(`too small to hit: ${name(e)}`);
  return said;
})()"""


def check_layout(browser, frames, fails):
    for width, height, scheme in ((1280, 800, "light"), (1920, 1080, "dark"), (820, 1180, "light"), (390, 844, "light"), (390, 844, "dark")):
        browser("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        browser("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for at in range(0, len(frames[0]["trace"]["assignments"]), 6 if scheme == "dark" else 1):  # colours move nothing
            browser.js(f"Page.go({{frame: 0, at: {at}, element: 0, edges: 'weight'}}), scrollTo(0, 0)")
            for wrong in browser.js(LAYOUT):
                fails.check(False, f"{width}×{height} {scheme}, assignment {at}: {wrong}")
            for part in ("formula", "tensors", "network") if width == 1280 else ():  # on one screen
                bottom = browser.js(f"document.getElementById('{part}').getBoundingClientRect().bottom")
                fails.check(bottom <= height, f"assignment {at}: {part} ends at {bottom} of {height}")
        contrast = browser.js("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
                              ".map(c => c.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0))")
        fails.check((contrast[0] > contrast[1]) == (scheme == "dark"), f"{scheme}: {contrast}")
    browser("Emulation.clearDeviceMetricsOverride")
    browser("Emulation.setEmulatedMedia", features=[])


def check_graph(browser, frames, fails):
    """A box for each assignment and an arrow for each use; folding; one number picked is marked everywhere."""
    trace = frames[0]["trace"]
    all_of = "[...document.querySelectorAll('#graph .box')].map(b => b.dataset.of)"
    browser.js("Page.go({frame: 0, at: 0})")
    fails.check(sorted(map(int, browser.js(all_of))) == list(range(len(trace["assignments"]))), "a box for each assignment")
    uses = sum(len(set(a["uses"])) for a in trace["assignments"])
    fails.check(browser.js("document.querySelectorAll('#graph .arrow').length") == uses, "an arrow for each use")
    for at in range(len(trace["assignments"])):
        browser.js(f"document.querySelector('#graph .box[data-of=\"{at}\"]').dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
        fails.check(browser.js("Page.state.at") == at, f"a click on box {at} goes there")
        fails.check(browser.js("[...document.querySelectorAll('#graph .at')].map(b => b.dataset.of)") == [str(at)], f"box {at} is lit")
        fails.check(browser.js("document.querySelectorAll('#graph .arrow.read').length") == len(set(trace["assignments"][at]["uses"])), f"what {at} reads is lit")
    head = "document.querySelector('#graph .fold').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    browser.js(head)
    folded = browser.js(all_of)
    fails.check(len(folded) < len(trace["assignments"]), "a layer can be folded")
    fails.check(sorted(int(i) for of in folded for i in of.split()) == list(range(len(trace["assignments"]))), "and nothing is lost")
    browser.js(head)
    fails.check(len(browser.js(all_of)) == len(trace["assignments"]), "and unfolded")

    at, a = next((i, a) for i, a in enumerate(trace["assignments"]) if a["gradient"])
    for symbol, value in a["inputs"].items():
        if len(trace["values"][value]["data"]) < 2:
            continue
        browser.js(f"Page.go({{frame: 0, at: {at}}}), Page.pick({value}, 1)")
        fails.check(browser.js("document.querySelectorAll('#tensors td.picked').length") == 1, f"{symbol}[1] is marked in its table")
        shown = browser.js(f"document.querySelectorAll('#network [data-value=\"{value}\"][data-flat=\"1\"]').length")
        fails.check(browser.js("document.querySelectorAll('#network .picked').length") == shown, f"{symbol}[1] is marked in the network")
    weight = next((v for v, w in enumerate(trace["values"]) if w["role"] == "parameter" and len(w["shape"]) == 2), None)
    if weight is not None:
        browser.js(f"Page.go({{frame: 0, at: {len(trace['assignments']) - 1}, edges: 'weight'}}), Page.pick({weight}, 0)")
        fails.check(browser.js("document.querySelectorAll('#network line.picked').length") == 1, "an edge is marked")
        fails.check(browser.js("document.querySelectorAll('#tensors td.picked').length") == 1, "picked elsewhere, it is gone to")
    browser.js(f"Page.go({{frame: 0, at: {at}, element: 0}}), document.querySelector('#numbers [data-symbol]').click()")
    fails.check(browser.js("document.querySelectorAll('#numbers .picked').length") >= 1, "a number of the formula can be picked")
    browser.key("Escape")
    fails.check(browser.js("document.querySelectorAll('.picked').length") == 0, "Escape picks nothing")


def check_words(browser, frames, fails):
    """Symbols are explained; the chain behind a formula; the lab's text; the browser's Back."""
    trace = frames[0]["trace"]
    for at, a in enumerate(trace["assignments"]):
        browser.js(f"Page.go({{frame: 0, at: {at}}}), document.activeElement.blur()")
        if at == 0:
            browser.key("?", "?")
        terms = browser.js("[...document.querySelectorAll('#help dt')].map(t => t.textContent)")
        fails.check(set([a["target"], *a["inputs"]]) <= set(terms), f"assignment {at}: its symbols are explained: {terms[:6]}")
        hover = browser.js("[...document.querySelectorAll('#tensors h3, #symbols .one')].map(e => e.title.length)")
        fails.check(min(hover) > 10, f"assignment {at}: a symbol is explained under the pointer: {hover}")
    texts = browser.js("[...document.querySelectorAll('#help dd')].map(t => t.textContent)")
    fails.check(all(len(t) > 8 for t in texts), "in words")
    browser.key("Escape")
    fails.check(browser.js("document.getElementById('help').hidden"), "Escape closes it")

    for at, a in enumerate(trace["assignments"]):
        browser.js(f"Page.go({{frame: 0, at: {at}, element: 1}}), document.getElementById('unfold').open = true")
        chained = a["label"] in ("BCEWithLogitsLoss", "CrossEntropyLoss") and a["target"] == "dz"
        browser.js(PAUSE if chained else "0")
        steps = browser.js("document.getElementById('unfold').hidden ? [] : [...document.querySelectorAll('#unfold .step')].map(s => Number(s.dataset.value))")
        fails.check(bool(steps) == chained, f"assignment {at}: a chain to unfold")
        if steps and a["label"] == "CrossEntropyLoss":
            p, t = trace["values"][a["inputs"]["p"]]["data"], int(trace["values"][a["inputs"]["t"]]["data"][0])
            by_p, p_by_z, product, s_by_z, sum_, mean = steps
            fails.check(near(by_p, -1 / p[t]) and near(p_by_z, p[t] * ((t == 1) - p[1])), f"softmax's slope: {steps}")
            fails.check(near(by_p * p_by_z, product) and near(product, p[1] - (t == 1)), f"p cancels: {steps}")
            fails.check(near(s_by_z, p[1]) and near(sum_, p[1] - (t == 1)), f"and through s: {steps}")
            fails.check(near(mean, trace["values"][a["value"]]["data"][1]), f"to the library's δ: {steps}")
        elif steps:
            p, t = (trace["values"][a["inputs"][s]]["data"][1] for s in "pt")
            by_p, p_by_z, product, s_by_z, sum_, mean = steps
            fails.check(near(by_p * p_by_z, product) and near(product, p - t), f"p(1 − p) cancels: {steps}")
            fails.check(near(s_by_z, p - 1) and near(sum_, p - t), f"and through s: {steps}")
            fails.check(near(mean, trace["values"][a["value"]]["data"][1]), f"to the library's δ: {steps}")
    browser.js("document.getElementById('unfold').open = false")

    fails.check(browser.js("document.querySelectorAll('#readme h3').length") > 3, "the lab's text is there")
    browser.js("Page.go({frame: 0, at: 0})")
    links = browser.js("Page.frames[0].trace.assignments.map((a, at) => (Page.go({frame: 0, at}), document.querySelector('#why a')))"
                       ".map(a => a && document.querySelector(a.getAttribute('href'))?.textContent)")
    for a, heading in zip(trace["assignments"], links, strict=True):
        fails.check(heading or a["phase"] == "update", f"{a['label']} {a['target']}: a link leads to a section of it, not to {heading}")
    if browser.js("Page.lesson.name") == "xor":  # of a text that is about more
        fails.check(all(h and "xclusive or" in h for h in links), f"links lead to what is about this network: {links}")

    for at in (1, 3):
        browser.js(f"Page.go({{frame: 0, at: {at}}})")
        browser.js(PAUSE)
    browser.js(f"history.back(), {PAUSE}")
    fails.check(browser.js("Page.state.at") == 1, f"Back leads to the assignment before, not to {browser.js('Page.state.at')}")
    browser.js(f"history.forward(), {PAUSE}")
    fails.check(browser.js("Page.state.at") == 3, "and forward again")


def check_own(browser, frames, fails):
    """Networks of one's own: the page's numbers are Python's, the loss falls, the same seed is the same network."""
    if browser.js("document.getElementById('own').hidden"):
        return
    browser.js("Page.go({frame: 0, at: 0})")

    def begin(data, activation, hidden, seed):
        browser.js("document.getElementById('rate').value = 0.1")
        browser.js(f"(f => {{ f.set.value = '{data}'; f.activation.value = '{activation}'; f.width.value = {hidden}; f.seed.value = {seed};"
                   " f.requestSubmit(); })(document.getElementById('own'))")
        return browser.js("(f => ({loss: f.loss, by: f.by, trace: f.trace}))(Page.frames[Page.state.frame])")
    for k, (data, activation) in enumerate([("moons", "ReLU"), ("circles", "Tanh"), ("spirals", "SiLU"), ("xor", "Sigmoid"),
                                            ("regression", "Tanh"), ("moons", "LeakyReLU"), ("circles", "ELU"), ("xor", "Softplus")]):
        made = begin(data, activation, 5 + k, k)
        what = f"{data}, {activation}"
        widths = [v["shape"] for v in made["trace"]["values"] if v["role"] == "parameter" and v["from"] is None]
        fails.check(widths[0] == [5 + k, 1 if data == "regression" else 2] and widths[-1] == [1], f"{what}: shapes {widths}")
        fails.check(made["by"] == "page" and browser.js("document.querySelector('#tensors .by').textContent") == "page", f"{what}: whose numbers")
        step = worksheet.Step(made["trace"])
        for v, (value, numbers) in enumerate(zip(made["trace"]["values"], step.compute(), strict=True)):
            fails.check(len(value["data"]) == math.prod(value["shape"]) and all(map(near, value["data"], numbers)), f"{what}: {value['name']} ({v})")
        for _ in range(6):
            browser.js("document.getElementById('one').click()")
        loss = browser.js("Page.frames[Page.state.frame].loss")
        fails.check(0 < loss < made["loss"], f"{what}: the loss falls from {made['loss']} to {loss}")
        fails.check(browser.js("document.getElementById('where').textContent").startswith(data), f"{what}: it is said where one is")
        for wrong in browser.js(LAYOUT):
            fails.check(False, f"{what}: {wrong}")
    again, other = begin("xor", "Softplus", 12, 7), begin("xor", "Softplus", 12, 8)
    fails.check(again["loss"] == made["loss"] and other["loss"] != made["loss"], "a seed draws the same again")


def check_scrubber(browser, frames, fails):
    browser.js("Page.go({frame: 0, at: 0}), document.getElementById('epochs').focus()")
    first = browser.js(PICTURE)
    browser.key("End")
    fails.check(browser.js("Page.state.frame === Page.frames.length - 1"), "the scrubber goes to the end")
    fails.check(browser.js(PICTURE) != first, "the scrubber moves the picture")
    browser.js("Page.go({frame: 2, at: 3, example: 1, edges: 'gradient'})")
    browser.js(PAUSE)
    address, look = browser.js("location.href"), browser.js("document.querySelector('main').innerHTML")
    browser.js("Page.go({frame: 0, at: 0, example: 0, edges: 'weight'})")
    browser.js(PAUSE)
    browser.js(f"location.hash = {json.dumps(address.split('#')[1])}")
    browser.js(PAUSE)
    fails.check(browser.js("document.querySelector('main').innerHTML") == look, "the address brings the state back")
    browser.js("location.hash = '#frame=999&at=-4&element=x&example=1e9&edges=none'")
    browser.js(PAUSE)
    fails.check(browser.js("Page.state.at === 0 && Page.state.edges === 'weight'"), "an address that makes no sense is mended")


def check_manners(browser, fails):
    duration = "getComputedStyle(document.querySelector('td[data-flat]')).transitionDuration"
    fails.check(browser.js(duration) != "0s", "transitions")
    browser("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    fails.check(browser.js(duration) == "0s", "no transitions where motion is not wanted")
    for width in (1360, 420):
        browser("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        fails.check(browser.js("document.documentElement.scrollWidth") <= width, f"fits into {width} pixels")
    browser("Emulation.clearDeviceMetricsOverride")
    browser("Emulation.setEmulatedMedia", features=[])


def check_silence(browser, url, fails):
    for event in browser.events:
        method, told = event.get("method"), json.dumps(event.get("params"))[:300]
        fails.check(method not in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"), told)
        if method == "Network.requestWillBeSent":
            asked = event["params"]["request"]["url"]
            fails.check(asked.split("#")[0] == url or asked.startswith(("data:", "about:")), f"a request: {asked[:200]}")


def main():
    program, labs = sys.argv[1], sys.argv[2:]
    browser_program = chromium.find()
    if not browser_program:
        print("skipped: no Chromium here (package chromium)")
        return 77
    fails = Failures()
    with tempfile.TemporaryDirectory() as folder:
        try:
            browser = chromium.Chromium(browser_program)
        except (RuntimeError, OSError) as error:  # a stand-in for a package of another kind, a locked-down machine
            print(f"skipped: {browser_program} does not start here: {error}")
            return 77
        try:
            for lab in labs:
                made = subprocess.run([program, "--out", folder, "open", lab], capture_output=True, text=True, check=False,
                                      env={"PATH": "/usr/bin:/bin"})
                if "of the package" in made.stderr:
                    print("skipped:", made.stderr.strip())
                    return 77
                fails.check(made.returncode == 0, made.stderr)
                url = (pathlib.Path(folder) / lab / "step.html").as_uri()
                browser.open(url)
                frames = browser.js("Page.frames.map(f => ({epoch: f.epoch, loss: f.loss, trace: f.trace}))")
                before = fails.checked
                # What is asked of numbers needs no picture of the page: a low window is painted faster.
                browser("Emulation.setDeviceMetricsOverride", width=1360, height=300, deviceScaleFactor=1, mobile=False)
                for frame in sorted({0, 1, len(frames) // 2, len(frames) - 1}):
                    check_frame(browser, frames, frame, fails)
                check_moves(browser, frames, fails)
                check_worksheet(browser, frames, fails)
                check_scrubber(browser, frames, fails)
                check_predict(browser, frames, fails)
                check_graph(browser, frames, fails)
                check_words(browser, frames, fails)
                check_layout(browser, frames, fails)
                check_training(browser, frames, fails)
                check_own(browser, frames, fails)
                check_manners(browser, fails)
                browser("Emulation.setDeviceMetricsOverride", width=1360, height=300, deviceScaleFactor=1, mobile=False)
                # Of every frame a fifth of the assignments, of frame f those from f mod 5 on: every assignment comes up in a
                # fifth of the frames, which differ in numbers only, and nothing but errors on the console is looked for.
                seen = browser.js(f"(() => {{ const seen = new Set(); for (let frame = 0; frame < {len(frames)}; ++frame)"
                                  " for (let at = frame % 5; at < Page.frames[frame].trace.assignments.length; at += 5)"
                                  " { Page.go({frame, at}); seen.add(at); } return seen.size; })()")
                fails.check(seen == len(frames[0]["trace"]["assignments"]), f"{seen} assignments came up")
                browser("Emulation.clearDeviceMetricsOverride")
                check_silence(browser, url, fails)
                print(f"{lab}: {fails.checked - before} checks, {len(frames)} epochs of {len(frames[0]['trace']['assignments'])} assignments")
        finally:
            browser.close()
    print(f"{fails.count} of {fails.checked} checks failed")
    return 1 if fails.count else 0


if __name__ == "__main__":
    sys.exit(main())
