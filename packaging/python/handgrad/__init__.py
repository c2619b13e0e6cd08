"""Gradients that are written by hand with NumPy: checked, diagnosed, shown step by step.

``check(forward, backward, inputs)`` holds a backward against differences of its forward and says what is wrong with it;
``check_layer(layer, x)`` does so for an object with ``forward`` and ``backward``. ``nn`` has the C++ library's layers,
``load`` and ``save`` their weights in safetensors files; ``record`` shows a training step one assignment at a time.
"""

from . import nn
from ._check import check, check_layer
from ._core import DeviceError, Error, IoError, ParseError, ShapeError, StateError, ValueError, manual_seed
from ._files import load, save
from ._functions import FunctionError
from ._report import GradientError, Report
from ._steps import Function, Sequential, Step, record

__all__ = [
    "DeviceError", "Error", "Function", "FunctionError", "GradientError", "IoError", "ParseError", "Report", "Sequential",
    "ShapeError", "StateError", "Step", "ValueError", "check", "check_layer", "load", "manual_seed", "nn", "record", "save",
]
