"""The C++ library's layers, losses and optimizers in float32, with PyTorch's names, defaults and initial weights.

::

    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    y = net(x)                      # neither x, where it is float32, nor y is copied

``nn.float64`` has the same in float64.
"""

from .._core.nn import *  # noqa: F401,F403
from .._core.nn import float64  # noqa: F401
