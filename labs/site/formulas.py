"""Formulas as the texts have them, in Unicode, as LaTeX for KaTeX: xₙᵢ·Wᵀ becomes x_{ni} \\cdot W^{T}.

A block's lines become rows, what stands two blanks apart a row's cells. A cell of words stays words; what cannot be
read stays as it is written (typeset returns None, and the block is shown as it stands)."""
import html
import re
import unicodedata

lower = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ꜀𝓌ᵧᵦ", "0123456789+-=()aehijklmnoprstuvxcwγβ"))
upper = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵀᶠᶻⁿⁱˣʸᵃᵇᵗ", "0123456789+-=()Tfznixyabt"))
accents = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde", "\u0305": "bar", "\u0307": "dot"}
signs = {"·": r"\cdot ", "∘": r"\circ ", "×": r"\times ", "−": "-", "⇒": r"\Rightarrow ", "→": r"\to ", "←": r"\leftarrow ",
         "≤": r"\le ", "≥": r"\ge ", "≪": r"\ll ", "≫": r"\gg ", "≈": r"\approx ", "≠": r"\ne ", "∈": r"\in ", "∞": r"\infty ",
         "±": r"\pm ", "⋆": r"\star ", "½": r"\tfrac{1}{2}", "¼": r"\tfrac{1}{4}", "…": r"\dots ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
         "∏": r"\prod ", "∂": r"\partial ", "′": "'", "″": "''", "‴": "'''", "%": r"\%", "&": r"\&", "#": r"\#", "µ": "μ",
         "~": r"\sim ", "∇": r"\nabla ", "‖": r"\|", "ℓ": r"\ell ", "∑": r"\sum ", "|": "|", "⊙": r"\odot "}
functions = {"log", "exp", "tanh", "sin", "cos", "max", "min", "mean", "softmax", "sigmoid", "sign", "diag", "lim", "ReLU", "Var", "ln",
             "abs", "sqrt", "relu", "std", "norm", "attention", "cell", "rms", "clamp", "logsumexp"}


def put(out, mark, inner):
    """An index or exponent behind the last part; a second one goes into the first."""
    if out and out[-1].startswith(mark + "{"):
        out[-1] = f"{out[-1][:-1]},{inner}}}"
    else:
        out.append(f"{mark}{{{inner}}}")


def tex(text):
    """LaTeX of one cell, or None where a sign is not known."""
    for sign in "≠":
        text = text.replace(sign, "\ue000")
    text = unicodedata.normalize("NFD", text).replace("\ue000", "≠")
    out, i = [], 0

    def group(i, opening):
        """The end of what a bracket at i opens."""
        closing, depth = {"(": ")", "{": "}"}[opening], 0
        for j in range(i, len(text)):
            depth += (text[j] == opening) - (text[j] == closing)
            if depth == 0:
                return j
        return None

    while i < len(text):
        c = text[i]
        if c in lower or c in upper:
            table, mark = (lower, "_") if c in lower else (upper, "^")
            j = i
            while j < len(text) and (text[j] in table or (text[j] == "," and j + 1 < len(text) and text[j + 1] in table and mark == "_")):
                j += 1
            inner = "".join(table.get(x, x) for x in text[i:j])
            if out and out[-1] == r"\Sigma " and mark == "_":
                out[-1] = r"\sum"
            put(out, mark, inner)
            i = j
        elif c in "^_":
            j = i + 1
            if j < len(text) and text[j] in "({":
                end = group(j, text[j])
                if end is None:
                    return None
                inner, i = tex(text[j + 1:end]), end + 1
            else:
                word = re.match(r"[−-]?[0-9.]+|[A-Za-zα-ωΑ-Ω]+|.", text[j:])
                if not word:
                    return None
                inner, i = rf"\text{{{word[0]}}}" if re.fullmatch("[A-Za-z]{2,}", word[0]) else tex(word[0]), j + len(word[0])
            if inner is None:
                return None
            if out and out[-1] == r"\Sigma ":
                out[-1] = r"\sum"
            put(out, c, inner)
        elif c == "√":
            if text[i + 1:i + 2] == "(":
                end = group(i + 1, "(")
                inner = tex(text[i + 2:end]) if end else None
                i = (end or i) + 1
            else:
                word = re.match(r"[0-9A-Za-zα-ω]", text[i + 1:])
                inner = word[0] if word else None
                i += 2
            if inner is None:
                return None
            out.append(rf"\sqrt{{{inner}}}")
        elif c in accents:
            if not out:
                return None
            out[-1] = rf"\{accents[c]}{{{out[-1]}}}"
            i += 1
        elif code := re.match(r"[A-Za-z]{2,}(_[A-Za-z]{2,})+", text[i:]):
            out.append(r"\texttt{" + code[0].replace("_", r"\_") + "}")
            i += len(code[0])
        elif re.match(r"[A-Za-z]", c):
            word = re.match(r"[A-Za-z][A-Za-z0-9]*", text[i:])[0]
            # An accent belongs to the last letter alone.
            if i + len(word) < len(text) and text[i + len(word)] in accents and len(word) > 1:
                word = word[:-1]
            i += len(word)
            indexed = re.fullmatch(r"(d?[A-Za-z])(\d)", word)
            if word in functions:
                out.append(rf"\operatorname{{{word}}}")
            elif indexed:
                out.append(f"{indexed[1]}_{indexed[2]}")
            elif len(word) == 1 or re.fullmatch(r"d[A-Za-z]|[A-Z]{2}|d[A-Z]{2}|[nw]x", word):
                out.append(word)
            elif word.isalpha():
                phrase = re.match(r"(?:[ ]+[A-Za-z]{2,}\b(?![_^(]))*", text[i:])[0]
                if any(w in functions for w in phrase.split()):
                    phrase = ""
                out.append(rf"\text{{ {word}{phrase} }}")
                i += len(phrase)
            else:
                out.append(rf"\text{{{word}}}")
        elif c == "Σ":
            out.append(r"\Sigma ")
            i += 1
        elif re.match(r"[α-ωΑ-Ωϵφ]", c):
            out.append(c)
            i += 1
        elif c in "{}":
            out.append("\\" + c)
            i += 1
        elif c in signs:
            out.append(signs[c])
            i += 1
        elif c == " ":
            out.append(" ")
            i += 1
        elif c in ",;":
            out.append(c + r"\ ")
            i += 1
        elif c in "0123456789.()[]+-*/=<>:!'":
            out.append(c)
            i += 1
        else:
            return None
    # A sum over nothing said stays a sum.
    return "".join(r"\sum " if part == r"\Sigma " else part for part in out)


def words_only(cell):
    """Whether a cell says something rather than computes it."""
    words = re.findall(r"\b[A-Za-z’]{2,}\b", cell)
    words = [w for w in words if w not in functions and not re.fullmatch(r"d\w|[A-Z]{2}", w)]
    return len(words) > 2 and len(words) >= len(re.findall(r"[=·Σ∂∘←√⇒≤≥]", cell)) or bool(words) and not re.search(r"[=·Σ∂∘←√⇒→≤≥×(]", cell)


def typeset(text):
    """HTML of a block of formulas, or None where it is none, or is drawn with characters."""
    if not re.search(r"[·Σ∂δ∘←√⇒σ₀-ₜᵀ′×=]", text) or re.search(r"^\s*\[ | \]\s*$|What is wrong|:: |^\s*\w+ +\(\d+,|\d\.\d+.*\d\.\d+", text, re.M):
        return None
    rows = []
    for line in text.split("\n"):
        if not line.strip():
            rows.append(None)
            continue
        cells = []
        for cell in re.split(r"\s{2,}", re.sub(r"\s{2,}(?=[=←] )", " ", line.strip())):
            if words_only(cell):
                width = " long" if len(cell) > 45 else ""
                cells.append(f'<span class="words{width}">{html.escape(cell)}</span>')
                continue
            latex = tex(cell)
            if latex is None:
                return None
            cells.append(f'<span class="tex" data-tex="{html.escape(latex)}">{html.escape(cell)}</span>')
        rows.append((bool(re.match(r"\s", line)), cells))
    widest = max(len(r[1]) + r[0] for r in rows if r)
    out = []
    for row in rows:
        if row is None:
            out.append('<tr class="gap"></tr>')
            continue
        cells = ["<td></td>"] * row[0]
        for i, cell in enumerate(row[1]):
            rest = widest - row[0] - len(row[1]) + 1
            last = i == len(row[1]) - 1
            cells.append(f'<td colspan="{rest}">{cell}</td>' if last and rest > 1 else f"<td>{cell}</td>")
        out.append("<tr>" + "".join(cells) + "</tr>")
    return '<div class="formulas"><table>' + "".join(out) + "</table></div>"
