"""networks.json: random networks over all layers and containers, in double.

A network is kept as the description that it is built from, here and in the test. Its numbers are not kept: parameters,
input and upstream gradient are made on both sides by `values`; and of each result, as a long list, its scalar product
with such numbers, which no wrong element leaves as it is.

    NETWORKS=1000 SEED=7 generate.py networks     others, and more of them; run the test containers/random_networks then
"""

import os

import numpy as np
import torch
from torch import nn

from common import write
from subject_containers import Concat, Residual, Split

COUNT, SEED = int(os.environ.get("NETWORKS", 300)), int(os.environ.get("SEED", 1))
MASK = (1 << 64) - 1


def values(seed, *shape):
    """Uniform numbers in [-1, 1): splitmix64 of the seed's counter, its upper 53 bits."""
    def one(i):
        z = (seed * 0x9E3779B97F4A7C15 + i * 0xD1B54A32D192ED03) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) * 2.0**-52 - 1
    return torch.tensor([one(i) for i in range(int(np.prod(shape)))], dtype=torch.float64).reshape(shape)


def parameter(seed, shape):
    """As large as an initialisation would have it; scales, shifts and slopes around 1."""
    v = values(seed, *shape)
    return v * (3 / (v.numel() / shape[0])) ** 0.5 if len(shape) > 1 else 1 + v / 2


def projection(seed, x):
    return (x.detach().reshape(-1) * values(seed, x.numel())).sum().item()


# ---- The parts of a network: each takes a random generator and a shape, and returns a description and the resulting
# shape, or None if it does not fit.

def leaf(layer, **args):
    return {"layer": layer, "args": args}


def activation(rs, shape):
    name, args = [("Sigmoid", {}), ("Tanh", {}), ("ReLU", {}), ("LeakyReLU", dict(negative_slope=0.2)), ("ELU", dict(alpha=1.5)),
                  ("GELU", dict(approximate="none")), ("GELU", dict(approximate="tanh")), ("SiLU", {}),
                  ("Softplus", dict(beta=2.0, threshold=20.0)), ("Hardtanh", dict(min_val=-0.75, max_val=1.25)), ("Hardswish", {}),
                  ("LogSigmoid", {}), ("Softsign", {}), ("Mish", {}), ("Identity", {})][rs.randint(15)]
    return leaf(name, **args), shape


def linear(rs, shape):
    out = int(rs.randint(1, 8))
    return leaf("Linear", in_features=shape[-1], out_features=out, bias=bool(rs.randint(2))), shape[:-1] + (out,)


def prelu(rs, shape):
    return leaf("PReLU", num_parameters=int([1, shape[1]][rs.randint(2)])), shape


def softmax(rs, shape):
    return (leaf(["Softmax", "LogSoftmax"][rs.randint(2)], dim=-1), shape) if shape[-1] > 1 else None


def row_norm(rs, shape):
    rank = int(rs.randint(1, len(shape)))
    row = list(shape[-rank:])
    if np.prod(row) < 3:
        return None
    name = ["LayerNorm", "RMSNorm"][rs.randint(2)]
    args = dict(elementwise_affine=bool(rs.randint(2))) | (dict(eps=0.01) if name == "RMSNorm" else {})
    return leaf(name, normalized_shape=row, **args), shape


def batch_norm(rs, shape):
    if np.prod(shape) / shape[1] < 3:
        return None
    return leaf("BatchNorm2d" if len(shape) == 4 else "BatchNorm1d", num_features=shape[1], affine=bool(rs.randint(2))), shape


def group_norm(rs, shape):
    groups = [g for g in range(1, shape[1] + 1) if shape[1] % g == 0 and np.prod(shape[1:]) // g > 2]
    if not groups:
        return None
    return leaf("GroupNorm", num_groups=int(groups[rs.randint(len(groups))]), num_channels=shape[1], affine=bool(rs.randint(2))), shape


def convolution(rs, shape):
    n, c, *places = shape
    groups = int([1, c][rs.randint(2)])
    out = groups * int(rs.randint(1, 4 if groups == 1 else 3))
    k, s, p, d = ([int(rs.randint(*r)) for _ in places] for r in ((1, 4), (1, 3), (0, 2), (1, 3)))
    after = [(l + 2 * q - e * (m - 1) - 1) // t + 1 for l, m, t, q, e in zip(places, k, s, p, d)]
    if min(after) < 1:
        return None
    args = dict(kernel_size=k, stride=s, padding=p, dilation=d)
    if len(places) == 1:
        args = {key: v[0] for key, v in args.items()}
    return leaf(f"Conv{len(places)}d", in_channels=c, out_channels=out, groups=groups, bias=bool(rs.randint(2)), **args), (n, out, *after)


def pooling(rs, shape):
    n, c, *places = shape
    if len(places) == 2 and rs.randint(4) == 0:
        size = [int(rs.randint(1, l + 1)) for l in places]
        return leaf("AdaptiveAvgPool2d", output_size=size), (n, c, *size)
    k, s = ([int(rs.randint(1, 4)) for _ in places] for _ in range(2))
    after = [(l - m) // t + 1 for l, m, t in zip(places, k, s)]
    if min(l - m for l, m in zip(places, k)) < 0:
        return None
    args = dict(kernel_size=k, stride=s) if len(places) == 2 else dict(kernel_size=k[0], stride=s[0])
    return leaf(["MaxPool", "AvgPool"][rs.randint(2)] + f"{len(places)}d", **args), (n, c, *after)


def keeping(rs, shape, deep):
    """A network that gives back the shape that it takes."""
    inner, after = sequence(rs, shape, int(rs.randint(1, 3)), deep - 1, [activation, row_norm, group_norm, batch_norm, prelu, linear])
    if after != shape:
        inner["children"].append(leaf("Linear", in_features=after[-1], out_features=shape[-1], bias=True))
    return inner


def residual(rs, shape, deep):
    if rs.randint(2):
        return {"layer": "Residual", "children": [keeping(rs, shape, deep)]}, shape
    inner, after = sequence(rs, shape, 2, deep - 1, [activation, linear])
    shortcut = leaf("Linear", in_features=shape[-1], out_features=after[-1], bias=False)
    return {"layer": "Residual", "children": [inner, shortcut]}, after


def concat(rs, shape, deep):
    branches = [sequence(rs, shape, int(rs.randint(1, 3)), deep - 1, [activation, linear, row_norm, prelu]) for _ in range(int(rs.randint(2, 4)))]
    return ({"layer": "Concat", "args": {"dim": -1}, "children": [b for b, _ in branches]},
            shape[:-1] + (sum(after[-1] for _, after in branches),))


def split(rs, shape, deep):
    if shape[-1] < 2:
        return None
    first = int(rs.randint(1, shape[-1]))
    sizes = [first, shape[-1] - first]
    branches = [sequence(rs, shape[:-1] + (size,), 1, deep - 1, [activation, linear, row_norm]) for size in sizes]
    return ({"layer": "Split", "args": {"dim": -1, "sizes": sizes}, "children": [b for b, _ in branches]},
            shape[:-1] + (sum(after[-1] for _, after in branches),))


def repeat(rs, shape, deep):
    block = keeping(rs, shape, 1)
    return {"layer": "Repeat", "args": {"times": int(rs.randint(2, 4)), "shared": bool(rs.randint(2))}, "children": [block]}, shape


CONTAINERS = [residual, concat, split, repeat]


def sequence(rs, shape, length, deep, parts):
    """Some of the parts, one after the other, and containers while it may be `deep`."""
    children = []
    for _ in range(length):
        found = None
        while found is None:
            if deep > 0 and rs.randint(4) == 0:
                found = CONTAINERS[rs.randint(len(CONTAINERS))](rs, shape, deep)
            else:
                found = parts[rs.randint(len(parts))](rs, shape)
            if found is not None and found[1][-1] > 24:
                found = None
        children.append(found[0])
        shape = found[1]
    return {"layer": "Sequential", "children": children}, shape


COLUMNS = [activation, activation, linear, linear, prelu, softmax, row_norm, batch_norm, group_norm]
PLACES = [activation, activation, convolution, convolution, convolution, pooling, prelu, row_norm, batch_norm, group_norm]


def network(rs):
    rank = [2, 2, 3, 3, 4, 4][rs.randint(6)]
    shape = tuple(int(rs.randint(*r)) for r in ((1, 5), (2, 5), (3, 9), (3, 8)))[:rank]
    if rank == 2:
        return shape, *sequence(rs, shape, int(rs.randint(2, 7)), 2, COLUMNS)
    if rank == 3 and rs.randint(2):  # rows of columns
        return shape, *sequence(rs, shape, int(rs.randint(2, 6)), 2, [p for p in COLUMNS if p is not softmax] + [softmax])
    net, after = sequence(rs, shape, int(rs.randint(1, 5)), 1, PLACES)
    net["children"].append(leaf("Flatten"))
    head, last = sequence(rs, (after[0], int(np.prod(after[1:]))), 2, 1, [linear, activation])
    net["children"].append(head)
    return shape, net, last


def build(d):
    name, args, children = d["layer"], d.get("args", {}), [build(c) for c in d.get("children", [])]
    if name == "Residual":
        return Residual(*children)
    if name == "Concat":
        return Concat(*children, **args)
    if name == "Split":
        return Split(args["sizes"], *children, dim=args["dim"])
    if name == "Repeat":
        blocks = [nn.Sequential(*children)]
        blocks += [blocks[0] if args["shared"] else nn.Sequential(build(d["children"][0])) for _ in range(args["times"] - 1)]
        return nn.Sequential(*blocks)
    return getattr(nn, name)(*children, **args)


LOSSES = [("MSELoss", {}), ("HuberLoss", dict(delta=0.5)), ("SmoothL1Loss", dict(beta=0.5)), ("BCEWithLogitsLoss", {}),
          ("CrossEntropyLoss", dict(label_smoothing=0.1)), ("CrossEntropyLoss", dict(ignore_index=1)), (None, {}), (None, {})]


def case(rs, seed):
    shape, description, last = network(rs)
    net = build(description).double()
    names = [name for name, _ in net.named_parameters()]
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(parameter(seed + i, tuple(p.shape)))
    x = (1.5 * values(seed + 100, *shape)).requires_grad_()
    y = net(x)
    loss, options = LOSSES[rs.randint(len(LOSSES))]
    if loss == "CrossEntropyLoss" and (y.dim() != 2 or y.shape[0] < 2):
        loss, options = None, {}
    result = {"seed": seed, "shape": shape, "net": description}
    t = values(seed + 101, *y.shape)
    if loss is None:
        y.backward(t)
    else:
        if loss == "CrossEntropyLoss":
            t = torch.tensor([i % y.shape[1] for i in range(y.shape[0])])
        elif loss == "BCEWithLogitsLoss":
            t = (t + 1) / 2
        value = getattr(nn, loss)(**options)(y, t)
        value.backward()
        result |= {"loss": loss, "options": options, "value": value}
    grads = [projection(seed + 200 + i, p.grad) for i, p in enumerate(net.parameters())]
    return result | {"names": names, "y": projection(seed + 102, y), "dx": projection(seed + 103, x.grad), "grads": grads}


def generate():
    rs = np.random.RandomState(SEED)
    cases = []
    while len(cases) < COUNT:
        made = case(rs, 1000 * (len(cases) + 1))
        numbers = [made["y"], made["dx"], *made["grads"]]
        if np.isfinite(numbers).all() and max(map(abs, numbers)) < 1e3:  # a steep network says nothing about floats
            cases.append(made)
    write("networks", [torch], cases=cases)
