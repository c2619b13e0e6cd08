"""Forward and backward as people write them with NumPy, brought to one form.

A forward gives ``y``, ``(y, cache)`` or ``(y1, y2, …, cache)``; a backward takes ``(dy, cache)``, ``(dy1, dy2, …, cache)``,
``(dy)``, ``(dy, *inputs)`` or, for a loss, ``(cache)`` or ``(*inputs)``; it gives one gradient, a tuple of them in the order
of the inputs, or a dict by name. What of this is meant is found out by calling both once.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any, Callable, Mapping, Sequence

import numpy as np


class FunctionError(TypeError):
    """The functions, or what they give, are not of a form that can be checked; the message says what was expected."""


def described(value: Any) -> str:
    """``(5, 3) float64`` for an array, the type's name for anything else."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    return type(value).__name__


def name_of(function: Any) -> str:
    name = getattr(function, "__name__", None)
    if name is None or name == "<lambda>":
        name = type(function).__name__ if name is None else "forward"
    owner = getattr(function, "__self__", None)
    if inspect.ismethod(function) and owner is not None and not inspect.isclass(owner):
        return type(owner).__name__ if name in ("forward", "__call__") else f"{type(owner).__name__}.{name}"
    return name


def positional(function: Callable[..., Any]) -> list[str] | None:
    """The names of the arguments that a function must be given by position; None where that cannot be told."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]


def all_names(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


class poisoned:
    """While it lasts, ``np.empty`` and ``np.empty_like`` give arrays that hold ``content``: with NaN, an entry that is
    never written shows."""

    def __init__(self, content: float):
        self.content = content

    def __enter__(self) -> None:
        self.empty, self.empty_like = np.empty, np.empty_like
        content = self.content

        def filled(make):
            def of(*args, **kwargs):
                array = make(*args, **kwargs)
                if isinstance(array, np.ndarray) and array.dtype.kind == "f":
                    array.fill(content)
                return array

            return of

        np.empty, np.empty_like = filled(self.empty), filled(self.empty_like)  # type: ignore[misc]

    def __exit__(self, *error: Any) -> None:
        np.empty, np.empty_like = self.empty, self.empty_like  # type: ignore[misc]


class _Draws:
    """Has every forward draw the random numbers that the first one drew, from NumPy's global generator and from those
    among the inputs."""

    def __init__(self, values: Sequence[Any]):
        self.generators = [v for v in values if isinstance(v, np.random.Generator)]
        self.states = [v for v in values if isinstance(v, np.random.RandomState)]
        self.before = self._look()
        self.moved = False

    def _look(self):
        return (np.random.get_state(), [g.bit_generator.state for g in self.generators],
                [s.get_state() for s in self.states])

    def note(self) -> None:
        """After the first forward: was anything drawn?"""
        self.moved = repr(self._look()) != repr(self.before) or self.moved

    def rewind(self) -> None:
        if not self.moved:
            return
        np.random.set_state(self.before[0])
        for generator, state in zip(self.generators, self.before[1]):
            generator.bit_generator.state = state
        for legacy, state in zip(self.states, self.before[2]):
            legacy.set_state(state)


class Functions:
    """A forward and a backward with the inputs that they were tried with.

    After construction: ``x`` is the name of what stands for the layer's input, ``parameters`` are the names of the other
    inputs that have gradients, ``scalar`` says whether y is one number, and ``loss`` whether it is a loss L(p, t).
    """

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any, *,
                 wrt: Sequence[str] | None = None, outputs: int | Sequence[str] | None = None, name: str | None = None,
                 where: str = "handgrad.check"):
        for role, function in (("forward", forward), ("backward", backward)):
            if not callable(function):
                raise FunctionError(f"{where}: {role} is no function but {described(function)}")
        self.where = where
        self.forward, self.backward = forward, backward
        self.name = name or name_of(forward)
        self.by_keyword = isinstance(inputs, Mapping)
        self.names, self.values = self._named(inputs)
        self.floats = [n for n, v in self.values.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
        self._refuse(wrt)
        self.output_names = None if outputs is None or isinstance(outputs, int) else list(outputs)
        self.output_count = outputs if outputs is None or isinstance(outputs, int) else len(outputs)
        self.draws = _Draws(list(self.values.values()))
        self._try(wrt)

    # Inputs -----------------------------------------------------------------------------------------------------------

    def _named(self, inputs: Any) -> tuple[list[str], dict[str, Any]]:
        if isinstance(inputs, Mapping):
            values = dict(inputs)
        else:
            if isinstance(inputs, np.ndarray) or not isinstance(inputs, (tuple, list)):
                inputs = (inputs,)
            names = all_names(self.forward)[: len(inputs)]
            names += [f"input_{i + 1}" for i in range(len(names), len(inputs))]
            values = dict(zip(names, inputs))
        if not values:
            raise FunctionError(f"{self.where}: no inputs")
        own: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                # A copy in double: differences of float32 numbers have too few digits to judge a gradient by.
                own[name] = np.array(value, dtype=np.float64 if value.dtype.kind == "f" else value.dtype, order="C")
            else:
                try:
                    own[name] = copy.deepcopy(value)
                except Exception:  # what cannot be copied is used as it is
                    own[name] = value
        return list(own), own

    def _refuse(self, wrt: Sequence[str] | None) -> None:
        for name, value in self.values.items():
            if not isinstance(value, np.ndarray):
                continue
            if value.dtype.kind not in "fiub":
                raise FunctionError(f"{self.where}: {name} is an array of {value.dtype}; numbers are expected, "
                                    "float64 where there is a gradient")
            if value.ndim > 4:
                raise FunctionError(f"{self.where}: {name} has {value.ndim} dimensions, {value.shape}; at most 4 can be "
                                    "checked: reshape it")
            if value.size == 0:
                raise FunctionError(f"{self.where}: {name} is empty, {value.shape}")
        for name in wrt or ():
            if name not in self.values:
                raise FunctionError(f"{self.where}: wrt names {name!r}; the inputs are {', '.join(self.names)}")
            if name not in self.floats:
                raise FunctionError(f"{self.where}: {name} is {described(self.values[name])} and has no gradient: "
                                    f"numbers that are to be moved have to be an array of floats, {name}.astype(float)")
        if not self.floats:
            raise FunctionError(f"{self.where}: none of the inputs ({self._inputs()}) is an array of floats, so there is "
                                "nothing to differentiate by: x.astype(float)?")

    def _inputs(self) -> str:
        return ", ".join(f"{n}: {described(v)}" for n, v in self.values.items())

    # Calls ------------------------------------------------------------------------------------------------------------

    def _call(self, role: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What it raises is passed on, with what it was called with."""
        try:
            return function(*args, **kwargs)
        except Exception as error:
            note = f"{self.where}: raised by the {role}, {name_of(function)}, called with {self._inputs()}"
            if hasattr(error, "add_note"):
                error.add_note(note)
                raise
            raise FunctionError(f"{note}\n{type(error).__name__}: {error}") from error

    def run_forward(self, values: Mapping[str, Any]) -> Any:
        self.draws.rewind()
        if self.by_keyword:
            return self._call("forward", self.forward, **values)
        return self._call("forward", self.forward, *values.values())

    def outputs_of(self, result: Any) -> tuple[list[np.ndarray], Any]:
        """The arrays that came out, in double, and the cache."""
        if isinstance(result, tuple):
            count = self.output_count or (len(result) - 1 if self.has_cache else len(result))
            outputs, rest = list(result[:count]), result[count:]
        else:
            outputs, rest = [result], ()
        return [self._number(y, i) for i, y in enumerate(outputs)], rest[0] if len(rest) == 1 else rest

    def _number(self, y: Any, i: int) -> np.ndarray:
        which = "y" if i == 0 else f"output {i + 1}"
        what = f"{self.where}: the forward, {self.name}, "
        if y is None:
            raise FunctionError(what + f"gave None for {which}: is there a return?")
        if isinstance(y, (list, tuple, dict)) or not isinstance(y, (np.ndarray, np.generic, float)):
            raise FunctionError(what + f"gave {described(y)} for {which}, an array of floats is expected; it returns y, "
                                "(y, cache), or (y1, y2, …, cache) for as many δ as the backward takes")
        array = np.asarray(y)
        if array.dtype != np.float64:
            hint = ("; the check computes in double, for which float32 has too few digits: does the forward make arrays of "
                    "float32, or cast to it?" if array.dtype.kind == "f" else "; float64 is expected")
            raise FunctionError(what + f"gave {which} of type {array.dtype}{hint}")
        if array.ndim > 4:
            raise FunctionError(what + f"gave {which} with {array.ndim} dimensions, {array.shape}; there are at most 4")
        return np.ascontiguousarray(array).reshape(array.shape)

    def _try(self, wrt: Sequence[str] | None) -> None:
        """Calls both once, and finds out how they are to be called."""
        with poisoned(np.nan):
            result = self.run_forward(self.values)
        self.draws.note()
        takes = positional(self.backward)
        self._find_form(result, None if takes is None else len(takes))
        ys, cache = self.outputs_of(result)
        self.scalar = len(ys) == 1 and ys[0].ndim == 0
        if self.with_delta is None:
            assert takes is not None  # _find_form has seen to it
            self._find_call(len(takes))
        self.shapes = [y.shape for y in ys]
        if self.output_names is None:
            self.output_names = ["y"] + [f"output {i + 1}" for i in range(1, len(ys))]
        rng = np.random.default_rng(0)
        deltas = [np.ones(()) if self.scalar else rng.standard_normal(y.shape) for y in ys]
        with poisoned(np.nan):
            gradients = self.run_backward(deltas, cache, self.values)
        self._find_wrt(gradients, wrt)
        self.gradients_of(gradients)

    def _find_form(self, result: Any, takes: int | None) -> None:
        """Whether there is a cache, and how many outputs."""
        self.with_delta: bool | None = True
        self.with_inputs = False
        if not isinstance(result, tuple):
            self.has_cache = False
            self.output_count = self.output_count or 1
            if takes is not None and takes != 1:
                self.with_delta = None  # found when y is known
            return
        if self.output_count is None:
            if takes is None or takes == len(result):
                self.output_count = len(result) - 1
            elif len(result) == 2 and takes == 1:
                self.output_count = 1
                self.with_delta = None
            else:
                raise FunctionError(
                    f"{self.where}: the forward, {self.name}, returns {len(result)} things and the backward, "
                    f"{name_of(self.backward)}, takes {takes}; a forward that returns (y, cache) goes with a "
                    f"backward(dy, cache), one that returns (y1, y2, cache) with a backward(dy1, dy2, cache). "
                    "outputs= says how many are outputs")
        self.has_cache = len(result) > self.output_count
        if self.output_count < 1 or len(result) > self.output_count + 1:
            raise FunctionError(f"{self.where}: the forward, {self.name}, returns {len(result)} things; "
                                f"{self.output_count} outputs and a cache were expected")

    def _find_call(self, takes: int) -> None:
        """A backward that takes something else than (δ, cache)."""
        inputs = len(self.values)
        backward = name_of(self.backward)
        if self.has_cache:
            if not self.scalar:
                raise FunctionError(f"{self.where}: the forward, {self.name}, returns (y, cache), and the backward, "
                                    f"{backward}, takes one argument; backward(dy, cache) is expected")
            self.with_delta = False
        elif takes == 1 + inputs:
            self.with_delta, self.with_inputs = True, True
        elif takes == inputs and self.scalar:
            self.with_delta, self.with_inputs = False, True
        elif takes == 0 and self.scalar:
            self.with_delta = False
        else:
            raise FunctionError(
                f"{self.where}: the backward, {backward}, takes {takes} arguments; after a forward that returns y alone "
                f"it is backward(dy), or backward(dy, {', '.join(self.names)}) with the inputs. "
                "If it needs more, the forward returns (y, cache)")

    def run_backward(self, deltas: Sequence[np.ndarray], cache: Any, values: Mapping[str, Any]) -> Any:
        args: list[Any] = []
        if self.with_delta:
            args += [float(deltas[0])] if self.scalar else list(deltas)
        if self.has_cache:
            args.append(cache)
        if self.with_inputs:
            args += list(values.values())
        return self._call("backward", self.backward, *args)

    # Gradients --------------------------------------------------------------------------------------------------------

    def _find_wrt(self, gradients: Any, wrt: Sequence[str] | None) -> None:
        self.wrt = list(wrt) if wrt is not None else list(self.floats)
        arrays = [n for n, v in self.values.items() if isinstance(v, np.ndarray)]
        if wrt is None and isinstance(gradients, dict):
            given = {self._owner(key) for key in gradients}
            if self.scalar:
                self.wrt = [n for n in self.floats if n in given]
        elif wrt is None:
            count = len(gradients) if isinstance(gradients, (tuple, list)) else 1
            if self.scalar and count == 1 and len(self.floats) == 2:
                self.wrt = self.floats[:1]  # a loss: the other one is the target
        # What stands for the layer's input: the data, whether or not it has a gradient.
        called = [n for n in arrays if n.lower() in ("x", "inp", "input", "inputs", "data")]
        self.x = (called or arrays)[0]
        if self.x not in self.wrt and self.x in self.floats and not called:
            self.x = self.wrt[0]
        self.parameters = [n for n in self.wrt if n != self.x]
        others = [n for n in arrays if n != self.x]
        self.target = others[0] if len(others) == 1 else None
        self.loss = self.scalar and self.wrt == [self.x] and self.target is not None

    def _owner(self, key: Any) -> str | None:
        """Whose gradient a dict's entry is: "dw", "grad_w", "d_w", "w_grad" or "w" itself."""
        key = str(key)
        for name in self.names:
            if key in (name, "d" + name, "d_" + name, "grad_" + name, name + "_grad", "dLd" + name):
                return name
        return None

    def gradients_of(self, result: Any) -> dict[str, np.ndarray]:
        """By name, in double; of wrt alone."""
        what = f"{self.where}: the backward, {name_of(self.backward)}, "
        wanted = ", ".join("d" + n for n in self.wrt)
        if result is None:
            raise FunctionError(what + f"gave None: is there a return? Expected: {wanted}")
        if isinstance(result, dict):
            unknown = [str(k) for k in result if self._owner(k) is None]
            if unknown:
                raise FunctionError(what + f"gave a gradient named {', '.join(unknown)}; the inputs are "
                                    f"{', '.join(self.names)}")
            given = {self._owner(k): v for k, v in result.items()}
        elif isinstance(result, (tuple, list)):
            if len(result) == len(self.wrt):
                order = [n for n in self.names if n in self.wrt]
            elif len(result) == len(self.floats):
                order = self.floats
            else:
                fixed = [f"{n} is {described(v)}" for n, v in self.values.items() if n not in self.floats]
                raise FunctionError(
                    what + f"gave {len(result)} gradients; expected {len(self.wrt)}: ({wanted})"
                    + (f". {'; '.join(fixed)}, and has none" if fixed else "")
                    + ". wrt=(…) names the inputs that have one")
            given = dict(zip(order, result))
        else:
            if len(self.wrt) != 1:
                raise FunctionError(what + f"gave one gradient, {described(result)}; expected {len(self.wrt)}: ({wanted}). "
                                    "wrt=(…) names the inputs that have one")
            given = {self.wrt[0]: result}
        out = {}
        for name in self.wrt:
            if name not in given:
                raise FunctionError(what + f"gave no gradient of {name}; expected: {wanted}")
            out[name] = self._gradient(what, name, given[name])
        return out

    def _gradient(self, what: str, name: str, gradient: Any) -> np.ndarray:
        if gradient is None:
            raise FunctionError(what + f"gave None for the gradient of {name}; wrt=(…) names the inputs that have one")
        if not isinstance(gradient, (np.ndarray, np.generic, float, int)):
            raise FunctionError(what + f"gave {described(gradient)} for the gradient of {name}, an array of floats is "
                                "expected")
        array = np.asarray(gradient)
        if array.dtype.kind in "iub":  # 2 or a mask: whole numbers are exact
            array = array.astype(np.float64)
        if array.dtype != np.float64:
            raise FunctionError(what + f"gave a gradient of {name} of type {array.dtype}; float64 is expected, as the "
                                "inputs have it")
        if array.ndim > 4:
            raise FunctionError(what + f"gave a gradient of {name} with {array.ndim} dimensions, {array.shape}; {name} "
                                f"has shape {self.values[name].shape}")
        return np.ascontiguousarray(array).reshape(array.shape)

    # As the C++ library calls them --------------------------------------------------------------------------------------

    def _with(self, arrays: Sequence[np.ndarray], names: Sequence[str]) -> dict[str, Any]:
        values = dict(self.values)
        for name, array in zip(names, arrays):
            own = self.values[name]
            values[name] = array if own.dtype == np.float64 else array.astype(own.dtype)
        return values

    def bound(self, names: Sequence[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Forward and backward as functions of lists of arrays; ``names`` are those of the forward's."""
        last: dict[str, Any] = {}

        def forward(arrays: list[np.ndarray], poison: float) -> list[np.ndarray]:
            values = self._with(arrays, names)
            with poisoned(poison):
                outputs, cache = self.outputs_of(self.run_forward(values))
            last["cache"], last["values"] = cache, values
            return outputs

        def backward(deltas: list[np.ndarray], poison: float) -> list[Any]:
            with poisoned(poison):
                result = self.run_backward(deltas, last["cache"], last["values"])
            gradients = self.gradients_of(result)
            if not self.with_delta:
                gradients = {n: g * deltas[0] for n, g in gradients.items()}
            return [gradients.get(n) for n in names]

        return forward, backward
