"""``check``: the C++ library's gradient check for functions that are written with NumPy."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from . import _core
from ._functions import FunctionError, Functions, described
from ._report import Report


def check(forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any, *, wrt: Sequence[str] | None = None,
          outputs: int | Sequence[str] | None = None, name: str | None = None,
          kink_sides: Callable[..., Any] | None = None, tolerance: float | None = None, step: float = 1e-5,
          seed: int = 1, max_entries: int = 500, raises: bool | None = None) -> Report:
    """Holds a backward that is written by hand against differences of its forward, and says what is wrong with it.

    ::

        def affine_forward(x, w, b):
            return x @ w + b, (x, w)

        def affine_backward(dy, cache):
            x, w = cache
            return dy @ w.T, x.T @ dy, dy.sum(axis=0)

        handgrad.check(affine_forward, affine_backward, (x, w, b))

    The forward gives ``y``, ``(y, cache)`` or ``(y1, y2, cache)``; the backward takes ``(dy, cache)``, ``(dy1, dy2, cache)``,
    ``(dy)`` or ``(dy, x, w, b)`` and gives the gradients: a tuple in the order of the inputs, a dict by name (``"w"`` or
    ``"dw"``), or the one that there is. Where y is one number, a loss, it may be ``(cache)``, ``(p, t)`` as well. Inputs are
    a tuple, or a dict by name; those that are no arrays of floats (labels, sizes, settings) have no gradient.

    It is checked in double, through S = Σ y∘R with a random R, so dy = R. ``np.empty`` gives NaN meanwhile, random numbers
    are drawn anew alike, the backward is called twice, with other dy, with its own output. Use sizes that are different
    primes (5 rows, 3 inputs, 7 outputs): equal ones hide a transposition.

    Args:
        wrt: the names of the inputs that have a gradient, where that does not follow from what the backward gives.
        outputs: how many of the forward's results are outputs, or their names; the rest is the cache.
        name: what the report calls it; the forward's name otherwise.
        kink_sides: given the inputs, booleans that say on which side of its kinks the forward runs (``x @ w + b > 0`` for
            a ReLU), so that differences across a kink are left out.
        tolerance: the largest error |a − n| / (|a| + |n|) of an entry that agrees; 1e-7 by default.
        step, seed, max_entries: see GradcheckOptions in the C++ reference.
        raises: whether to raise GradientError unless it passes; by default in a test that pytest runs.

    What the functions raise is passed on, with a note of what they were called with. Raises FunctionError, a TypeError,
    in words, for a None, a gradient that is missing, another type than float64.
    """
    functions = Functions(forward, backward, inputs, wrt=wrt, outputs=outputs, name=name)
    options = _core.GradcheckOptions(tolerance=tolerance, step=step, seed=seed, max_entries=max_entries)
    run = _check_loss if functions.loss else _check_layer
    found = run(functions, kink_sides, options)
    return _done(Report(found, functions.x), raises)


def _done(report: Report, raises: bool | None) -> Report:
    if raises is None:
        raises = "PYTEST_CURRENT_TEST" in os.environ  # a check whose result nobody looks at is no test
    return report.raise_if_failed() if raises else report


def _sides(functions: Functions, names: Sequence[str], kink_sides: Callable[..., Any] | None) -> Any:
    if kink_sides is None:
        return None

    def sides(arrays: list[np.ndarray]) -> list[bool]:
        values = functions._with(arrays, names)
        result = kink_sides(**values) if functions.by_keyword else kink_sides(*values.values())
        parts = result if isinstance(result, (tuple, list)) else (result,)
        return [bool(side) for part in parts for side in np.asarray(part).ravel()]

    return sides


def _in_double(array: np.ndarray) -> np.ndarray:
    return np.array(array, dtype=np.float64, order="C")


def _check_layer(functions: Functions, kink_sides: Callable[..., Any] | None,
                 options: _core.GradcheckOptions) -> _core.GradientReport:
    names = [functions.x, *functions.parameters]
    forward, backward = functions.bound(names)
    layer = _core.Function(functions.name, forward, backward,
                           [(n, _in_double(functions.values[n])) for n in functions.parameters],
                           (functions.output_names or [])[1:], _sides(functions, names, kink_sides),
                           functions.x in functions.wrt)
    return _core.check_function(layer, _in_double(functions.values[functions.x]), options)


def _check_loss(functions: Functions, kink_sides: Callable[..., Any] | None,
                options: _core.GradcheckOptions) -> _core.GradientReport:
    assert functions.target is not None
    names = [functions.x, functions.target]
    forward, backward = functions.bound(names)
    loss = _core.FunctionLoss(functions.name, forward, lambda deltas, poison: backward(deltas, poison)[:1],
                              _sides(functions, names, kink_sides), _is_mean(functions, forward, names))
    p, t = (_in_double(functions.values[n]) for n in names)
    return _core.check_function_loss(loss, p, t, options)


def _is_mean(functions: Functions, forward: Callable[..., Any], names: Sequence[str]) -> bool:
    """Whether a loss averages over its rows, or adds them up; that it averages where it cannot be told."""
    p, t = (_in_double(functions.values[n]) for n in names)
    if p.ndim == 0 or t.ndim == 0 or len(p) != len(t) or len(p) < 2:
        return True
    try:
        rows = [float(forward([p[i : i + 1].copy(), t[i : i + 1].copy()], np.nan)[0]) for i in range(len(p))]
        whole = float(forward([p, t], np.nan)[0])
    except Exception:  # it does not take one row
        return True
    return not abs(sum(rows) - whole) < 1e-9 * abs(whole)


# Layers that are objects ------------------------------------------------------------------------------------------------

_GRADIENTS = ("d{}", "dLd{}", "d_{}", "grad_{}", "{}_grad")


class _Place:
    """Where an object keeps a parameter or a gradient: an attribute, or an entry of a dict that is one."""

    def __init__(self, owner: Any, key: str, in_dict: bool):
        self.owner, self.key, self.in_dict = owner, key, in_dict

    def get(self) -> Any:
        return self.owner.get(self.key) if self.in_dict else getattr(self.owner, self.key, None)

    def set(self, value: Any) -> None:
        if self.in_dict:
            self.owner[self.key] = value
        else:
            setattr(self.owner, self.key, value)


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _parameters_of(layer: Any, given: Mapping[str, str] | None) -> dict[str, tuple[_Place, _Place]]:
    """By name, where parameters and their gradients are; after a backward, so that all are there."""
    if given is not None:
        for name, gradient in given.items():
            for attribute in (name, gradient):
                if not hasattr(layer, attribute):
                    raise FunctionError(f"handgrad.check_layer: {type(layer).__name__} has no attribute {attribute!r}")
        return {n: (_Place(layer, n, False), _Place(layer, g, False)) for n, g in given.items()}
    found: dict[str, tuple[_Place, _Place]] = {}
    params, grads = getattr(layer, "params", None), getattr(layer, "grads", None)
    if isinstance(params, dict) and isinstance(grads, dict):
        for name, value in params.items():
            known = [k for k in (name, f"d{name}") if k in grads]
            if _is_float(value) and known:
                found[name] = (_Place(params, name, True), _Place(grads, known[0], True))
    for name, value in list(getattr(layer, "__dict__", {}).items()):
        if name in found or not _is_float(value):
            continue
        for pattern in _GRADIENTS:
            gradient = getattr(layer, pattern.format(name), None)
            if _is_float(gradient):
                found[name] = (_Place(layer, name, False), _Place(layer, pattern.format(name), False))
                break
    return found


def check_layer(layer: Any, x: Any, *, parameters: Mapping[str, str] | None = None, **options: Any) -> Report:
    """The same for an object with ``forward(x)`` and ``backward(dy)`` that keeps its parameters and their gradients as
    attributes (``W`` and ``dW``, ``dLdW``, ``grad_W`` or ``W_grad``) or in dicts ``params`` and ``grads``, as in MyTorch, CS231n
    and many books; and for a layer of ``handgrad.nn.float64``.

    ``parameters`` names them where they are called otherwise: ``{"W": "gradient_of_W"}``. Takes check's options. The
    object is as before afterwards, its gradients aside.
    """
    if isinstance(layer, _core.nn.float64.Layer):
        raises = options.pop("raises", None)
        x = np.ascontiguousarray(x, dtype=np.float64)
        return _done(Report(_core.check_layer(layer, x, _core.GradcheckOptions(**options)), "x"), raises)
    for method in ("forward", "backward"):
        if not callable(getattr(layer, method, None)):
            raise FunctionError(f"handgrad.check_layer: {type(layer).__name__} has no method {method}")
    x = np.asarray(x)
    if x.dtype.kind == "f":
        x = x.astype(np.float64)
    y = layer.forward(x.copy())
    if y is None:
        raise FunctionError(f"handgrad.check_layer: {type(layer).__name__}.forward gave None: is there a return?")
    if not isinstance(y, (np.ndarray, np.generic, float)):
        raise FunctionError(f"handgrad.check_layer: {type(layer).__name__}.forward gave {described(y)}, an array is expected")
    layer.backward(np.ones_like(y))
    places = _parameters_of(layer, parameters)
    before = {name: place.get() for name, (place, _) in places.items()}

    def forward(**values: Any) -> Any:
        for name, (place, _) in places.items():
            place.set(values[name])
        return layer.forward(values["x"])

    def backward(dy: Any) -> dict[str, Any]:
        for _, gradient in places.values():
            own = gradient.get()
            gradient.set(np.zeros_like(own))  # for those that add
        dx = layer.backward(dy)
        gradients = {name: gradient.get() for name, (_, gradient) in places.items()}
        return gradients if x.dtype.kind != "f" else {"x": dx, **gradients}

    values = {name: np.array(value, dtype=np.float64) for name, value in before.items()}
    try:
        return check(forward, backward, {"x": x, **values}, name=options.pop("name", None) or type(layer).__name__,
                     **options)
    finally:
        for name, (place, _) in places.items():
            place.set(before[name])
