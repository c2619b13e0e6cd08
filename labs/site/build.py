#!/usr/bin/env python3
"""build.py OUT [--labs PROGRAM] [--pictures DIR] [--strict]: the site, as static files that need no server.

README, CONTRIBUTING and CHANGELOG, the labs' and the exercises' texts, the reference from the headers (Doxygen reads,
reference.py writes), the step-through pages (made by PROGRAM, handgrad-labs) and the labs' pictures, with one index for
the search. --strict fails on an undocumented public name."""
import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import markdown
except ImportError:
    system = "/usr/bin/python3"  # Debian's, which has Debian's packages
    if os.access(system, os.X_OK) and os.path.realpath(sys.executable) != os.path.realpath(system):
        os.execv(system, [system, *sys.argv])
    sys.exit("skipped: no Markdown for Python here (package python3-markdown)")
if not shutil.which("doxygen"):
    sys.exit("skipped: no Doxygen here (package doxygen)")

import formulas
import reference

here = Path(__file__).resolve().parent
root = here.parent.parent
katex = Path("/usr/share/javascript/katex")


class Site:
    def __init__(self, out):
        self.out = out
        self.pages = []   # (address, title, section)
        self.bodies = {}  # address: (title, HTML, headings)
        self.index = []   # of the search: [what, where, kind, text]

    def add(self, address, title, section, body, headings=(), kind="text", indexed=True):
        self.pages.append((address, title, section))
        self.bodies[address] = (title, body, headings)
        if indexed:
            for anchor, heading, text in sections(body, title):
                self.index.append([heading, address + ("#" + anchor if anchor else ""), title if heading != title else kind, text])


def plain(text):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def sections(body, title):
    """(anchor, heading, text) of a page, by its headings."""
    parts = re.split(r'<h([1-3])[^>]*?(?: id="([^"]*)")?[^>]*>(.*?)</h\1>', body, flags=re.S)
    if plain(parts[0]):
        yield "", title, plain(parts[0])[:600]
    for i in range(1, len(parts), 4):
        yield parts[i + 1] or "", plain(parts[i + 2]), plain(parts[i + 3])[:600]


# ---- Markdown

def slug(text):
    return re.sub(r"[^\w]+", "-", text.lower()).strip("-")


def address_of(path):
    """Where a text of the repository stands in the site, or None."""
    parts = path.relative_to(root).parts
    if path.suffix != ".md":
        return None
    if len(parts) == 1:
        return {"README.md": "index.html"}.get(parts[0], parts[0].removesuffix(".md").lower() + ".html")
    if parts == ("lib", "handgrad", "distributed", "README.md"):
        return "distributed.html"
    if parts[:2] == ("packaging", "python"):
        folder = parts[-2]  # python itself, examples, or one of these
        return ("python" if folder == "python" else "python_" + folder) + ".html"
    if parts[:2] == ("labs", "exercises"):
        return "exercises/" + (parts[2] if len(parts) == 4 else "index") + ".html"
    return "labs/" + parts[1] + ".html" if parts[0] == "labs" else None


def with_indices(body):
    """h_t and h_{t+1} in the text, not in code, with their indices set low."""
    parts = re.split(r"(<pre>.*?</pre>|<code>.*?</code>|<[^>]+>)", body, flags=re.S)
    parts[::2] = [re.sub(r"\b(∂?d?[^\W\d_])_(?:\{([^}]*)\}|([A-Za-z0-9]{1,2}))(?![A-Za-z0-9_])", lambda m: f"{m[1]}<sub>{m[2] or m[3]}</sub>", text)
                  for text in parts[::2]]
    return "".join(parts)


def render(path, site, pages_of_headers, depth):
    """A Markdown file as HTML, its links turned to the site's pages."""
    up = "../" * depth
    engine = markdown.Markdown(extensions=["tables", "fenced_code", "sane_lists", "toc"],
                               extension_configs={"toc": {"slugify": lambda text, sep: slug(text)}})
    body = with_indices(engine.convert(path.read_text()))
    body = re.sub(r"<pre><code(?: class=\"language-(\w+)\")?>(.*?)</code></pre>",
                  lambda m: block(html.unescape(m[2]), m[1]), body, flags=re.S)

    def link(match):
        target, anchor = (match[2].split("#") + [""])[:2]
        if "://" in target or target.startswith("mailto:") or not target:
            return match[0]
        file = (path.parent / target).resolve()
        if match[1] == "src":
            copy = "pictures/" + "-".join(file.relative_to(root).parts)
            (site.out / "pictures").mkdir(exist_ok=True)
            shutil.copy(file, site.out / copy)
            return f'{match[1]}="{up}{copy}"'
        if file.is_dir():
            file = file / "README.md"
        address = address_of(file)
        return f'{match[1]}="{up}{address}{"#" + anchor if anchor else ""}"' if address else match[0]

    body = re.sub(r'(href|src)="([^"]*)"', link, body)

    def header(match):
        page = pages_of_headers.get(match[1].removeprefix("lib/").removeprefix("handgrad/"))
        return f'<a href="{up}{page}">{match[0]}</a>' if page else match[0]

    body = re.sub(r"<code>((?:lib/)?(?:handgrad/)?[\w/]+\.hpp)</code>", header, body)
    title = re.search(r"<h1[^>]*>(.*?)</h1>", body, re.S)
    return plain(title[1]) if title else path.parent.name, body, engine.toc_tokens


cpp = re.compile(r'(?P<c>//[^\n]*|/\*.*?\*/)|(?P<s>"(?:\\.|[^"\\\n])*"|&lt;[\w/]+\.hpp&gt;)|(?P<k>\b(?:template|class|struct|using|namespace|const|auto|'
                 r'return|for|if|else|while|void|int|float|double|bool|override|override|public|static|true|false|new|std::size_t|typename|'
                 r'static_cast|noexcept|explicit|virtual|enum|operator)\b|^#\w+)|(?P<n>\b\d[\w.\-]*)', re.M | re.S)


def highlighted(text):
    """C++ with its comments, strings, keywords and numbers marked."""
    out, at = [], 0
    text = html.escape(text, quote=False)
    for m in cpp.finditer(text):
        out.append(text[at:m.start()] + f'<span class="{m.lastgroup}">{m[0]}</span>')
        at = m.end()
    return "".join(out) + text[at:]


def block(text, language):
    text = text.rstrip("\n")
    if language == "cpp":
        return f'<pre class="code">{highlighted(text)}</pre>'
    if language:
        return f'<pre class="code">{html.escape(text, quote=False)}</pre>'
    if re.match(r"(\S+=\S+ )?(\./|\.ci/|cmake |mpirun |pip )", text):
        lines = [re.split(r"\s{2,}", line, maxsplit=1) for line in text.split("\n") if line.strip()]
        if any(line[0] == "" or re.search(r" && ", line[0]) for line in lines):
            return f'<pre class="code">{html.escape(text, quote=False)}</pre>'
        return '<dl class="shell">' + "".join(
            f"<dt><code>{html.escape(l[0], quote=False)}</code></dt><dd>{html.escape(re.sub('^# ', '', l[1]), quote=False) if l[1:] else ''}</dd>" for l in lines) + "</dl>"
    typeset = formulas.typeset(text)
    return typeset or f"<pre>{html.escape(text, quote=False)}</pre>"


# ---- The pages' frame

def navigation(site, address, up):
    out, section = [], None
    for page, title, name in site.pages:
        if name != section:
            if section is not None:
                out.append("</ul></details>")
            current = any(p == address for p, _, n in site.pages if n == name)
            out.append(f'<details{" open" if current or name == "handgrad" else ""}><summary>{html.escape(name)}</summary><ul>')
            section = name
        mark = ' aria-current="page"' if page == address else ""
        shown = re.sub(r"([/_])", r"\1<wbr>", html.escape(title.removesuffix(".hpp")))  # broken there, not within a word
        out.append(f'<li><a href="{up}{page}"{mark}>{shown}</a></li>')
    return "".join(out) + "</ul></details>"


def page(site, address, title, body, headings):
    up = "../" * address.count("/")
    inside = "".join(f'<li><a href="#{t["id"]}">{html.escape(plain(t["name"]))}</a></li>' for h in headings for t in h["children"])
    inside = f'<nav class="inside" aria-label="On this page"><p>On this page</p><ul>{inside}</ul></nav>' if inside.count("<li>") > 2 else ""
    math = 'class="tex"' in body
    names = [a for a, _, _ in site.pages]
    at = names.index(address)
    turn = "".join(f'<a class="{c}" href="{up}{names[i]}">{html.escape(site.pages[i][1])}</a>'
                   for c, i in (("before", at - 1), ("after", at + 1)) if 0 <= i < len(names) and site.pages[i][2] == site.pages[at][2])
    return f'''<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}{"" if title == "handgrad" else " · handgrad"}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{up}site.css">
{f'<link rel="stylesheet" href="{up}katex/katex.min.css"><script defer src="{up}katex/katex.min.js"></script>' if math else ""}
<script defer src="{up}index.js"></script>
<script defer src="{up}site.js" data-up="{up}"></script>
</head>
<body>
<a class="skip" href="#text">To the text</a>
<header>
<button id="menu" aria-controls="pages" aria-expanded="false" aria-label="Pages">☰</button>
<a class="home" href="{up}index.html">handgrad</a>
<div class="search" role="search"><input id="search" type="search" placeholder="Search (press /)" aria-label="Search" autocomplete="off">
<ol id="found" hidden></ol></div>
</header>
<nav id="pages" aria-label="Pages">{navigation(site, address, up)}</nav>
<main id="text">
{body}
<nav class="turn" aria-label="Before and after">{turn}</nav>
</main>
{inside}
</body>
</html>
'''


# ---- What there is

def doxygen(folder):
    settings = (here / "Doxyfile").read_text() + f"OUTPUT_DIRECTORY = {folder}\n"
    result = subprocess.run(["doxygen", "-"], input=settings, cwd=root, capture_output=True, text=True)
    if result.returncode or result.stderr.strip():
        sys.exit("Doxygen has something to say of the headers:\n" + result.stderr)
    return Path(folder) / "xml"


def titles_of(picture):
    """Of gnuplot's plots: the texts in the size of titles."""
    return [html.unescape(t) for t in re.findall(r'font-size="12\.00"[^>]*>\s*<text>(?:<tspan[^>]*>)?([^<]+)', picture.read_text())]


def in_order(path):
    number = re.match(r"(f?)(\d+)", path.parent.name)
    return (number[1], int(number[2])) if number else ("", -1)


def build(out, program=None, pictures=None, strict=False):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    site = Site(out)
    with tempfile.TemporaryDirectory() as folder:
        known = reference.Reference(doxygen(folder), root)
    missing = known.undocumented()
    if strict and missing:
        sys.exit(f"{len(missing)} public names without a comment:\n" + "\n".join(f"  lib/{n.file}:{n.line}: {n.full}" for n in missing))
    headers = list(known.pages())
    pages_of_headers = {file.removeprefix("handgrad/"): known.page_of(file) for file, *_ in headers}

    def text(path, section, title=None):
        address = address_of(path)
        found, body, headings = render(path, site, pages_of_headers, address.count("/"))
        site.add(address, title or found, section, body, headings)
        return address

    text(root / "README.md", "handgrad", "handgrad")
    text(root / "lib/handgrad/distributed/README.md", "handgrad", "Several processes")
    text(root / "packaging/python/README.md", "handgrad", "From Python")
    for path in sorted((root / "packaging/python/examples").rglob("README.md")):
        text(path, "handgrad")
    text(root / "CONTRIBUTING.md", "handgrad")
    text(root / "CHANGELOG.md", "handgrad")

    listed = [line.split(None, 3) for line in (root / "labs/list.txt").read_text().splitlines() if line]
    names = [line[0] for line in listed if (root / "labs" / line[0] / "README.md").is_file()]
    for name in names:
        address = text(root / "labs" / name / "README.md", "Labs", name)
        shown = sorted(Path(pictures).glob(f"{name}/*.svg")) if pictures else []
        if shown:
            (out / "pictures").mkdir(exist_ok=True)
            title, body, headings = site.bodies[address]
            body += '<h2 id="pictures">Pictures</h2>'
            for picture in shown:
                shutil.copy(picture, out / "pictures" / f"{name}-{picture.name}")
                titles = html.escape("; ".join(titles_of(picture)) or picture.stem.replace("_", " "))
                body += (f'<figure><a href="../pictures/{name}-{picture.name}"><img loading="lazy" src="../pictures/{name}-{picture.name}" alt="{titles}"></a>'
                         f'<figcaption>{titles}</figcaption></figure>')
            site.bodies[address] = (title, body, headings)

    if program:
        (out / "step").mkdir()
        lessons = [line[0] for line in listed if line[1] == "step"]
        body = ("<h1>Step by step</h1><p>A training step, one assignment at a time, forward and back: each page is one file and "
                "works without a network.</p><ul>")
        for name in lessons:
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run([program, "open", name, "--out", folder], check=True, stdout=subprocess.DEVNULL,
                               env={k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")})
                shutil.copy(Path(folder) / name / "step.html", out / "step" / f"{name}.html")
            body += f'<li><a href="{name}.html">{name}</a>: {html.escape(next(l[3] for l in listed if l[0] == name).removeprefix("open").strip())}</li>'
        site.add("step/index.html", "Step by step", "Labs", body + "</ul>")

    exercises = root / "labs/exercises"
    text(exercises / "README.md", "Exercises", "The exercises")
    for path in sorted(exercises.glob("*/README.md"), key=in_order):
        text(path, "Exercises")

    body = "<h1>Reference</h1>\n<p>A page for each header; <code>#include &lt;handgrad/handgrad.hpp&gt;</code> has them all.</p>"
    for folder, title in reference.groups:
        of = [h for h in headers if h[1].startswith(folder + "/")]
        if of:
            body += f'<h2 id="{folder}">{title}</h2><dl class="headers">' + "".join(
                f'<dt><a href="{known.page_of(file).removeprefix("reference/")}">{html.escape(name)}</a></dt><dd>'
                + ", ".join(f'<code>{html.escape(n[1])}</code>' for n in found if "::" not in n[1] or n[2] == "function" and "::" not in n[1])
                + "</dd>" for file, name, _, _, found in of) + "</dl>"
    site.add("reference/index.html", "Overview", "Reference", body, indexed=False)
    order = [folder for folder, _ in reference.groups]
    for file, title, head, body, found in sorted(headers, key=lambda h: (order.index(h[1].split("/")[0]) if h[1].split("/")[0] in order else 99, h[1])):
        body = re.sub(r"<pre>(.*?)</pre>", lambda m: block(html.unescape(re.sub(r"<[^>]+>", "", m[1])), "cpp" if re.search(r"[;{]", m[1]) and not re.search("[·Σ∂δ∘←]", m[1]) else None)
                      if "<a " not in m[1] else m[0], body, flags=re.S)
        said = markdown.markdown(re.sub(r"`([^`]*)`", r"`\1`", head)) if head else ""
        address = known.page_of(file)
        site.add(address, title, "Reference", f"<h1>{html.escape(title)}</h1>\n{said}\n{body}", indexed=False)
        for anchor, name, kind, first in found:
            site.index.append([name, f"{address}#{anchor}", kind if kind != "function" else title, first[:300]])

    for address, (title, body, headings) in site.bodies.items():
        file = out / address
        file.parent.mkdir(exist_ok=True)
        file.write_text(page(site, address, title, body, headings))
    (out / "index.js").write_text("const INDEX = " + json.dumps(site.index, ensure_ascii=False, separators=(",", ":")) + ";\n")
    for name in ("site.css", "site.js"):
        shutil.copy(here / name, out)
    if katex.is_dir():
        (out / "katex").mkdir()
        for name in ("katex.min.css", "katex.min.js"):
            shutil.copy(katex / name, out / "katex")
        shutil.copytree(katex / "fonts", out / "katex/fonts", ignore=shutil.ignore_patterns("*.ttf", "*.woff"), dirs_exist_ok=True)
    print(f"{out}/index.html: {len(site.pages)} pages, {len(site.index)} entries to search, {len(missing)} public names without a comment")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labs", help="handgrad-labs, for the step-through pages")
    parser.add_argument("--pictures", help="where the labs left theirs")
    parser.add_argument("--strict", action="store_true", help="fail where a public name has no comment")
    options = parser.parse_args()
    build(options.out.resolve(), options.labs, options.pictures, options.strict)
