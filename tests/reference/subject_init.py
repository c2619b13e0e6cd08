"""init.json: torch.nn.init on an empty tensor after manual_seed(seed)."""

import torch
from torch.nn import init

from common import tensor, write

DTYPES = {"float": torch.float32, "double": torch.float64}
CALLS = [
    ("zeros_", {}), ("ones_", {}), ("constant_", dict(val=-1.5)), ("normal_", dict(mean=1.0, std=0.5)), ("normal_", {}),
    ("uniform_", dict(a=-1.0, b=2.0)), ("uniform_", {}),
    ("xavier_uniform_", {}), ("xavier_uniform_", dict(gain=5 / 3)), ("xavier_normal_", {}),
    ("xavier_normal_", dict(gain=2.0)),
    ("kaiming_uniform_", {}), ("kaiming_uniform_", dict(a=0.2, mode="fan_out")),
    ("kaiming_uniform_", dict(nonlinearity="relu")), ("kaiming_normal_", {}),
    ("kaiming_normal_", dict(mode="fan_out", nonlinearity="relu")),
    ("kaiming_normal_", dict(nonlinearity="tanh")), ("kaiming_normal_", dict(nonlinearity="linear")),
]


def generate():
    cases = []
    for shape in ((2, 3), (5, 7)):  # fewer than 16 elements, and more: torch draws normals in two ways
        for dtype, t in DTYPES.items():
            for name, options in CALLS:
                torch.manual_seed(4)
                values = getattr(init, name)(torch.empty(shape, dtype=t), **options)
                cases.append({"init": name, "options": options, "dtype": dtype, "seed": 4, "values": tensor(values)})
    write("init", [torch], cases=cases)
