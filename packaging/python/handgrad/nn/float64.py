"""The C++ library's layers, losses and optimizers in float64, as ``handgrad.nn`` has them in float32."""

from .._core.nn.float64 import *  # noqa: F401,F403
