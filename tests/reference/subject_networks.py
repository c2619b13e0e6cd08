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
from subject_activations import Hardsigmoid
from subject_attention import PositionalEncoding as Positions
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


# ---- Layers that give one tensor, as ours do.

def recurrent(base):
    class Layer(base):
        """y of all steps, or of the step at which each direction ends."""

        def __init__(self, *args, last=False, **kwargs):
            super().__init__(*args, **kwargs)
            self.last = last

        def forward(self, x):
            y = super().forward(x)[0]
            if not self.last:
                return y
            steps, h = (y.transpose(0, 1) if self.batch_first else y), self.hidden_size
            return torch.cat([steps[-1][..., :h], steps[0][..., h:]], -1)
    return Layer


def causal(x, batch_first):
    steps = x.shape[1 if batch_first else 0]
    return torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1)


class MultiheadAttention(nn.MultiheadAttention):
    def __init__(self, *args, is_causal=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_causal = is_causal

    def forward(self, x):
        mask = causal(x, self.batch_first) if self.is_causal else None
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


class TransformerEncoderLayer(nn.TransformerEncoderLayer):
    def __init__(self, *args, is_causal=False, **kwargs):
        super().__init__(*args, dropout=0.0, **kwargs)
        self.is_causal = is_causal

    def forward(self, x):
        return super().forward(x, src_mask=causal(x, self.self_attn.batch_first) if self.is_causal else None)


class PositionalEncoding(Positions):
    def __init__(self, d_model, batch_first, max_len):
        super().__init__(d_model, max_len)
        self.batch_first = batch_first

    def forward(self, x):
        pe = self.pe[:x.shape[1 if self.batch_first else 0]]
        return x + (pe.transpose(0, 1) if self.batch_first else pe)


OURS = {c.__name__: c for c in (Hardsigmoid, MultiheadAttention, TransformerEncoderLayer, PositionalEncoding)}
OURS |= {c.__name__: recurrent(c) for c in (nn.RNN, nn.LSTM, nn.GRU)}


# ---- The parts of a network: each takes a random generator and a shape, and returns a description and the resulting
# shape, or None if it does not fit.

def leaf(layer, **args):
    return {"layer": layer, "args": args}


def activation(rs, shape):
    name, args = [("Sigmoid", {}), ("Tanh", {}), ("ReLU", {}), ("LeakyReLU", dict(negative_slope=0.2)), ("ELU", dict(alpha=1.5)),
                  ("GELU", dict(approximate="none")), ("GELU", dict(approximate="tanh")), ("SiLU", {}),
                  ("Softplus", dict(beta=2.0, threshold=20.0)), ("Hardtanh", dict(min_val=-0.75, max_val=1.25)), ("Hardswish", {}),
                  ("LogSigmoid", {}), ("Softsign", {}), ("Mish", {}), ("Identity", {}), ("Hardsigmoid", {})][rs.randint(16)]
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
    args = dict(kernel_size=k, stride=s, padding=p, dilation=d)
    if len(places) == 2 and rs.randint(4) == 0:  # transposed
        extra = [int(rs.randint(max(t, e))) for t, e in zip(s, d)]
        after = [(l - 1) * t - 2 * q + e * (m - 1) + o + 1 for l, m, t, q, e, o in zip(places, k, s, p, d, extra)]
        name, args = "ConvTranspose2d", args | dict(output_padding=extra)
    else:
        after = [(l + 2 * q - e * (m - 1) - 1) // t + 1 for l, m, t, q, e in zip(places, k, s, p, d)]
        name = f"Conv{len(places)}d"
    if min(after) < 1:
        return None
    if len(places) == 1:
        args = {key: v[0] for key, v in args.items()}
    return leaf(name, in_channels=c, out_channels=out, groups=groups, bias=bool(rs.randint(2)), **args), (n, out, *after)


def same(rs, shape):
    """A convolution that keeps the size of the planes."""
    args = dict(kernel_size=3, dilation=int(rs.randint(1, 3))) if len(shape) == 3 else dict(kernel_size=[3, 1], dilation=[2, 1])
    out = int(rs.randint(1, 4))
    return (leaf(f"Conv{len(shape) - 2}d", in_channels=shape[1], out_channels=out, groups=1, bias=bool(rs.randint(2)), same=True, **args),
            (shape[0], out, *shape[2:]))


def unflatten(rs, shape):
    if len(shape) != 2 or shape[1] not in (4, 6, 8):
        return None
    return leaf("Unflatten", dim=1, unflattened_size=[2, shape[1] // 2]), (shape[0], 2, shape[1] // 2)


def dropout(rs, shape):
    """In evaluation: nothing is dropped."""
    return (leaf(["Dropout", "Dropout2d"][rs.randint(2)], p=0.5), shape) if len(shape) == 4 else (leaf("Dropout", p=0.5), shape)


# Of sequences: (T, N, C), or (N, T, C) where the batch comes first.

def recurrence(rs, shape):
    """h of all steps."""
    name, extra = [("RNN", {}), ("RNN", dict(nonlinearity="relu")), ("LSTM", {}), ("GRU", {})][rs.randint(4)]
    hidden, both = int(rs.randint(1, 6)), bool(rs.randint(2))
    args = dict(input_size=shape[-1], hidden_size=hidden, num_layers=int(rs.randint(1, 3)), bidirectional=both,
                batch_first=bool(rs.randint(2)), bias=bool(rs.randint(2)))
    return leaf(name, **args, **extra), shape[:2] + (hidden * (1 + both),)


def last_step(rs, shape):
    layer, after = recurrence(rs, shape)
    layer["args"]["last"] = True
    return layer, (shape[0 if layer["args"]["batch_first"] else 1], after[-1])


def attention(rs, shape):
    heads = [h for h in (1, 2, 3) if shape[-1] % h == 0]
    heads = int(heads[rs.randint(len(heads))])
    args = dict(batch_first=bool(rs.randint(2)), is_causal=bool(rs.randint(2)), bias=bool(rs.randint(2)))
    if rs.randint(2) or shape[-1] < 3:
        return leaf("MultiheadAttention", embed_dim=shape[-1], num_heads=heads, **args), shape
    args |= dict(dim_feedforward=int(rs.randint(1, 6)), activation=["relu", "gelu"][rs.randint(2)], norm_first=bool(rs.randint(2)))
    return leaf("TransformerEncoderLayer", d_model=shape[-1], nhead=heads, **args), shape


def positions(rs, shape):
    return leaf("PositionalEncoding", d_model=shape[-1], batch_first=bool(rs.randint(2)), max_len=9), shape


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
    parts = [activation, row_norm, group_norm, batch_norm, prelu, linear] + ([recurrence, attention] if len(shape) == 3 else [])
    inner, after = sequence(rs, shape, int(rs.randint(1, 3)), deep - 1, parts)
    if after != shape:
        inner["children"].append(leaf("Linear", in_features=after[-1], out_features=shape[-1], bias=True))
    return inner


def residual(rs, shape, deep):
    if rs.randint(2):
        return {"layer": "Residual", "children": [keeping(rs, shape, deep)]}, shape
    inner, after = sequence(rs, shape, 2, deep - 1, [activation, linear])
    shortcut = leaf("Linear", in_features=shape[-1], out_features=after[-1], bias=False)
    return {"layer": "Residual", "children": [inner, shortcut]}, after


def joined(name, dim, branches, **args):
    """Branches, whose outputs differ in this dimension alone, and the shape of these side by side."""
    shape = list(branches[0][1])
    shape[dim] = sum(after[dim] for _, after in branches)
    return {"layer": name, "args": {"dim": dim} | args, "children": [b for b, _ in branches]}, tuple(shape)


def parted(rs, shape, dim, deep, parts):
    if shape[dim] < 2:
        return None
    first = int(rs.randint(1, shape[dim]))
    sizes, branches, part = [first, shape[dim] - first], [], list(shape)
    for size in sizes:
        part[dim] = size
        branches.append(sequence(rs, tuple(part), 1, deep, parts))
    return joined("Split", dim, branches, sizes=sizes)


def concat(rs, shape, deep):
    return joined("Concat", -1, [sequence(rs, shape, int(rs.randint(1, 3)), deep - 1, [activation, linear, row_norm, prelu])
                                 for _ in range(int(rs.randint(2, 4)))])


def split(rs, shape, deep):
    return parted(rs, shape, -1, deep - 1, [activation, linear, row_norm])


def channels(rs, shape):
    """Branches side by side along dimension 1."""
    parts = [activation, same, same, prelu]
    if rs.randint(2):
        return parted(rs, shape, 1, 0, parts)
    return joined("Concat", 1, [sequence(rs, shape, int(rs.randint(1, 3)), 0, parts) for _ in range(int(rs.randint(2, 4)))])


def repeat(rs, shape, deep):
    block = keeping(rs, shape, 1)
    return {"layer": "Repeat", "args": {"times": int(rs.randint(2, 4)), "shared": bool(rs.randint(2))}, "children": [block]}, shape


CONTAINERS = [residual, concat, split, repeat]


def sequence(rs, shape, length, deep, parts):
    """Some of the parts, one after the other, and containers while it may be `deep`; it ends where the rank changes."""
    children, rank = [], len(shape)
    for _ in range(length):
        found = None
        while found is None:
            if deep > 0 and rs.randint(4) == 0:
                found = CONTAINERS[rs.randint(len(CONTAINERS))](rs, shape, deep)
            else:
                found = parts[rs.randint(len(parts))](rs, shape)
            if found is not None and (max(found[1][1:]) > 24 or np.prod(found[1]) > 600):
                found = None
        children.append(found[0])
        shape = found[1]
        if len(shape) != rank:
            break
    return {"layer": "Sequential", "children": children}, shape


COLUMNS = [activation, activation, linear, linear, prelu, softmax, row_norm, batch_norm, group_norm]
PLACES = [activation, activation, convolution, convolution, convolution, same, channels, pooling, prelu, row_norm, batch_norm, group_norm]
STEPS = [recurrence, recurrence, last_step, attention, attention, positions, activation, linear, row_norm, softmax]


def network(rs, evaluated):
    kind, extra = rs.randint(8), [dropout] if evaluated else []
    shape = tuple(int(rs.randint(*r)) for r in ((1, 5), (2, 5), (3, 9), (3, 8)))
    if kind < 2:
        return shape[:2], *sequence(rs, shape[:2], int(rs.randint(2, 7)), 2, COLUMNS + extra + [unflatten])
    if kind == 2:  # rows of columns
        return shape[:3], *sequence(rs, shape[:3], int(rs.randint(2, 6)), 2, COLUMNS + extra + [channels])
    if kind < 6:  # sequences, of vectors or of numbers to look up
        shape = (int(rs.randint(1, 6)), int(rs.randint(1, 4)), int(rs.randint(2, 7)))
        net, after = sequence(rs, shape, int(rs.randint(1, 4)), 1, STEPS + extra)
        if rs.randint(2):
            rows = int(rs.randint(2, 6))
            padding = dict(padding_idx=int(rs.randint(rows))) if rs.randint(2) else {}
            net["children"].insert(0, leaf("Embedding", num_embeddings=rows, embedding_dim=shape[-1], **padding))
            return shape[:2], net, after
        return shape, net, after
    shape = shape if rs.randint(2) else shape[:3]
    net, after = sequence(rs, shape, int(rs.randint(1, 5)), 1, PLACES + extra)
    net["children"].append(leaf("Flatten"))
    head, last = sequence(rs, (after[0], int(np.prod(after[1:]))), 2, 1, [linear, activation])
    net["children"].append(head)
    return shape, net, last


def build(d):
    name, args, children = d["layer"], dict(d.get("args", {})), [build(c) for c in d.get("children", [])]
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
    if args.pop("same", False):
        args["padding"] = "same"
    return OURS[name](**args) if name in OURS else getattr(nn, name)(*children, **args)


LOSSES = [("MSELoss", {}), ("HuberLoss", dict(delta=0.5)), ("SmoothL1Loss", dict(beta=0.5)), ("BCEWithLogitsLoss", {}),
          ("CrossEntropyLoss", dict(label_smoothing=0.1)), ("CrossEntropyLoss", dict(ignore_index=1)), (None, {}), (None, {})]


def case(rs, seed):
    evaluated = rs.randint(5) == 0
    shape, description, last = network(rs, evaluated)
    net = build(description).double().train(not evaluated)
    names = [name for name, _ in net.named_parameters()]
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(parameter(seed + i, tuple(p.shape)))
    x, first = values(seed + 100, *shape), description["children"][0]
    if first["layer"] == "Embedding":
        x = ((x + 1) / 2 * first["args"]["num_embeddings"]).long()
    else:
        x = (1.5 * x).requires_grad_()
    y = net(x)
    loss, options = LOSSES[rs.randint(len(LOSSES))]
    if loss == "CrossEntropyLoss" and (y.dim() != 2 or y.shape[0] < 2):
        loss, options = None, {}
    result = {"seed": seed, "shape": shape, "net": description} | ({"eval": True} if evaluated else {})
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
    dx = {} if x.grad is None else {"dx": projection(seed + 103, x.grad)}
    return result | {"names": names, "y": projection(seed + 102, y)} | dx | {"grads": grads}


def generate():
    rs = np.random.RandomState(SEED)
    cases = []
    while len(cases) < COUNT:
        made = case(rs, 1000 * (len(cases) + 1))
        numbers = [made["y"], made.get("dx", 0), *made["grads"]]
        if np.isfinite(numbers).all() and max(map(abs, numbers)) < 1e3:  # a steep network says nothing about floats
            cases.append(made)
    write("networks", [torch], cases=cases)
