"""The same training steps in PyTorch (eager), each at its best number of threads. Prints `NAME SECONDS THREADS`."""
import os
import statistics
import time

import torch
from torch import nn


def median_step(step, seconds=0.4, rounds=7):
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:  # warm up, and see how many steps fill a round
        step()
        count += 1
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            step()
        times.append((time.perf_counter() - start) / count)
    return statistics.median(times)


def trainer(net, loss, optimizer, x, y):
    def step():
        value = loss(net(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return step


def labels(n):
    return (torch.rand(n, 1) > 0.5).float()


def logistic():
    net = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())
    return trainer(net, nn.BCELoss(), torch.optim.SGD(net.parameters(), lr=1e-5), torch.randn(5, 3), labels(5))


def mlp(*hidden_extra, optimizer=None):
    def block(inputs, outputs):
        return [nn.Linear(inputs, outputs), nn.ReLU(), *(make(outputs) for make in hidden_extra)]
    net = nn.Sequential(*block(108, 256), *block(256, 128), nn.Linear(128, 1))
    optimizer = optimizer or (lambda p: torch.optim.SGD(p, lr=1e-3))
    return trainer(net, nn.BCEWithLogitsLoss(), optimizer(net.parameters()), torch.randn(128, 108), labels(128))


MODELS = {
    "logistic": logistic,
    "mlp": mlp,
    "mlp_dropout": lambda: mlp(lambda n: nn.Dropout(0.5)),
    "mlp_batch_norm_adamw": lambda: mlp(nn.BatchNorm1d, optimizer=lambda p: torch.optim.AdamW(p, lr=1e-3)),
}

if __name__ == "__main__":
    for name, make in MODELS.items():
        results = []
        for threads in range(1, (os.cpu_count() or 1) + 1):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            results.append((median_step(make()), threads))
        seconds, threads = min(results)
        print(name, seconds, threads, flush=True)
