"""Networks of NumPy functions, and steps that are recorded."""

from __future__ import annotations

import json
import os
import uuid
from html import escape
from typing import Any, Callable, Iterator, Mapping, Sequence

import numpy as np

from . import _core
from ._functions import FunctionError, Functions, all_names, name_of


class Function(_core.Function):
    """A layer of a network whose mathematics are a forward and a backward as ``check`` takes them.

    ::

        layer = handgrad.Function(affine_forward, affine_backward, w=w, b=b)     # the rest of the forward's inputs, by name
        y = layer(x)
        dx = layer.backward(dy)                                                  # adds to layer.parameters()[i].grad

    The arrays of float64 among them are its parameters and are not copied: a step changes them. ``derivation`` gives a
    recorded step its formulas: ``{"forward": ["y = x·w + b"], "backward": ["dx = δ·wᵀ", "dw = xᵀ·δ", "db = Σ δ"]}``; a pair
    adds the formula of one element, ``("dw = xᵀ·δ", "dw[i,j] = sum(n: x[n,i]·δ[n,j])")``, which is then held against what the
    function computes, and a triple a sentence that says why.
    """

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], *, name: str | None = None,
                 derivation: Mapping[str, Sequence[Any]] | None = None, **inputs: Any):
        for key, value in inputs.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                if value.dtype != np.float64 or not value.flags.c_contiguous:
                    raise FunctionError(f"handgrad.Function: {key} is {value.dtype}"
                                        f"{'' if value.flags.c_contiguous else ', not contiguous'}; a contiguous array of "
                                        "float64 is expected, which a step can change")
        arrays = [(n, v) for n, v in inputs.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
        tried = _WhenTried(forward, backward, inputs, [n for n, _ in arrays], name)
        super().__init__(name or name_of(forward), tried.forward, tried.backward, arrays, [], None, True,
                         None if derivation is None else dict(derivation))


class _WhenTried:
    """A layer's functions, whose form is found out with the first x that comes."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Mapping[str, Any],
                 parameters: Sequence[str], name: str | None):
        self.user, self.inputs, self.parameters, self.name = (forward, backward), dict(inputs), list(parameters), name
        self.bound: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def forward(self, arrays: list[np.ndarray], poison: float) -> list[np.ndarray]:
        if self.bound is None:
            order = all_names(self.user[0])
            x = next((n for n in order if n not in self.inputs), "x")
            inputs = {x: arrays[0], **self.inputs}
            in_order = {n: inputs[n] for n in order if n in inputs}
            functions = Functions(*self.user, in_order if len(in_order) == len(inputs) else inputs, name=self.name,
                                  wrt=[x, *self.parameters], where="handgrad.Function")
            if functions.output_count != 1:
                raise FunctionError(f"handgrad.Function: {functions.name} has {functions.output_count} outputs; a layer "
                                    "has one")
            self.bound = functions.bound([x, *self.parameters])
        return self.bound[0](arrays, poison)

    def backward(self, deltas: list[np.ndarray], poison: float) -> list[Any]:
        assert self.bound is not None  # a forward came first, the layer has seen to it
        return self.bound[1](deltas, poison)


class Sequential(_core.nn.float64.Sequential):
    """Layers one after the other: each a ``Function``, a pair ``(forward, backward)``, a triple with a dict of its other
    inputs, or a layer of ``handgrad.nn.float64``.

    ::

        net = handgrad.Sequential([(affine_forward, affine_backward, {"w": w, "b": b}), (relu_forward, relu_backward)])
    """

    def __init__(self, layers: Sequence[Any]):
        own = []
        for i, layer in enumerate(layers):
            if isinstance(layer, tuple) and len(layer) in (2, 3):
                layer = Function(layer[0], layer[1], **(layer[2] if len(layer) == 3 else {}))
            if not isinstance(layer, _core.nn.float64.Layer):
                raise TypeError(f"handgrad.Sequential: layer {i} is {type(layer).__name__}; a Function, (forward, backward), "
                                "(forward, backward, {inputs}), or a layer of handgrad.nn.float64 is expected")
            own.append(layer)
        super().__init__(*own)


class record:
    """Records what happens inside of it: the forward, the backward and the update, one assignment at a time.

    ::

        with handgrad.record() as step:
            loss(net(x), t)
            net.zero_grad()
            net.backward(loss.backward())
            sgd.step()
        step                        # in a notebook: the step as a page; print(step), step.to_html("step.html")
    """

    def __enter__(self) -> "Step":
        self._recorder = _core.Recorder()
        self._step = Step()
        return self._step

    def __exit__(self, *error: Any) -> None:
        self._step._trace = self._recorder.stop()
        del self._recorder


class Step:
    """A recorded step: in a notebook a page with each assignment's formula and numbers, of which each says how it is made."""

    def __init__(self) -> None:
        self._trace: _core.Trace | None = None

    @property
    def trace(self) -> _core.Trace:
        if self._trace is None:
            raise RuntimeError("handgrad.record: the step is there when the with block has ended")
        return self._trace

    def __len__(self) -> int:
        return len(self.trace.assignments)

    def formulas(self) -> list[str]:
        """"dw = xᵀ·δ", … in the order in which they ran."""
        return [self.trace.formula(i) for i in range(len(self))]

    def to_dict(self) -> dict[str, Any]:
        """The record in the form that lib/handgrad/trace/schema.md describes."""
        return json.loads(self.trace.to_json())

    def __str__(self) -> str:
        lines, phase = [], ""
        for i, a in enumerate(self.trace.assignments):
            if a.phase != phase:
                phase = a.phase
                lines.append(phase)
            lines.append(f"  {a.layer + ' ' if a.layer else ''}{a.label}: {self.trace.formula(i)}")
        return "\n".join(lines)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The step as one HTML file without a network; written to ``path`` where it is given."""
        page = ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                "<title>A step, recorded</title><style>:root{color-scheme:light dark}body{margin:0}</style></head>"
                f"<body>{self._repr_html_()}</body></html>\n")
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(page)
        return page

    def _repr_html_(self) -> str:
        return "".join(_page(self.trace))


# The page --------------------------------------------------------------------------------------------------------------

_STYLE = """<style>
.hg-step{font:14px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff;padding:.5rem 1rem;max-width:75rem;color-scheme:light}
.hg-step h3{margin:.8rem 0 .2rem}.hg-step details{border:1px solid #d6dbe1;border-radius:6px;margin:.25rem 0;padding:.3rem .6rem}
.hg-step summary{cursor:pointer}.hg-step .f{font-family:"DejaVu Serif",Cambria,serif;font-size:1.08em}
.hg-step .l,.hg-step small{color:#5b6570}.hg-step .l{margin-left:.8rem;font-size:.85em}
.hg-step p{margin:.4rem 0}.hg-step .w{max-width:48rem}.hg-step output{display:block;overflow-x:auto;white-space:nowrap;padding-bottom:.2rem}
.hg-step .row{display:flex;flex-wrap:wrap;gap:.4rem 1.4rem}.hg-step .row>div{max-width:100%;overflow-x:auto}
.hg-step table{border-collapse:collapse;font-size:.8rem;font-variant-numeric:tabular-nums;margin:.1rem 0}
.hg-step td{border:1px solid #d6dbe1;padding:.1rem .35rem;text-align:right;white-space:nowrap}
.hg-step .out td{background:#eef4fb}.hg-step td[tabindex]{cursor:pointer}
.hg-step .out td.now{background:#1f5fa8;color:#fff}
@media (prefers-color-scheme:dark){.hg-step{color:#e8eaed;background:#1c2026;color-scheme:dark}
.hg-step details,.hg-step td{border-color:#3a414b}.hg-step .out td{background:#24344a}
.hg-step .l,.hg-step small{color:#a4adb8}.hg-step .out td.now{background:#8ab8f0;color:#10151b}}
</style>"""

# The number that is pointed at, touched or reached with the Tab key says how it is made.
_SCRIPT = """<script>(() => {
  const step = document.getElementById("ID");
  const show = (event) => {
    const cell = event.target.closest("td[data-made]");
    if (!cell) return;
    for (const other of cell.closest("table").querySelectorAll(".now")) other.classList.remove("now");
    cell.classList.add("now");
    cell.closest("details").querySelector("output").textContent = "= " + cell.dataset.made + " = " + cell.textContent;
  };
  for (const kind of ["mouseover", "focusin", "click"]) step.addEventListener(kind, show);
})();</script>"""

_SHOWN = 8  # rows and columns of a table


def _number(x: float) -> str:
    return f"{x:.5g}".replace("-", "−")


def _table(array: np.ndarray, made: Mapping[int, str], kind: str) -> str:
    rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, array.shape[-1])
    lines = []
    for i, row in enumerate(rows[:_SHOWN]):
        cells = []
        for j, number in enumerate(row[:_SHOWN]):
            how = made.get(i * rows.shape[1] + j, "")
            now = ' class="now"' if how and i == j == 0 else ""
            how = f' tabindex="0" data-made="{escape(how)}"' if how else ""
            cells.append(f"<td{how}{now}>{_number(number)}</td>")
        lines.append("<tr>" + "".join(cells) + ("<td>…</td></tr>" if rows.shape[1] > _SHOWN else "</tr>"))
    more = [f"{_SHOWN} of {n} {what}" for n, what in zip(rows.shape, ("rows", "columns")) if n > _SHOWN]
    return f'<table class="{kind}">{"".join(lines)}</table>' + (f"<small>{', '.join(more)}</small>" if more else "")


def _shown(array: np.ndarray) -> Iterator[int]:
    """The places, in row-major order, of what a table shows."""
    columns = array.shape[-1] if array.ndim else 1
    for at in range(array.size):
        row, column = (0, at) if array.ndim < 2 else divmod(at, columns)
        if row >= _SHOWN:
            return
        if column < _SHOWN:
            yield at


def _page(trace: _core.Trace) -> Iterator[str]:
    values, assignments = list(trace.values), list(trace.assignments)
    name = f"hg-{uuid.uuid4().hex}"
    yield f'{_STYLE}<div class="hg-step" id="{name}">'
    phase = ""
    for i, a in enumerate(assignments):
        if a.phase != phase:
            phase = a.phase
            yield f"<h3>{phase.capitalize()}</h3>"
        element = trace.element(i)
        array = values[a.value].array
        made = {at: text for at in _shown(array) if (text := trace.numbers(i, at))} if element else {}
        place = f"{a.layer}: {a.label}" if a.layer else a.label
        yield (f'<details><summary><span class="f">{i + 1}. {escape(trace.formula(i))}</span>'
               f'<span class="l">{escape(place)}</span></summary>')
        if element:
            first = f"= {escape(made[0])} = {_number(array.ravel()[0])}" if 0 in made else ""
            yield f'<p class="f">{escape(element)}<output aria-live="polite">{first}</output></p>'
        if a.why:
            yield f'<p class="w">{escape(a.why)}</p>'
        uses = ", ".join(f"{u + 1}. {assignments[u].target}" for u in trace.uses(i))
        yield f'<div class="row"><div><b class="f">{escape(a.target)}</b> {array.shape}{_table(array, made, "out")}</div>'
        for symbol, number in a.inputs:
            read = values[number].array
            yield f'<div><span class="f">{escape(symbol)}</span> {read.shape}{_table(read, {}, "in")}</div>'
        yield f'</div>{f"<small>made of {escape(uses)}</small>" if uses else ""}</details>'
    yield "</div>" + _SCRIPT.replace("ID", name)
