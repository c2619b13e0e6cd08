"""distributed.json: DistributedSampler's indices, and DistributedDataParallel (gloo, on the CPU) over a few steps."""

import os
import tempfile

import torch
import torch.distributed
import torch.multiprocessing
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from common import tensor, write

STEPS, ROWS = 3, 12


def net():
    torch.manual_seed(2)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 6), torch.nn.Tanh(),
                               torch.nn.Linear(6, 3)).double()


def batches():
    torch.manual_seed(3)
    x = torch.randn(STEPS, ROWS, 5, dtype=torch.float64)
    y = torch.randint(0, 3, (STEPS, ROWS))
    return x, y


def work(rank, world, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    model = DistributedDataParallel(net())
    sgd = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    x, y = batches()
    share, losses = ROWS // world, []
    for step in range(STEPS):
        mine = slice(rank * share, (rank + 1) * share)
        sgd.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[step][mine]), y[step][mine])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.8)
        sgd.step()
        total = loss.detach().clone()
        torch.distributed.all_reduce(total)
        losses.append(total.item() / world)
    if rank == 0:
        torch.save({"losses": losses, "state": model.module.state_dict()}, f"{folder}/result")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def generate():
    samplers = []
    for n in (1, 10, 12, 23):
        for world in (1, 2, 3, 4):
            for shuffle in (False, True):
                for drop_last in (False, True):
                    if drop_last and n < world:
                        continue
                    for rank in range(world):
                        sampler = DistributedSampler(range(n), world, rank, shuffle, seed=5, drop_last=drop_last)
                        sampler.set_epoch(2)
                        samplers.append({"n": n, "world": world, "rank": rank, "shuffle": shuffle,
                                         "drop_last": drop_last, "indices": list(sampler)})
    trainings = []
    for world in (1, 2, 3, 4):
        with tempfile.TemporaryDirectory() as folder:
            torch.multiprocessing.spawn(work, (world, folder), nprocs=world)
            result = torch.load(os.path.join(folder, "result"))
        trainings.append({"world": world, "losses": result["losses"],
                          "state": {name: tensor(value) for name, value in result["state"].items()}})
    x, y = batches()
    write("distributed", [torch], samplers=samplers, trainings=trainings, x=tensor(x), y=tensor(y.double()),
          state={name: tensor(value) for name, value in net().state_dict().items()})
