#!/usr/bin/env python3
"""blocks.py OUT PRELUDE [--without COMPONENT]… [--drop TEXT] FILE…: the C++ in texts, as one source file that can be compiled.

From a Markdown file come the blocks fenced as ```cpp, from a header the indented code in its /// comments. What a block
is, its contents say:

    int main() …              a program: its main becomes run()
    template, struct, class, void, BOOST_AUTO_TEST_CASE: declarations
    … override { …            members of a layer
    anything else             statements in a function that knows the names of PRELUDE

Each is a namespace of its own, called by the heading it stands under (or by the header's name). An ellipsis stands for
what a reader puts there: nothing, or any tensor. A block that includes a COMPONENT that is not built is left out.
--drop adds a block once more, as NAME_without, less its line that contains TEXT and less its tests.
Indented blocks of a Markdown file become the strings texts[], for comparing what a program prints with them.
"""
import argparse
import re
import sys
from pathlib import Path


def markdown_blocks(path):
    """(heading, line, language or None where it is indented, text) of every block."""
    heading, blocks, lines = "", [], path.read_text().split("\n")
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if line.startswith("```"):
            end = next(j for j in range(i + 1, len(lines)) if lines[j].startswith("```"))
            blocks.append((heading, i + 2, line[3:].strip(), "\n".join(lines[i + 1:end])))
            i = end
        elif line.startswith("    ") and lines[i - 1].strip() == "":
            end = i
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            blocks.append((heading, i + 1, None, "\n".join(l[4:] for l in lines[i:end]).rstrip()))
            i = end - 1
        i += 1
    return blocks


def is_code(text):
    """C++ rather than a formula or CMake: it has a semicolon or a brace, and none of the formulas' own signs."""
    bare = re.sub(r"//.*|\".*?\"", "", text)
    return re.search(r"[;{]", bare) and not re.search(r"[·Σ∂δ∘←√⌊₀-ₜ]|find_package", bare)


def header_blocks(path):
    blocks, lines = [], path.read_text().split("\n")
    i = 0
    while i < len(lines):
        mark = re.match(r"(\s*(?:///|//))     ", lines[i])
        if not mark:
            i += 1
            continue
        start, text = i, []
        while i < len(lines) and (lines[i].startswith(mark[1] + "     ") or lines[i] == mark[1]):
            text.append(lines[i][len(mark[1]) + 5:])
            i += 1
        text = "\n".join(text).rstrip()
        if is_code(text):
            blocks.append((path.stem, start + 1, "cpp", text))
    return blocks


def without_ellipses(text):
    text = re.sub(r"for \(…\)", "for (;;)", text)
    text = re.sub(r"\(…\)", "(any)", text)
    return re.sub(r"^((?:[^/\n]|/(?!/))*?)…(?!\")", r"\1;", text, flags=re.M)


def finished(text):
    """With a semicolon behind an expression that stands alone on its lines, as `Concat{a, b}.dim(-1)`."""
    done, depth, lines = [], 0, text.split("\n")
    for i, line in enumerate(lines):
        goes_on = i + 1 < len(lines) and re.match(r"\s*(<<|\.|[+*/]|-(?!>))", lines[i + 1])
        code, comment = re.match(r"((?:[^/]|/(?!/))*)(.*)", line).groups()
        depth += sum(code.count(c) for c in "({[") - sum(code.count(c) for c in ")}]")
        if depth == 0 and not goes_on and code.strip() and code.strip()[-1] not in ";{,:" and not code.lstrip().startswith(("#", "template")) \
                and not re.search(r"\)\s*\{.*\}\s*$|^\}\s*$", code.strip()) and not re.search(r"^\{.*\}\s*$", code.strip()):
            code = code.rstrip() + "; "
        done.append(code + comment)
    return "\n".join(done)


def kind_of(text):
    outside, depth = "", 0
    for c in re.sub(r"//.*", "", text):
        depth -= c == "}"
        outside += c if depth == 0 else ""
        depth += c == "{"
    if re.search(r"\bint main\(\)", outside):
        return "program"
    if re.search(r"\boverride\b", outside):
        return "members"
    if re.match(r"\s*(using [^;]*;\s*|namespace \w+ = \w+;\s*)*(template|struct \w+ : hg|struct \w+ \{|class|void|BOOST_AUTO_TEST_CASE)\b", outside):
        return "declarations"
    return "statements"


def wrapped(name, where, line, text, in_markdown):
    includes = re.findall(r"^#include .*$", text, re.M)
    rest = re.sub(r"^#include .*$", "", text, flags=re.M)
    kind = kind_of(rest)
    # Where the text stands, so that an error leads there; includes are left as empty lines.
    at = f'#line {line} "{where}"\n'
    opening = f"namespace {name} {{\n" + ("" if "namespace hg" in rest else "namespace hg = handgrad;\n" if in_markdown else "using namespace handgrad;\n")
    if kind == "program":
        body = at + rest.replace("int main()", "auto run()")
        body += "\n"
    elif kind == "members":
        body = f"struct Mine : texts::Scale<float> {{\n  using T = float;\n{at}{rest}\n}};"
    elif kind == "declarations":
        body = at + finished(without_ellipses(rest)) if not in_markdown else at + rest
    else:
        body = f"[[maybe_unused]] void statements(TEXTS_NAMES) {{\n{{\n{at}{finished(without_ellipses(rest))}\n}}\n}}"
    return includes, f'{opening}{body}\n#line 1 "blocks"\n}}\n', kind


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("prelude")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--drop")
    options = parser.parse_args()

    includes, parts, texts, names, counts = [], [], [], {}, {}
    for path in options.files:
        in_markdown = path.suffix == ".md"
        for heading, line, language, text in markdown_blocks(path) if in_markdown else header_blocks(path):
            if language is None:
                texts.append((line, text))
                continue
            if language != "cpp":
                if language not in ("cmake", "text", "sh", "python"):
                    sys.exit(f"{path}:{line}: a block fenced as '{language}'; use cpp, cmake, sh, python or text")
                continue
            name = re.sub(r"\W+", "_", heading.lower()).strip("_")
            if not in_markdown:
                name = "in_" + name
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                name += f"_{names[name]}"
            if any(re.search(rf"\b{c}\b", text + str(path)) for c in options.without):
                print(f"{path}:{line}: left out, without {options.without}")
                continue
            lines, part, kind = wrapped(name, path, line, text, in_markdown)
            counts[kind] = counts.get(kind, 0) + 1
            includes += [i for i in lines if i not in includes]
            parts.append(part)
            if options.drop and options.drop in text:
                less = "\n".join("" if options.drop in l else l for l in text.split("BOOST_AUTO_TEST_CASE")[0].split("\n"))
                parts.append(wrapped(name + "_without", path, line, less, in_markdown)[1])
    if options.drop and not any("_without {" in part for part in parts):
        sys.exit(f"no block contains '{options.drop}'")
    if not parts:
        sys.exit("no C++ found in " + " ".join(map(str, options.files)))
    strings = "".join(f'  {{{line}, R"texts({text})texts"}},\n' for line, text in texts)
    options.out.write_text(
        "// Made by tests/texts/blocks.py.\n" + "\n".join([f'#include "{options.prelude}"', *includes]) + "\n\n" + "\n".join(parts)
        + ("\n/// The indented blocks: where they stand, and what they say.\nconst std::vector<std::pair<int, std::string>> texts_of_file = {\n" + strings + "};\n" if texts else ""))
    print(", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())), "in", options.out.name)


main()
