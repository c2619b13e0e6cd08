"""onnx.json: small networks as torch.onnx.export writes them, byte for byte, with an input and its output."""

import io

import torch
from torch import nn

from common import tensor, write


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.f = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.f(x)


class Heads(nn.Module):
    def __init__(self, *heads):
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, x):
        return torch.cat([head(x) for head in self.heads], 1)


def exported(net, x, **options):
    buffer = io.BytesIO()
    torch.onnx.export(net, (x,), buffer, input_names=["input"], dynamic_axes={"input": {0: "batch"}}, dynamo=False, **options)
    return buffer.getvalue().hex()


def generate():
    torch.manual_seed(5)
    L = nn.Linear
    networks = {
        "perceptron": (nn.Sequential(L(4, 6), nn.ReLU(), nn.Dropout(0.3), L(6, 3), nn.Softmax(1)), (5, 4)),
        "norms": (nn.Sequential(L(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.LayerNorm(6), nn.LeakyReLU(0.2)), (5, 4)),
        "activations": (
            nn.Sequential(L(4, 6), nn.ELU(0.5), nn.SiLU(), nn.Softplus(), nn.Hardswish(), nn.PReLU(), nn.Hardtanh()),
            (5, 4),
        ),
        "sequences": (nn.Sequential(L(3, 5), nn.Sigmoid(), L(5, 2, bias=False)), (2, 4, 3)),
        "lenet": (
            nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Flatten(), L(16, 3)),
            (2, 1, 12, 12),
        ),
        "lines": (nn.Sequential(nn.Conv1d(2, 4, 3, stride=2), nn.GELU(), nn.MaxPool1d(2)), (3, 2, 16)),
        "residual": (nn.Sequential(L(4, 5), Residual(L(5, 7), nn.Tanh(), L(7, 5)), Heads(L(5, 2), nn.Sequential(L(5, 1), nn.Tanh()))), (5, 4)),
    }
    cases = []
    for name, (net, shape) in networks.items():
        net.train()
        net(torch.randn(*shape))  # running statistics other than 0 and 1
        net.eval()
        x = torch.randn(*shape)
        file = exported(net, x, opset_version=20 if name == "lines" else 17)
        cases.append({"name": name, "file": file, "x": tensor(x.double()), "y": tensor(net(x).double())})
    write("onnx", [torch], cases=cases)
