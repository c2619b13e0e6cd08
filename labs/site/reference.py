"""The reference, a page for each header, from what Doxygen read."""
import html
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import markdown

groups = [("base", "Tensors, devices, random numbers"), ("contract", "What a layer and a loss are"),
          ("containers", "Containers"), ("layers", "Layers"), ("losses", "Losses"), ("init", "Initial values"),
          ("optim", "Optimizers and schedules"), ("data", "Data"), ("metrics", "Metrics"), ("training", "Training"),
          ("tuning", "Tuning"), ("distributed", "Several processes"), ("check", "The gradient check"),
          ("trace", "A step, recorded"), ("io", "Files"), ("onnx", "ONNX")]

# What every container of the standard library has, and means by it.
standard = {"size", "begin", "end", "data", "value_type", "difference_type", "iterator_concept", "iterator_category"}
# Names that are words as well: no link wherever they begin a sentence.
words = {"Derivation", "Value", "Place", "Link", "Array", "Note", "Metric", "History", "State", "Samples", "Split", "Repeat", "Values", "Table",
         "Loss", "Layer", "Shape", "Error", "Device", "Batch", "Study", "Trial", "Trace", "Assignment", "Equation", "Expression"}


def said(element):
    """Whether there is a comment."""
    return any("".join(e.itertext()).strip() for tag in ("briefdescription", "detaileddescription", "inbodydescription")
               for e in element.findall(tag))


class Name:
    """A class, function, alias, …: where it is declared, what is said of it, and what it has."""

    def __init__(self, element):
        self.element = element
        self.id = element.get("id")
        self.kind = element.get("kind")
        full = element.findtext("compoundname") or element.findtext("qualifiedname") or element.findtext("name") or ""
        self.full = re.sub(r"\s+", "", full)
        self.name = self.full.split("::")[-1] if element.tag == "compounddef" else element.findtext("name")
        location = element.find("location")
        self.file = location.get("file") if location is not None else ""
        self.line = int(location.get("line")) if location is not None else 0
        self.last = max(self.line, int(location.get("bodyend") or 0)) if location is not None else 0
        self.said = said(element)
        self.members = []
        self.remark = ""    # behind the declaration, in its line
        self.shares = None  # the member above, whose comment is for this one too


def public(member):
    name = member.findtext("name") or ""
    if name.startswith("~") or (member.get("prot") == "protected" and name.endswith("_")):
        return False
    return member.get("prot") in ("public", "protected")



class Reference:
    def __init__(self, xml, root):
        self.root, self.names, self.by_id, self.files, self.given, self.shown = root, [], {}, {}, {}, set()
        for path in sorted(Path(xml).glob("*.xml")):
            if path.name.startswith(("class", "struct", "namespace", "concept", "union")) or path.name.endswith("_8hpp.xml"):
                for compound in ElementTree.parse(path).getroot().iter("compounddef"):
                    self._compound(compound)
        # Members that are templates or friends appear twice: in their namespace and in their file.
        for name in self.names:
            self.files.setdefault(name.file, []).append(name)
        for names in self.files.values():
            names.sort(key=lambda n: n.line)
            self._share(names)
        for name in self.names:
            self._share(name.members)

    def _compound(self, compound):
        kind, prot = compound.get("kind"), compound.get("prot")
        if prot == "private":
            return
        members = [Name(m) for section in compound.findall("sectiondef") for m in section.findall("memberdef") if public(m)]
        members = list({m.id: m for m in members if m.file.startswith("handgrad/") and m.kind != "friend"}.values())
        if kind in ("namespace", "file"):
            for member in members:
                if member.id not in self.by_id and (kind == "namespace" or member.kind == "define"):
                    if not re.match(r"_?[A-Z_]*(SPECIAL|INSTANT)", member.name):
                        self.by_id[member.id] = member
                        self.names.append(member)
            return
        name = Name(compound)
        if "<" in name.name and not name.said:  # a specialisation
            return
        name.members = sorted(members, key=lambda m: (m.line, int(m.element.find("location").get("column") or 0)))
        self.by_id[name.id] = name
        for member in name.members:
            self.by_id[member.id] = member
        self.names.append(name)

    def _lines(self, file):
        path = self.root / "lib" / file
        return path.read_text().split("\n") if path.is_file() else []

    def _share(self, names):
        """A comment is for the declarations below it up to an empty line."""
        above = None
        for name in names:
            lines = self._lines(name.file)
            remark = re.search(r"[;,{}]\s+//+<?\s+(.*)$", lines[name.line - 1]) if 0 < name.line <= len(lines) else None
            if remark and not name.said:
                name.remark, name.said = remark[1], True
                if above is None or above.file != name.file:
                    above = name
                continue
            if name.said:
                above = name
            elif above is not None and above.file == name.file:
                between = lines[above.line - 1:name.line - 1]
                end = lines[above.last - 1:name.line - 1] if above.last > above.line else between
                if all(l.strip() and not re.match(r"\s*(public|protected|private):", l) for l in end):
                    name.shares = above
                    above_last = max(above.last, name.last)
                    above.last = above_last
                else:
                    above = None

    def undocumented(self):
        """Public names of which a reader is told nothing. Told by what they are: an override, a copy, an operator, a
        constructor, the options of a class that is documented and their fields, what a class's constructor or options
        were given under that name, a layer's parameters and buffers, fields in a row right below what is said of their
        struct, and the names that the standard library's containers have."""
        known = {n.name.split("<")[0] for n in self.names if n.said or n.shares}
        options = {o.name: {m.name for m in o.members} for o in self.names if o.name.endswith("Options")}
        missing = []
        for name in self.names:
            plain = name.name.split("<")[0]
            self.given[plain] = {p.findtext("declname") for m in name.members if m.name == plain for p in m.element.findall("param")}
            for option, fields in options.items():
                if any(option in "".join(m.element.itertext()) for m in name.members if m.name == plain):
                    self.given[plain] |= fields
            if not (name.said or name.shares or self._guide(name) or self.options_of(name) in known
                    or name.name.startswith("operator") or name.full.startswith(("xt::", "handgrad::fusion"))):
                missing.append(name)
            if name.full.startswith("handgrad::fusion"):
                continue
            missing += [m for m in name.members if not m.said and not m.shares and not self._clear(name, m)]
        return missing

    @staticmethod
    def _guide(name):
        return "->" in (name.element.findtext("argsstring") or "") + (name.element.findtext("definition") or "")

    def options_of(self, name):
        """Linear for LinearOptions; a function's name likewise, split for SplitOptions."""
        stem = name.name.removesuffix("Options")
        if stem == name.name:
            return None
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", stem).lower()
        names = {n.name.split("<")[0] for n in self.names}
        return next((n for n in (stem, stem + "Loss", snake, "check_" + snake, snake + "_", stem + "Layer", stem + "Normal") if n in names), None)

    def _clear(self, owner, member):
        e = member.element
        arguments = e.findtext("argsstring") or ""
        plain = owner.name.split("<")[0]
        return (e.find("reimplements") is not None or "override" in arguments or "=delete" in arguments or "=default" in arguments
                or (member.kind == "function" and (member.name == plain or member.name.startswith("operator")))
                or (member.kind == "variable" and owner.said and re.match(r"(Parameter|Buffer)\b", "".join(e.find("type").itertext())))
                or (owner.kind == "struct" and owner.said and member.kind != "function" and self._adjoins(owner, member))
                or member.name in standard or self._guide(member) or owner.name.endswith("Options") or member.name in self.given.get(plain, ()))

    def _adjoins(self, owner, member):
        return all(l.strip() for l in self._lines(owner.file)[owner.line - 1:member.line - 1])

    # ---- pages

    @staticmethod
    def page_of(file):
        return "reference/" + file.removeprefix("handgrad/").removesuffix(".hpp").replace("/", "-") + ".html"

    def link_to(self, refid):
        name = self.by_id.get(refid)
        if name is None or not name.file:
            return None
        return self.page_of(name.file).removeprefix("reference/") + "#" + self.anchor(name)

    @staticmethod
    def anchor(name):
        return name.name.replace("<", "-").replace(">", "") if name.element.tag == "compounddef" else name.id[-12:]

    def text(self, element, code=False):
        """Doxygen's XML as HTML."""
        if element is None:
            return ""
        inner = html.escape(element.text or "")
        for child in element:
            inner += self._one(child, code) + html.escape(child.tail or "")
        return inner

    def _one(self, e, code):
        tag = e.tag
        if tag == "ref":
            link = self.link_to(e.get("refid"))
            return f'<a href="{link}">{self.text(e)}</a>' if link else self.text(e)
        if tag == "para":
            inner = self.text(e)
            blocks = re.split(r"(<(?:pre|ul|ol|table)\b.*?</(?:pre|ul|ol|table)>)", inner, flags=re.S)
            return "".join(b if b.startswith("<") and re.match(r"<(pre|ul|ol|table)", b) else f"<p>{b.strip()}</p>" for b in blocks if b.strip())
        if tag in ("verbatim", "preformatted"):
            return f'<pre>{self.text(e)}</pre>'
        if tag == "programlisting":
            lines = ["".join(" " if x.tag == "sp" else "" for x in ()) + self._codeline(l) for l in e.findall("codeline")]
            return "<pre>" + "\n".join(lines) + "</pre>"
        tags = {"computeroutput": "code", "emphasis": "em", "bold": "strong", "itemizedlist": "ul", "orderedlist": "ol",
                "listitem": "li", "superscript": "sup", "subscript": "sub"}
        if tag in tags:
            return f"<{tags[tag]}>{self.text(e)}</{tags[tag]}>"
        if tag == "ulink":
            return f'<a href="{html.escape(e.get("url"))}">{self.text(e)}</a>'
        if tag == "linebreak":
            return "<br>"
        if tag == "sp":
            return " "
        signs = {"ndash": "–", "mdash": "—", "nonbreakablespace": " ", "acute": "´", "lsquo": "‘", "rsquo": "’"}
        return signs.get(tag, "") + self.text(e)

    def _codeline(self, e):
        out = html.escape(e.text or "")
        for child in e:
            if child.tag == "sp":
                out += " "
            elif child.tag == "ref":
                out += self._one(child, True).replace("\n", "")
            else:
                out += self._codeline(child)
            out += html.escape(child.tail or "")
        return out

    def comment(self, name):
        """From the header itself, where formulas stand in lines of their own; else what Doxygen made of it."""
        lines, i = self._lines(name.file), name.line - 2
        above = 4
        while i >= 0 and above and not lines[i].lstrip().startswith("///") and lines[i].strip() and not re.search(r"[;{}]\s*$", lines[i]):
            i, above = i - 1, above - 1
        text = []
        while i >= 0 and re.match(r"\s*///(?!<)", lines[i]):
            text.insert(0, re.sub(r"^\s*/// ?", "", lines[i]))
            i -= 1
        if text:
            return self.markdown(text)
        return "".join(self.text(name.element.find(tag)) for tag in ("briefdescription", "detaileddescription", "inbodydescription"))

    def markdown(self, lines):
        spaced, before = [], ""
        for line in lines:  # an indented line is a block, also right below a text
            if line.startswith("    ") != before.startswith("    ") and line and before:
                spaced.append("")
            spaced.append(line)
            before = line
        html_text = markdown.markdown("\n".join(l if l.startswith("    ") else l.replace("](", "]\\(") for l in spaced), extensions=["sane_lists"])
        html_text = re.sub(r"<pre><code>(.*?)</code></pre>", r"<pre>\1</pre>", html_text, flags=re.S)
        links = {n.name: self.link_to(n.id) for n in self.names if n.element.tag == "compounddef" and len(n.name) > 3 and n.name not in words}
        parts = re.split(r"(<pre>.*?</pre>|<[^>]+>)", html_text, flags=re.S)
        return "".join(p if p.startswith("<") else re.sub(
            r"(?<![.:])\b[A-Z][A-Za-z0-9]+\b", lambda m: f'<a href="{links[m[0]]}">{m[0]}</a>' if links.get(m[0]) else m[0], p) for p in parts)

    def template(self, element):
        parameters = element.find("templateparamlist")
        if parameters is None:
            return ""
        parts = []
        for p in parameters.findall("param"):
            part = self.text(p.find("type"))
            if p.findtext("declname") and not part.endswith(p.findtext("declname")):
                part += " " + html.escape(p.findtext("declname"))
            if p.find("defval") is not None:
                part += " = " + self.text(p.find("defval"))
            parts.append(part)
        return f'<span class="template">template &lt;{", ".join(parts)}&gt;</span>'

    def signature(self, name):
        e = name.element
        if name.kind in ("class", "struct", "union"):
            bases = [("" if b.get("prot") == "public" else b.get("prot") + " ") + self._base(b) for b in e.findall("basecompoundref")
                     if "detail" not in (b.text or "")]
            return self.template(e) + f'{name.kind} <b>{html.escape(name.name)}</b>' + (" : " + ", ".join(bases) if bases else "")
        if name.kind == "define":
            parameters = [p.findtext("defname") or "" for p in e.findall("param")]
            return f'#define <b>{name.name}</b>' + (f'({", ".join(parameters)})' if parameters else "")
        if name.kind == "enum":
            values = ", ".join(html.escape(v.findtext("name")) for v in e.findall("enumvalue"))
            return f'enum {"class " if e.get("strong") == "yes" else ""}<b>{name.name}</b> {{ {values} }}'
        if name.kind == "concept":
            return self.template(e) + f"concept <b>{html.escape(name.name)}</b>"
        kind = self.text(e.find("type"))
        front = "".join(w + " " for w in ("static", "explicit") if e.get(w) == "yes" and w not in kind)
        front += "virtual " if e.get("virt") in ("virtual", "pure-virtual") and "override" not in (e.findtext("argsstring") or "") else ""
        if name.kind == "typedef":
            return self.template(e) + f'using <b>{html.escape(name.name)}</b> = {kind}'
        arguments = html.escape(e.findtext("argsstring") or "")
        if name.kind == "function" and e.find("param") is not None:
            parts = []
            for p in e.findall("param"):
                part = self.text(p.find("type")) + (" " + html.escape(p.findtext("declname")) if p.findtext("declname") else "")
                part += html.escape(p.findtext("array") or "")
                if p.find("defval") is not None:
                    part += " = " + self.text(p.find("defval"))
                parts.append(part)
            rest = e.findtext("argsstring") or ""
            rest = rest[rest.rfind(")") + 1:]
            if len(re.sub("<.*?>", "", ", ".join(parts))) > 70:
                arguments = "(" + ",\n    ".join(parts) + ")" + html.escape(rest)
            else:
                arguments = "(" + ", ".join(parts) + ")" + html.escape(rest)
        value = ""
        if name.kind == "variable" and e.find("initializer") is not None:
            value = " " + self.text(e.find("initializer")) if len(e.findtext("initializer") or "") < 60 else ""
        return self.template(e) + front + (kind + " " if kind else "") + f"<b>{html.escape(name.name)}</b>" + arguments + value

    def _base(self, b):
        link = self.link_to(b.get("refid")) if b.get("refid") else None
        text = html.escape(re.sub(r"handgrad::|\s(?=[<>])|(?<=<)\s", "", b.text or ""))
        text = text.replace("&lt;float&gt;", "&lt;T&gt;")
        return f'<a href="{link}">{text}</a>' if link else text

    def entry(self, names, level):
        """Declarations in a row with their one comment."""
        lines = "".join(f'<span class="declaration"{self._id(n)}>{self.signature(n)}</span>' for n in names)
        lines = re.sub(r"&lt; (?!=)", "&lt;", re.sub(r"(?<! )(?<!=) &gt;", "&gt;", lines))
        comment = self.comment(names[0]) or (f"<p>{html.escape(names[0].remark)}</p>" if names[0].remark else "")
        of = self.options_of(names[0])
        if not comment and of:
            comment = f'<p class="soft">The options of {html.escape(of)}.</p>'
        if not comment:
            above = names[0].element.find("reimplements")
            link = self.link_to(above.get("refid")) if above is not None else None
            comment = f'<p class="soft">See <a href="{link}">{html.escape(above.text or "")}</a> of the class above.</p>' if link else ""
        return f'<div class="entry level{level}"><pre class="signature">{lines}</pre>{comment}</div>'

    def _id(self, name):
        """Once: `using Base::f` shows a member a second time."""
        place = name.file, self.anchor(name)
        if place in self.shown:
            return ""
        self.shown.add(place)
        return f' id="{self.anchor(name)}"'

    def runs(self, names):
        run = []
        for name in names:
            if run and name.shares is not None and name.shares is run[0]:
                run.append(name)
                continue
            if run:
                yield run
            run = [name]
        if run:
            yield run

    def head_comment(self, file):
        """What a header says of itself, before its first declaration."""
        text = []
        for line in self._lines(file)[1:]:
            if not line.startswith("// ") and line != "//":
                break
            text.append(line[3:])
        return "\n".join(text)

    def pages(self):
        """(file, title, HTML, [(anchor, name, kind, first sentence)])"""
        for file, names in sorted(self.files.items()):
            if not file.startswith("handgrad/") or not file.endswith(".hpp"):
                continue
            body, found = [f'<pre class="include">#include &lt;{file}&gt;</pre>'], []
            head = self.head_comment(file)
            yield_head = head
            shown = [n for n in names if not self._guide(n)]
            for run in self.runs(shown):
                if run[0].element.tag == "compounddef":
                    for name in run:
                        body.append(f'<h2 class="name">{html.escape(name.name)}</h2>' + self.entry([name], 0))
                        for part in ("public", "protected"):
                            members = [m for m in name.members if m.element.get("prot") == part and not self._guide(m)]
                            if members and part == "protected":
                                body.append('<p class="part">For classes derived from it</p>')
                            body += [self.entry(r, 1) for r in self.runs(members)]
                else:
                    body.append(self.entry(run, 0))
            for name in shown:
                first = " ".join("".join(t.itertext()) for t in [name.element.find("briefdescription")] if t is not None)
                found.append((self.anchor(name), name.full.removeprefix("handgrad::"), name.kind, " ".join(first.split())))
                found += [(self.anchor(m), name.name + "::" + m.name, m.kind,
                           " ".join("".join(m.element.find("briefdescription").itertext()).split()))
                          for m in name.members if m.said and m.name != name.name]
            yield file, file.removeprefix("handgrad/"), yield_head, "\n".join(body), found
