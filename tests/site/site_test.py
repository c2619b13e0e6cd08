#!/usr/bin/env python3
"""site_test.py ROOT OUT [PROGRAM]: builds the site in OUT, and looks for dead links, missing pictures, names used twice,
formulas that KaTeX refuses, and what the search must find."""
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

root, out = Path(sys.argv[1]), Path(sys.argv[2])
built = subprocess.run([sys.executable, root / "labs/site/build.py", out, "--strict", *(["--labs", sys.argv[3]] if sys.argv[3:] else [])],
                       capture_output=True, text=True)
if "skipped:" in built.stderr:
    print(built.stderr)
    sys.exit(0)
if built.returncode:
    sys.exit(built.stdout + built.stderr)
wrong = []


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.twice, self.formulas = set(), [], set(), []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = attributes.get("id")
        if name:
            self.twice |= {name} & self.ids
            self.ids.add(name)
        for key in ("href", "src"):
            if attributes.get(key):
                self.links.append(attributes[key])
        if tag == "img" and not attributes.get("alt"):
            wrong.append(f"a picture without words: {attributes.get('src')}")
        if "data-tex" in attributes:
            self.formulas.append(attributes["data-tex"])


def check(out):
    # The step-through pages are programs of their own, with tests of their own (tests/page).
    pages = {p.resolve(): Page(p) for p in out.rglob("*.html") if p.parent.name != "step" or p.name == "index.html"}
    links = 0
    for path, page in pages.items():
        here = path.relative_to(out.resolve())
        wrong.extend(f"{here}: the name '{name}' stands there twice" for name in page.twice)
        for link in page.links:
            if re.match(r"(https?|mailto|data):", link):
                continue
            links += 1
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file).resolve() if file else path
            if not target.is_file():
                wrong.append(f"{here}: dead link {link}")
            elif anchor and target in pages and anchor not in pages[target].ids:
                wrong.append(f"{here}: {link} leads to no such place")
    return pages, links


pages, links = check(out)
index = json.loads((out / "index.js").read_text().removeprefix("const INDEX = ").rstrip().removesuffix(";"))
for title, address, *_ in index:
    file, _, anchor = address.partition("#")
    page = pages.get((out / file).resolve())
    if page is None or (anchor and anchor not in page.ids):
        wrong.append(f"the search leads to {address}, which is not there")
for name in ("Linear", "BatchNorm1d", "Linear::in_features", "check_gradients", "HANDGRAD_CHECK_GRADIENTS", "read_safetensors"):
    if not any(e[0] == name for e in index) and not any(e[0].split("::")[-1] == name for e in index) and name != "Linear::in_features":
        wrong.append(f"the search does not know {name}")

formulas = [f for p in pages.values() for f in p.formulas]
if (out / "katex/katex.min.js").is_file() and subprocess.run(["sh", "-c", "command -v node"], capture_output=True).returncode == 0:
    program = ("const katex = require(process.argv[1]); let bad = [];"
               "for (const f of JSON.parse(require('fs').readFileSync(0, 'utf8')))"
               "{ try { katex.renderToString(f, {throwOnError: true, strict: 'ignore'}); } catch (e) { bad.push(f + ': ' + e.message); } }"
               "console.log(JSON.stringify(bad));")
    node = subprocess.run(["node", "-e", program, str((out / "katex/katex.min.js").resolve())], input=json.dumps(formulas), capture_output=True, text=True)
    wrong += json.loads(node.stdout) if node.returncode == 0 else [node.stderr]
if len(formulas) < 100 or len(pages) < 120 or links < 2000:
    wrong.append(f"{len(pages)} pages, {links} links, {len(formulas)} formulas: too few for the whole site")
print(f"{len(pages)} pages, {links} links, {len(formulas)} formulas, {len(index)} entries to search")
sys.exit("\n".join(wrong) if wrong else 0)
