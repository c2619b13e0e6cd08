"""containers.json: networks with branches, repeated and shared layers, and training with two losses and of two networks
in turn, in double."""

import copy

import numpy as np
import torch
from torch import nn

from common import tensor, write

RS = np.random.RandomState(30)


def short(*shape):
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


class Residual(nn.Module):
    def __init__(self, f, shortcut=None):
        super().__init__()
        self.f = f
        if shortcut is not None:
            self.shortcut = shortcut

    def forward(self, x):
        return (self.shortcut(x) if hasattr(self, "shortcut") else x) + self.f(x)


class Concat(nn.ModuleList):
    def __init__(self, *branches, dim=1):
        super().__init__(branches)
        self.dim = dim

    def forward(self, x):
        return torch.cat([f(x) for f in self], self.dim)


class Split(nn.ModuleList):
    def __init__(self, sizes, *branches, dim=1):
        super().__init__(branches)
        self.sizes, self.dim = sizes, dim

    def forward(self, x):
        return torch.cat([f(part) for f, part in zip(self, torch.split(x, self.sizes, self.dim))], self.dim)


S, L = nn.Sequential, nn.Linear


def tied():
    net = S(L(4, 4), nn.Tanh(), L(4, 4), nn.Tanh(), L(4, 4))
    net[2].weight = net[0].weight
    net[4].weight = net[0].weight
    net[4].bias = net[2].bias
    return net


def shared():
    block = S(L(4, 4), nn.Tanh())
    return S(block, block, block)


NETS = {
    "residual": (lambda: Residual(S(L(5, 7), nn.Tanh(), L(7, 5))), [(1, 5), (3, 5), (2, 3, 5)]),
    "shortcut": (lambda: Residual(S(L(5, 7), nn.Tanh()), L(5, 7, bias=False)), [(1, 5), (3, 5)]),
    "concat": (lambda: Concat(L(5, 3), S(L(5, 4), nn.Tanh()), nn.Identity()), [(1, 5), (3, 5)]),
    "concat_last": (lambda: Concat(L(5, 3), L(5, 2), dim=-1), [(3, 5), (2, 3, 5), (2, 3, 1, 5)]),
    "concat_rows": (lambda: Concat(L(5, 3), L(5, 3), dim=1), [(2, 3, 5), (1, 2, 3, 5)]),
    "split": (lambda: Split([2, 3], L(2, 4), S(L(3, 1), nn.Sigmoid())), [(1, 5), (3, 5)]),
    "split_rows": (lambda: Split([1, 2], L(5, 3), S(L(5, 3), nn.Tanh()), dim=-2), [(2, 3, 5)]),
    "nested": (lambda: S(L(3, 6), Residual(S(Concat(L(6, 2), S(L(6, 4), nn.Tanh())), nn.Tanh())),
                         Split([2, 4], nn.Identity(), Residual(L(4, 4))), Residual(nn.Tanh(), L(6, 6)), L(6, 2)),
               [(1, 3), (5, 3)]),
    "tied": (tied, [(1, 4), (3, 4)]),
    "repeat": (lambda: S(*[S(L(4, 4), nn.Tanh()) for _ in range(3)]), [(3, 4)]),
    "shared": (shared, [(1, 4), (3, 4)]),
    "flatten": (lambda: S(nn.Flatten(), L(6, 4), nn.Unflatten(1, (2, 2)), L(2, 3)), [(1, 2, 3), (5, 6), (5, 3, 1, 2)]),
    "flatten_middle": (lambda: S(nn.Unflatten(-1, (2, 3)), nn.Flatten(0, -2), L(3, 2)), [(4, 6), (4, 5, 6)]),
}


def prepared(make):
    net = make().double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(short(*p.shape))
    return net


def step(net, shape):
    x = short(*shape).requires_grad_()
    net.zero_grad()
    y = net(x)
    dy = short(*y.shape)
    y.backward(dy)
    return {"x": tensor(x), "y": tensor(y), "dy": tensor(dy), "dx": tensor(x.grad),
            "grads": {k: tensor(p.grad) for k, p in net.named_parameters()}}


def state(net):
    return {k: tensor(v) for k, v in net.state_dict().items()}


def two_heads():
    """A trunk, a head for a number and one for a class; both losses go into one step."""
    net = prepared(lambda: S(L(3, 6), nn.Tanh(), Residual(S(L(6, 6), nn.Tanh())), Concat(L(6, 1), L(6, 4))))
    x, t, c = short(7, 3), short(7, 1), torch.tensor(RS.randint(0, 4, 7))
    before, sgd, losses = state(net), torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), []
    for _ in range(5):
        value, logits = torch.split(net(x), [1, 4], 1)
        mse, ce = nn.functional.mse_loss(value, t), nn.functional.cross_entropy(logits, c)
        sgd.zero_grad()
        (mse + ce).backward()
        sgd.step()
        losses.append([mse.item(), ce.item()])
    return {"before": before, "x": tensor(x), "t": tensor(t), "c": tensor(c.double()), "losses": losses, "after": state(net)}


def gan():
    """The discriminator learns to tell, then the generator to deceive it, in turn."""
    g = prepared(lambda: S(L(2, 5), nn.Tanh(), L(5, 3)))
    d = prepared(lambda: S(L(3, 6), nn.LeakyReLU(0.2), L(6, 1)))
    before = {"g": state(g), "d": state(d)}
    og, od = torch.optim.Adam(g.parameters(), lr=0.02), torch.optim.Adam(d.parameters(), lr=0.05)
    bce, turns = nn.BCEWithLogitsLoss(), []
    for _ in range(4):
        z, real = short(5, 2), short(5, 3)
        od.zero_grad()
        loss_d = bce(d(real), torch.ones(5, 1).double()) + bce(d(g(z).detach()), torch.zeros(5, 1).double())
        loss_d.backward()
        od.step()
        og.zero_grad()
        loss_g = bce(d(g(z)), torch.ones(5, 1).double())
        loss_g.backward()
        og.step()
        turns.append({"z": tensor(z), "real": tensor(real), "d": loss_d.item(), "g": loss_g.item()})
    return {"before": before, "turns": turns, "after": {"g": state(g), "d": state(d)}}


def generate():
    cases = []
    for name, (make, shapes) in NETS.items():
        net = prepared(make)
        cases.append({"name": name, "state": state(net), "steps": [step(net, shape) for shape in shapes]})
    write("containers", [torch, np], cases=cases, two_heads=[two_heads()], gan=[gan()])
