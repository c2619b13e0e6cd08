"""The training that scaling.cpp times, in PyTorch on one thread: DistributedDataParallel over gloo, on WORLD processes.
    ddp_steps.py WORLD ROWS SECONDS     prints `ddp SECONDS` (a step's median); on 1, without DDP"""
import statistics
import sys
import tempfile
import time

import torch
import torch.distributed as distributed
from torch import nn


def work(rank, world, rows, seconds, folder):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10))
    if world > 1:
        distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
        net = nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True)
    loss, sgd = nn.CrossEntropyLoss(), torch.optim.SGD(net.parameters(), lr=1e-3, fused=True)
    x, y = torch.randn(rows, 784), torch.randint(10, (rows,))

    def step():
        begin = time.perf_counter()
        sgd.zero_grad()
        loss(net(x), y).backward()
        sgd.step()
        return time.perf_counter() - begin

    for _ in range(3):
        once = step()
    count = torch.tensor(max(3, int(seconds / once)))
    if world > 1:
        distributed.broadcast(count, 0)
    times = [step() for _ in range(int(count))]
    if rank == 0:
        print("ddp", statistics.median(times), flush=True)
    if world > 1:
        distributed.barrier()
        distributed.destroy_process_group()


if __name__ == "__main__":
    world, rows, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        if world == 1:
            work(0, 1, rows, seconds, folder)
        else:
            torch.multiprocessing.spawn(work, (world, rows, seconds, folder), nprocs=world)
