"""The rows of the table that tests/bench/run prints, in PyTorch: prints `ROW SECONDS`.
    torch_steps.py eager|compile [THREADS]
    torch_steps.py rows                          the names of those wanted (BENCH_ROWS; all without it)
Optimizers are the fused ones; `compile` compiles the network with its loss."""
import sys

import torch
from torch import nn

from timing import median_seconds, report, wanted

compiled = sys.argv[1] == "compile"
if len(sys.argv) > 2:
    torch.set_num_threads(int(sys.argv[2]))


def wrap(function):
    torch._dynamo.reset()
    return torch.compile(function) if compiled else function


def labels(n):
    return (torch.rand(n, 1) > 0.5).float()


def classes(n):
    return torch.randint(10, (n,))


def sgd(net, lr=1e-3, weight_decay=0.0):
    return torch.optim.SGD(net.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


def trainer(net, loss, optimizer):
    forward = wrap(lambda x, y: loss(net(x), y))

    def step(x, y):
        value = forward(x, y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return step


def training(net, loss, optimizer, x, y):
    step = trainer(net, loss, optimizer)
    return lambda: step(x, y)


def mlp_net(*sizes, batch_norm=False, dropout=False):
    layers = []
    for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        layers += [nn.BatchNorm1d(outputs)] if batch_norm else []
        layers += [nn.Dropout(0.5)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(*sizes[-2:]))


ADULT = (108, 256, 128, 1)


def logistic():
    net = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    return training(net, nn.BCELoss(), sgd(net, 1e-5), torch.randn(5, 3), labels(5))


def adult_logistic():
    net = nn.Linear(108, 1)
    return training(net, nn.BCEWithLogitsLoss(), sgd(net), torch.randn(20838, 108), labels(20838))


def mlp(dropout=False):
    net = mlp_net(*ADULT, dropout=dropout)
    return training(net, nn.BCEWithLogitsLoss(), sgd(net, weight_decay=1e-4), torch.randn(128, 108), labels(128))


def mlp_batch_norm():
    net = mlp_net(*ADULT, batch_norm=True, dropout=True)
    return training(net, nn.BCEWithLogitsLoss(), torch.optim.AdamW(net.parameters(), fused=True),
                    torch.randn(128, 108), labels(128))


def digits():
    net = mlp_net(784, 256, 128, 10)
    return training(net, nn.CrossEntropyLoss(), torch.optim.Adam(net.parameters(), fused=True),
                    torch.randn(64, 784), classes(64))


def wide():
    net = mlp_net(784, 2048, 2048, 10)
    return training(net, nn.CrossEntropyLoss(), sgd(net), torch.randn(512, 784), classes(512))


def recurrent(layer):
    x, dy = torch.randn(50, 32, 32), torch.randn(50, 32, 128)
    forward = wrap(layer)

    def step():
        y, _ = forward(x)
        layer.zero_grad()
        y.backward(dy)
    return step


def lenet():
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
                        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(784, 10))
    return training(net, nn.CrossEntropyLoss(), sgd(net), torch.randn(64, 1, 28, 28), classes(64))


def transformer():
    layers = [nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, batch_first=True) for _ in range(2)]
    net = nn.Sequential(nn.Embedding(64, 64), *layers, nn.Linear(64, 64), nn.Flatten(0, 1))
    return training(net, nn.CrossEntropyLoss(), sgd(net), torch.randint(64, (16, 64)), torch.randint(64, (1024,)))


def embedding():
    net = nn.Sequential(nn.Embedding(10000, 64), nn.Linear(64, 10))
    return training(net, nn.CrossEntropyLoss(), sgd(net), torch.randint(10000, (512,)), classes(512))


def inference(rows):
    net = mlp_net(*ADULT).eval()
    forward, x = wrap(net), torch.randn(rows, 108)

    def step():
        with torch.inference_mode():
            forward(x)
    return step


def epoch():
    net = mlp_net(*ADULT)
    step = trainer(net, nn.BCEWithLogitsLoss(), sgd(net, weight_decay=1e-4))
    x, y = torch.randn(20838, 108), labels(20838)

    def run():  # DataLoader's work row by row, in one gather per batch: faster
        for rows in torch.randperm(20838).split(128):
            step(x[rows], y[rows])
    return run


ROWS = {
    "logistic": logistic, "adult_logistic": adult_logistic, "mlp": mlp, "mlp_dropout": lambda: mlp(True),
    "mlp_batch_norm": mlp_batch_norm, "digits": digits, "wide": wide, "lenet": lenet,
    "transformer": transformer, "embedding": embedding,
    "lstm": lambda: recurrent(nn.LSTM(32, 128)), "gru": lambda: recurrent(nn.GRU(32, 128)), "inference_1": lambda: inference(1),
    "inference_1024": lambda: inference(1024), "epoch": epoch,
}

if __name__ == "__main__":
    def time_row(make):
        torch.manual_seed(0)
        return median_seconds(make())
    if sys.argv[1] == "rows":
        print(*wanted(ROWS))
    else:
        report(ROWS, time_row)
