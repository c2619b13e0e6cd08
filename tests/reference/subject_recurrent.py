"""recurrent.json: RNN, LSTM and GRU: values, states and all gradients, in double; how parameters begin; a saved LSTM."""

import base64
import itertools

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from common import tensor, write

RS = np.random.RandomState(29)


def short(*shape):
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


def make(name, i, h, options):
    return getattr(nn, name)(i, h, **options).double()


# T, N, in, H, options. N = 0: a single sequence without a batch dimension.
CASES = [
    (3, 2, 3, 5, {}),
    (1, 2, 3, 2, {}),
    (5, 1, 2, 3, {}),
    (3, 0, 3, 2, {}),
    (4, 3, 2, 3, dict(bias=False)),
    (3, 2, 5, 3, dict(batch_first=True)),
    (4, 2, 3, 2, dict(bidirectional=True)),
    (3, 2, 3, 4, dict(num_layers=2)),
    (3, 2, 2, 3, dict(num_layers=2, bidirectional=True, batch_first=True)),
    (2, 7, 2, 5, {}),
]


def cases():
    for (name, extra), (steps, n, i, h, options) in itertools.product(
            (("RNN", {}), ("RNN", dict(nonlinearity="relu")), ("LSTM", {}), ("GRU", {})), CASES):
        options = options | extra
        layer = make(name, i, h, options)
        with torch.no_grad():
            for p in layer.parameters():
                p.copy_(short(*p.shape))
        first = options.get("batch_first", False)
        shape = (steps, i) if n == 0 else (n, steps, i) if first else (steps, n, i)
        directions = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
        state = (directions, h) if n == 0 else (directions, n, h)
        x = short(*shape).requires_grad_()
        states = [short(*state).requires_grad_() for _ in range(2 if name == "LSTM" else 1)]
        result = {"layer": name, "in": i, "hidden": h, "options": options,
                  "parameters": {k: tensor(p) for k, p in layer.named_parameters()}, "x": tensor(x)}

        def run(given, last):
            layer.zero_grad()
            for leaf in [x] + states:
                leaf.grad = None
            y, end = layer(x, (tuple(states) if len(states) > 1 else states[0])) if given else layer(x)
            end = end if isinstance(end, tuple) else (end,)
            dy, dend = short(*y.shape), [short(*s.shape) if last else torch.zeros_like(s) for s in end]
            torch.autograd.backward([y, *end], [dy, *dend])
            found = {"y": tensor(y), "dy": tensor(dy), "dx": tensor(x.grad), "end": [tensor(s) for s in end],
                     "grads": {k: tensor(p.grad) for k, p in layer.named_parameters()}}
            if given:
                found |= {"states": [tensor(s) for s in states], "dstates": [tensor(s.grad) for s in states]}
            if last:
                found["dend"] = [tensor(s) for s in dend]
            return found

        result["with_states"] = run(True, True)
        result["zeros"] = run(False, False)
        yield result


def beginnings():
    for name, options in (("RNN", {}), ("LSTM", dict(num_layers=2, bidirectional=True)), ("GRU", dict(bias=False))):
        for dtype in (torch.float32, torch.float64):
            torch.manual_seed(3)
            layer = getattr(nn, name)(3, 2, dtype=dtype, **options)
            yield {"layer": name, "in": 3, "hidden": 2, "options": options, "double": dtype == torch.float64,
                   "parameters": {k: tensor(p) for k, p in layer.named_parameters()}}


def saved():
    """A file of an LSTM's state_dict as safetensors writes it, and what the LSTM predicts, in float."""
    torch.manual_seed(7)
    layer = nn.LSTM(4, 6, num_layers=2, batch_first=True)
    x = torch.randn(3, 5, 4)
    return {"file": base64.b64encode(save(layer.state_dict())).decode(), "x": tensor(x), "y": tensor(layer(x)[0])}


def generate():
    write("recurrent", [torch], cases=list(cases()), beginnings=list(beginnings()), saved=saved())
