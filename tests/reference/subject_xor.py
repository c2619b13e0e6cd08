"""xor.json: the README's XOR program, in float, step for step."""

import torch
from torch import nn

from common import tensor, write

EPOCHS = 1000


def generate():
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = torch.tensor([[0.0], [1], [1], [0]])
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    loss = nn.BCEWithLogitsLoss()
    sgd = torch.optim.SGD(net.parameters(), lr=0.5)
    losses = []
    for _ in range(EPOCHS):
        value = loss(net(x), y)
        sgd.zero_grad()
        value.backward()
        sgd.step()
        losses.append(value.item())
    write("xor", [torch], epochs=EPOCHS, losses=losses, parameters={k: tensor(p) for k, p in net.named_parameters()},
          logits=tensor(net(x)))
