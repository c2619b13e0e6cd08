"""What a check found, as text, as a table, as an exception."""

from __future__ import annotations

from html import escape
from typing import Any

from . import _core


class GradientError(AssertionError):
    """A gradient check did not pass; the message is the report, ``report`` holds it."""

    def __init__(self, report: "Report"):
        super().__init__("\n" + report.text)
        self.report = report


class Report:
    """What ``check`` found: true when every gradient agrees with its differences.

    ``tensors`` has one entry for each gradient, in the order in which the backward makes them, with ``name``, ``shape``,
    ``verdict`` ("pass", "FAIL" or "inconclusive"), ``worst_error``, ``checked``, ``worst``, and the arrays ``analytic``
    and ``numeric``; ``report["w"]`` is the one of that name. ``diagnosis`` says what is wrong, as far as can be told.
    """

    def __init__(self, found: _core.GradientReport, input_name: str | None = None):
        self._found = found
        self._input_name = input_name

    subject: str = property(lambda self: self._found.subject, doc="What was checked.")  # type: ignore[assignment]

    @property
    def tolerance(self) -> float:
        """The largest error of an entry that agrees."""
        return self._found.tolerance

    @property
    def verdict(self) -> str:
        """"pass", "FAIL" or "inconclusive" (nothing disagrees, but too little was compared to say more)."""
        return self._found.verdict

    @property
    def passed(self) -> bool:
        return self._found.passed

    @property
    def tensors(self) -> list[_core.TensorReport]:
        return list(self._found.tensors)

    @property
    def diagnosis(self) -> _core.Diagnosis:
        return self._found.diagnose()

    @property
    def text(self) -> str:
        """The report as the C++ library prints it."""
        text = str(self._found)
        if self.verdict == "inconclusive":
            text += str(self.diagnosis)
        return text

    def __getitem__(self, name: str) -> _core.TensorReport:
        names = [t.name for t in self._found.tensors]
        if name not in names and name == self._input_name:
            name = "input" if "input" in names else "prediction"
        for tensor in self._found.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(f"no gradient of {name!r} was checked; there are {', '.join(names)}")

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__

    def raise_if_failed(self) -> "Report":
        """Raises GradientError, an AssertionError, unless the check passed; gives the report itself otherwise."""
        if not self.passed:
            raise GradientError(self)
        return self

    def _repr_html_(self) -> str:
        colours = {"pass": "#1a7f37", "FAIL": "#cf222e", "inconclusive": "#9a6700"}

        def cell(text: Any, style: str = "") -> str:
            return f'<td style="text-align:left;{style}">{escape(str(text))}</td>'

        def mark(verdict: str) -> str:
            return f"color:{colours.get(verdict, 'inherit')};font-weight:600"

        rows = []
        for t in self._found.tensors:
            rows.append("<tr>" + cell(t.name) + cell(t.shape) + cell(t.verdict, mark(t.verdict)) +
                        cell(f"{t.worst_error:.1e}") + cell(_compared(t)) + "</tr>")
            if t.verdict == "FAIL":
                rows += [f"<tr><td></td>{cell(_entry(e, t.shape))}<td></td>{cell(f'{e.error:.1e}')}"
                         f"{cell(f'backward {e.analytic:.10g}, differences {e.numeric:.10g}')}</tr>"
                         for e in list(t.worst)[:3]]
            if t.reason:
                rows.append(f'<tr><td></td><td colspan="4" style="text-align:left">{escape(t.reason)}</td></tr>')
        head = "".join(f'<th style="text-align:left">{h}</th>'
                       for h in ("gradient of", "shape", "verdict", "worst error", "entries compared"))
        out = (f"<div><p>Gradients of <b>{escape(self.subject)}</b>: "
               f'<span style="{mark(self.verdict)}">{self.verdict}</span> (tolerance {self.tolerance:.0e})</p>'
               f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>")
        if self._found.note:
            out += f"<p>{escape(self._found.note)}</p>"
        if not self.passed:
            d = self.diagnosis
            out += ("<dl>" + "".join(f"<dt><b>{term}</b></dt><dd>{escape(text)}</dd>" for term, text in (
                ("What is wrong", f"{d.what} ({d.tensor})"), ("Evidence", d.evidence), ("Where to look", d.where)))
                + "</dl>")
        return out + "</div>"


def _compared(t: _core.TensorReport) -> str:
    total = 1
    for size in t.shape:
        total *= size
    text = f"{t.checked} of {total}"
    if t.skipped:
        text += f", {t.skipped} skipped at kinks"
    if t.outside:
        text += f", {t.outside} at the end of the domain"
    return text


def _entry(entry: _core.GradientEntry, shape: tuple[int, ...]) -> str:
    index: list[int] = []
    at = entry.index
    for size in reversed(shape):
        index.insert(0, at % size)
        at //= size
    return "[" + ", ".join(map(str, index)) + "]"
