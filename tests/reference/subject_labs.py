"""labs.json: figures of the labs for which the notebooks print no number, by the notebooks' own code in PyTorch."""

import numpy as np
import torch
from sklearn.datasets import make_moons
from sklearn.metrics import r2_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from common import write

APPLES = torch.tensor([[73.0, 67, 43], [91, 88, 64], [87, 134, 58], [102, 43, 37], [69, 96, 70]])
MANY = torch.tensor([[0.0], [1], [1], [0], [1]])


def logistic_fixed():
    """Notebook 000, section 1, with targets shaped as the probabilities are."""
    torch.manual_seed(1)
    w = torch.randn(3, requires_grad=True)
    b = torch.randn(1, requires_grad=True)
    w.data = w.data / 1000
    b.data = b.data / 1000

    def model():
        return 1 / (1 + torch.exp(-(torch.matmul(APPLES, w) + b)))

    def binary_cross_entropy(p, y):
        p = torch.clamp(p, 1e-7, 1 - 1e-7)
        return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()

    labels = MANY.view(-1)
    binary_cross_entropy(model(), labels).backward()
    figures = {"000.fixed.dw0": w.grad.tolist(), "000.fixed.db0": b.grad.tolist()}
    for epoch in range(1000):
        loss = binary_cross_entropy(model(), labels)
        loss.backward()
        with torch.no_grad():
            w -= 1e-5 * w.grad
            b -= 1e-5 * b.grad
            w.grad.zero_()
            b.grad.zero_()
        if epoch in (0, 10, 20, 30, 100, 270):
            figures[f"000.fixed.loss{epoch}"] = [loss.item()]
    figures["000.fixed.probs"] = model().tolist()
    return figures


def logistic_layers():
    """Notebook 000, section 2, from the lab's seed."""
    torch.manual_seed(11)
    loader = DataLoader(TensorDataset(APPLES.repeat(3, 1), MANY.repeat(3, 1)), 5, shuffle=True)
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    opt = torch.optim.SGD(model.parameters(), 1e-5)
    for _ in range(1000):
        for x, y in loader:
            loss = nn.functional.binary_cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
    return {"000.logreg.probs": model(APPLES).flatten().tolist()}


def fit(model, loss_op, X, y, lr, n_iter):
    optim = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(n_iter):
        loss = loss_op(model(X), y)
        optim.zero_grad()
        loss.backward()
        optim.step()
    return loss.item()


def network():
    """Notebook 001: the chain of the delta rule, the line, the curve and the moons."""
    x, y = torch.tensor(1.5, dtype=torch.float64), torch.tensor(0.2, dtype=torch.float64)
    w_h = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    w_o = torch.tensor(-1.3, dtype=torch.float64, requires_grad=True)
    z_h = w_h * x
    z_o = w_o * torch.sigmoid(z_h)
    delta = torch.autograd.grad((y - torch.sigmoid(z_o)) ** 2, [z_o, z_h, w_o, w_h])
    figures = {"001.delta": [float(d) for d in delta]}

    np.random.seed(0)
    X = 4 * np.sort(np.random.rand(100, 1), axis=0) + 1
    noise = np.random.rand(100, 1) - 0.5
    X, Y = torch.tensor(X).float(), torch.tensor(2 + 0.7 * X + noise).float()
    torch.manual_seed(0)
    figures["001.line.loss_last"] = [fit(nn.Linear(1, 1), nn.MSELoss(), X, Y, 0.01, 100)]

    X = np.linspace(2, 10, 100)[:, None]
    Y = 1 / X[:, 0] * 5 + np.random.normal(size=100) / 7 + 2
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 2), nn.Sigmoid(), nn.Linear(2, 1))
    X, Y = torch.tensor(X).float(), torch.tensor(Y).float().view(-1, 1)
    fit(model, nn.MSELoss(), X, Y, 0.1, 1000)
    figures["001.curve.fit"] = [r2_score(Y.numpy(), model(X).detach().numpy())]

    X, Y = make_moons(n_samples=1000, noise=0.1, random_state=0)
    X, Y = torch.tensor(X).float(), torch.tensor(Y).float().view(-1, 1)
    for version, hidden, act in ("v1", [2], nn.Sigmoid), ("v2", [20, 20], nn.Sigmoid), ("v3", [20, 20], nn.Tanh):
        torch.manual_seed(0)
        layers, width = [], 2
        for h in hidden:
            layers += [nn.Linear(width, h), act()]
            width = h
        model = nn.Sequential(*layers, nn.Linear(width, 1), nn.Sigmoid())
        fit(model, nn.BCELoss(), X, Y, 0.1, 2000)
        figures[f"001.moons.{version}"] = [((model(X) > 0.5) == (Y > 0.5)).float().mean().item()]
    return figures


def gabor():
    """Notebook 002: its data and its loader from its seeds; SGD with momentum, the best validation epoch."""

    def function(x, w):
        h = w[0] + 0.06 * w[1] * x
        return torch.sin(h) * torch.exp(-(h**2) / 32)

    torch.manual_seed(42)
    torch.rand(5000, 5000)
    torch.randn(7, 1, dtype=torch.float64)  # the lab's gradient check draws its input
    sets = []
    for n, sigma in (300, 0.1), (200, 0.2), (100, 0.3):
        x = torch.linspace(-15, 15, n)
        sets.append(TensorDataset(x, function(x, torch.tensor([3.0, 15.0])) + sigma * torch.randn(n)))
    torch.manual_seed(0xABCD)
    train = DataLoader(sets[0], 100, shuffle=True, drop_last=True)
    val = DataLoader(sets[1], 100)
    w = torch.tensor([2.0, 14.0], requires_grad=True)
    optim = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    loss_fn = nn.MSELoss()
    best_metric, best = float("inf"), None
    for _ in range(200):
        for x, y in train:
            loss = loss_fn(function(x, w), y)
            optim.zero_grad()
            loss.backward()
            optim.step()
        with torch.no_grad():
            metric = sum(loss_fn(function(x, w), y).item() for x, y in val) / len(val)
        if metric < best_metric:
            best_metric, best = metric, w.tolist()
    return {"002.gabor.fit": best}


def generate():
    torch.set_num_threads(1)
    figures = logistic_fixed() | logistic_layers() | network() | gabor()
    write("labs", [np, torch], figures=figures)
