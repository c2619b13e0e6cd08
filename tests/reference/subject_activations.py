"""activations.json: the activations that layers.json does not have, in double."""

import torch
from torch import nn

from common import write
from subject_layers import EXTREME, case, short


class Hardsigmoid(nn.Module):
    """As nn.Hardsigmoid, whose derivative in double is 1/6 rounded to a float."""

    def forward(self, z):
        return torch.clamp(z + 3, 0, 6) / 6


def parameterless():
    for name, layer, args in (
        ("Hardtanh", nn.Hardtanh(), dict(min_val=-1.0, max_val=1.0)),
        ("Hardtanh", nn.Hardtanh(-0.5, 2.0), dict(min_val=-0.5, max_val=2.0)), ("Hardsigmoid", Hardsigmoid(), {}),
        ("Hardswish", nn.Hardswish(), {}), ("LogSigmoid", nn.LogSigmoid(), {}), ("Softsign", nn.Softsign(), {}),
        ("Mish", nn.Mish(), {}),
    ):
        xs = [short(*s) for s in ((1, 3), (5, 3), (4, 1), (2, 3, 5))] + [short(3), torch.tensor(EXTREME).double()]
        yield case(name, layer, [torch.round(2 * x, decimals=3) for x in xs], **args)


def prelu():
    """One slope, or one for each channel of (N, C), (N, C, L), (N, C, H, W)."""
    yield case("PReLU", nn.PReLU(), [short(3), short(1, 3), short(5, 3), short(2, 3, 5), short(2, 3, 2, 3)], num_parameters=1)
    for c in (3, 11):
        xs = [short(1, c), short(7, c), short(2, c, 5), short(3, c, 1), short(2, c, 2, 3)]
        yield case("PReLU", nn.PReLU(c), xs, num_parameters=c)


def generate():
    write("activations", [torch], cases=[c for part in (parameterless, prelu) for c in part()])
