"""The steps of gpu_steps.cpp in PyTorch, on the same GPU: eager, torch.compile, and recorded in a CUDA graph."""
import statistics
import time

import torch
from torch import nn


def microseconds(call, calls):
    for _ in range(10):
        call()
    times = []
    for _ in range(11):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / calls * 1e6)
    return statistics.median(times)


def mlp(*sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if i < len(sizes) - 2 else [])
    return nn.Sequential(*layers).cuda()


def step_of(net, x, y):
    loss, sgd = nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=1e-3)

    def step():
        sgd.zero_grad(set_to_none=False)
        loss(net(x), y).backward()
        sgd.step()

    return step


def recorded(step):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def row(name, us):
    print(f"{name:<44} {us:10.2f} us")


print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}")
x, y = torch.randn(128, 108).cuda(), torch.randn(128, 1).cuda()
row("step 108-256-128-1, batch 128, eager", microseconds(step_of(mlp(108, 256, 128, 1), x, y), 200))
row("step 108-256-128-1, batch 128, CUDA graph", microseconds(recorded(step_of(mlp(108, 256, 128, 1), x, y)), 500))
x, y = torch.randn(4096, 4096).cuda(), torch.randn(4096, 1000).cuda()
for name in ("FP32", "TF32", "BF16"):
    torch.set_float32_matmul_precision({"FP32": "highest", "TF32": "high", "BF16": "medium"}[name])
    net = mlp(4096, 4096, 4096, 4096, 1000)
    row(f"step 4096-4096-4096-4096-1000, {name}, eager", microseconds(step_of(net, x, y), 5))
    row(f"step 4096-4096-4096-4096-1000, {name}, compile", microseconds(step_of(torch.compile(net), x, y), 5))
