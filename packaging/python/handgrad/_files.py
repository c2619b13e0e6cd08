"""Weights in safetensors files, as PyTorch reads and writes them."""

from __future__ import annotations

import os
from typing import Any, Mapping, TypeVar, Union, overload

import numpy as np

from . import _core

Network = TypeVar("Network")
Path = Union[str, "os.PathLike[str]"]


def _is_double(net: Any) -> bool:
    return isinstance(net, _core.nn.float64.Layer)


def _check_network(where: str, net: Any) -> None:
    if not isinstance(net, (_core.nn.Layer, _core.nn.float64.Layer)):
        raise TypeError(f"{where}: a network of handgrad.nn is expected, {type(net).__name__} came")


@overload
def load(path: Path, net: None = None, *, dtype: Any = ...) -> dict[str, np.ndarray]: ...
@overload
def load(path: Path, net: Network, *, strict: bool = ...) -> Network: ...
def load(path: Any, net: Any = None, *, strict: bool = True, dtype: Any = np.float32) -> Any:
    """Reads a safetensors file: into ``net``, which it gives back, or, without one, as a dict of arrays of ``dtype``.

    Throws ParseError for a file that is damaged, IoError for one that cannot be read, ValueError naming the tensors that
    are missing or unexpected (``strict``), and ShapeError for one of another shape; the network is as before then.
    """
    path = os.fspath(path)
    if net is None:
        double = np.dtype(dtype) == np.float64
        if not double and np.dtype(dtype) != np.float32:
            raise TypeError(f"handgrad.load: dtype is float32 or float64, {np.dtype(dtype)} came")
        return (_core.load_float64 if double else _core.load_float32)(path)[0]
    _check_network("handgrad.load", net)
    (_core.load_layer_float64 if _is_double(net) else _core.load_layer_float32)(path, net, strict)
    return net


def save(path: Any, what: Any, *, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the weights of a network, or a dict of arrays, as a safetensors file: whole, or not at all.

    The arrays of a dict are all float32 or all float64. Throws IoError.
    """
    path, metadata = os.fspath(path), dict(metadata or {})
    if not isinstance(what, Mapping):
        _check_network("handgrad.save", what)
        (_core.save_layer_float64 if _is_double(what) else _core.save_layer_float32)(path, what, metadata)
        return
    arrays = {name: np.asarray(value) for name, value in what.items()}
    types = sorted({str(a.dtype) for n, a in arrays.items() if not n.endswith("num_batches_tracked")})
    if len(types) > 1 or any(t not in ("float32", "float64") for t in types):
        raise TypeError(f"handgrad.save: arrays of one type, float32 or float64, are expected; there are {', '.join(types)}")
    dtype = types[0] if types else "float32"
    own = {}
    for name, array in arrays.items():
        own[name] = np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)
    (_core.save_float64 if dtype == "float64" else _core.save_float32)(path, own, metadata)
