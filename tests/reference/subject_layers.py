"""layers.json: values and gradients of every layer, in double, for given inputs and upstream gradients."""

import numpy as np
import torch
from torch import nn

from common import tensor, write

RS = np.random.RandomState(20)
SHAPES = [(1, 3), (5, 3), (7, 11), (4, 1), (2, 3, 5)]
# one row: zero, saturation, overflow of exp in double and in float, threshold edges
EXTREME = [[0.0, 40.0, -40.0, 1000.0, -1000.0, 1e-8, -1e-8, 20.0, 20.001, 89.0, -89.0, 0.5, -0.5, 5.5, -5.5, 3.0]]


class Step(nn.Module):
    """Threshold: 1 where z > 0, else 0. Its derivative is zero wherever it has one."""

    def forward(self, z):
        return torch.where(z > 0, z * 0 + 1, z * 0)


def short(*shape):
    """Random numbers of three decimals: short to print, exact to read."""
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


def step(layer, x, dy=None):
    """One forward and backward, with the gradients zeroed before."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    dy = short(*y.shape) if dy is None else dy
    y.backward(dy)
    return {"x": tensor(x), "y": tensor(y), "dy": tensor(dy), "dx": tensor(x.grad),
            "grads": {k: tensor(p.grad) for k, p in layer.named_parameters()}}


def case(name, layer, xs, **args):
    layer = layer.double()
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(short(*p.shape))
    return {"layer": name, "args": args, "parameters": {k: tensor(p) for k, p in layer.named_parameters()},
            "steps": [step(layer, x) for x in xs]}


def linear():
    for n, i, o in ((1, 3, 2), (5, 3, 7), (7, 11, 1), (4, 1, 3), (3, 4, 4)):
        for bias in (True, False):
            yield case("Linear", nn.Linear(i, o, bias=bias), [short(n, i)], in_features=i, out_features=o, bias=bias)
    yield case("Linear", nn.Linear(5, 4), [short(2, 3, 5)], in_features=5, out_features=4, bias=True)


def activations():
    for name, layer, args in (
        ("Identity", nn.Identity(), {}), ("Threshold", Step(), {}), ("Sigmoid", nn.Sigmoid(), {}),
        ("Tanh", nn.Tanh(), {}), ("ReLU", nn.ReLU(), {}), ("LeakyReLU", nn.LeakyReLU(), dict(negative_slope=0.01)),
        ("LeakyReLU", nn.LeakyReLU(0.2), dict(negative_slope=0.2)), ("ELU", nn.ELU(), dict(alpha=1.0)),
        ("ELU", nn.ELU(1.409), dict(alpha=1.409)), ("GELU", nn.GELU(), dict(approximate="none")),
        ("GELU", nn.GELU(approximate="tanh"), dict(approximate="tanh")), ("SiLU", nn.SiLU(), {}),
        ("Softplus", nn.Softplus(), dict(beta=1.0, threshold=20.0)),
        ("Softplus", nn.Softplus(2.0, 5.0), dict(beta=2.0, threshold=5.0)),
    ):
        xs = [short(*s) for s in ((1, 3), (5, 3), (4, 1), (2, 3, 5))] + [short(3), torch.tensor(EXTREME).double()]
        yield case(name, layer, [torch.round(2 * x, decimals=3) for x in xs], **args)


def softmaxes():
    for name, make in (("Softmax", nn.Softmax), ("LogSoftmax", nn.LogSoftmax)):
        for dim in (-1, 0, 1):
            xs = [short(*s) for s in SHAPES]
            xs.append(torch.tensor([[1000.0, 999.0, -1000.0], [-1000.0, -1001.0, -1000.0], [0.0, 40.0, -40.0]]).double())
            if dim != 1:
                xs.append(short(4))
            yield case(name, make(dim=dim), xs, dim=dim)


def batch_norm():
    """Several steps on one layer: training, evaluation on the statistics so far, training again."""
    for n, c, options in ((5, 3, {}), (2, 1, {}), (7, 11, dict(momentum=0.3)), (4, 2, dict(affine=False)),
                          (5, 3, dict(momentum=None)), (3, 4, dict(track_running_stats=False)), (6, 2, dict(eps=0.5))):
        layer = nn.BatchNorm1d(c, **options).double()
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(short(*p.shape))
        result = {"layer": "BatchNorm1d", "args": {"num_features": c} | options,
                  "parameters": {k: tensor(p) for k, p in layer.named_parameters()}, "steps": []}
        for training, rows in ((True, n), (True, n + 2), (False, 1 if layer.track_running_stats else 2), (False, n), (True, n)):
            layer.train(training)
            s = step(layer, torch.round(short(rows, c) * 3 + 1, decimals=3))
            result["steps"].append(s | {"train": training, "buffers": {k: tensor(b) for k, b in layer.named_buffers()}})
        yield result


def layer_norm():
    for shape, normalized, options in (
        ((1, 3), (3,), {}), ((5, 3), (3,), {}), ((7, 11), (11,), {}), ((4, 2), (2,), dict(elementwise_affine=False)),
        ((2, 3, 5), (5,), {}), ((2, 3, 5), (3, 5), {}), ((3, 4), (4,), dict(eps=0.5)), ((3, 4), (4,), dict(bias=False)),
        ((4, 1), (1,), {}),
    ):
        x = torch.round(short(*shape) * 2 - 1, decimals=3)
        yield case("LayerNorm", nn.LayerNorm(normalized, **options), [x], normalized_shape=list(normalized), **options)


def dropout():
    layer = nn.Dropout(0.5).eval()
    yield case("Dropout", layer, [short(5, 3)], p=0.5, train=False)
    yield case("Dropout", nn.Dropout(0.0), [short(5, 3)], p=0.0, train=True)
    yield case("Dropout", nn.Dropout(1.0), [short(5, 3)], p=1.0, train=True)


def generate():
    cases = [c for part in (linear, activations, softmaxes, batch_norm, layer_norm, dropout) for c in part()]
    write("layers", [torch], cases=cases)
