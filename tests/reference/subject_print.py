"""print.json: how torch prints tensors (float) and networks."""

import numpy as np
import torch
from torch import nn

from common import tensor, write

RS = np.random.RandomState(25)


def tensors():
    f = lambda *shape: torch.tensor(RS.randn(*shape), dtype=torch.float32)
    yield torch.tensor(3.14159)
    yield torch.tensor(2.0)
    yield torch.tensor([1.0, 2.0, 3.0])
    yield torch.tensor([0.0])
    yield torch.tensor([-0.0, 0.0])
    yield torch.tensor([[0.0], [1.0]])
    yield torch.tensor([0.5, -1.25, 100.0])
    yield torch.tensor([1e-5, 1.0])
    yield torch.tensor([1e-3, 0.5])
    yield torch.tensor([2.5e-4, 0.0])
    yield torch.tensor([1e-3, 2.5])
    yield torch.tensor([1e9, 1.0])
    yield torch.tensor([1e5, 2e5])
    yield torch.tensor([123456.0, 1.0])
    yield torch.tensor([1234.5, 0.25])
    yield torch.tensor([float("nan"), 1.0])
    yield torch.tensor([float("inf"), -float("inf"), 1.5])
    yield torch.tensor([float("nan")])
    yield f(3)
    yield f(2, 3)
    yield f(2, 3) * 1000
    yield f(2, 3, 4)
    yield f(2, 1, 2, 3)
    yield f(25)
    yield torch.arange(30).float()
    yield torch.arange(2000).float()
    yield f(60, 20)
    yield f(2, 600)
    yield torch.arange(1000).float().reshape(10, 100)


def networks():
    yield nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1, bias=False))
    yield nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Softmax(dim=-1))
    yield nn.Sequential(nn.LeakyReLU(0.2), nn.LeakyReLU(), nn.ELU(1.409), nn.ELU(), nn.GELU(), nn.GELU(approximate="tanh"),
                        nn.SiLU(), nn.Softplus(), nn.Softplus(2.0, 5.5), nn.Sigmoid(), nn.Identity(), nn.LogSoftmax(dim=1))
    yield nn.Sequential(nn.BatchNorm1d(7), nn.BatchNorm1d(3, momentum=0.2, affine=False),
                        nn.LayerNorm(5), nn.LayerNorm((3, 5), eps=0.01, elementwise_affine=False))


def generate():
    write("print", [torch], tensors=[tensor(t) | {"text": str(t)} for t in tensors()],
          networks=[{"text": repr(n)} for n in networks()])
