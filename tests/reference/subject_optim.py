"""optim.json: optimizers on fixed gradients, gradient clipping, and learning-rate schedules, in double."""

import numpy as np
import torch
from torch.optim import lr_scheduler

from common import tensor, write

RS = np.random.RandomState(22)
STEPS = 8


def short(*shape):
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


WEIGHT, BIAS = short(2, 3), short(3)
# gradients that change size and sign, and are zero once
SCALES = [1.0, 1.0, -0.5, 100.0, 0.01, 0.0, 1.0, -1.0]
GRADIENTS = [(torch.round(short(2, 3) * s, decimals=5), torch.round(short(3) * s, decimals=5)) for s in SCALES]


class Lion(torch.optim.Optimizer):
    """Program 1 of Chen et al. 2023; torch has none."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.mul_(1 - lr * group["weight_decay"])
                p.sub_(lr * torch.sign(b1 * m + (1 - b1) * p.grad))
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


def newton_schulz(u, coefficients, steps, eps):
    """torch's iteration of Muon, which it runs in bfloat16, in double."""
    a, b, c = coefficients
    x = u.T if u.shape[0] > u.shape[1] else u
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        g = x @ x.T
        x = a * x + (b * g + c * g @ g) @ x
    return x.T if u.shape[0] > u.shape[1] else x


def muon(**options):
    """A wide, a square and a tall matrix."""
    torch.optim._muon._zeropower_via_newtonschulz = newton_schulz
    matrices = [short(2, 5), short(3, 3), short(5, 2)]
    start = [tensor(m) for m in matrices]
    leaves = [m.clone().requires_grad_() for m in matrices]
    optimizer = torch.optim.Muon(leaves, **options)
    steps = []
    for scale in (1.0, -0.5, 100.0, 0.0, 1.0):
        gradients = [torch.round(short(*m.shape) * scale, decimals=5) for m in matrices]
        for leaf, gradient in zip(leaves, gradients):
            leaf.grad = gradient.clone()
        optimizer.step()
        steps.append({"gradients": [g.flatten().tolist() for g in gradients],
                      "values": [m.detach().flatten().tolist() for m in leaves]})
    return {"optimizer": "Muon", "options": options, "matrices": start, "steps": steps}


def moving_average(decay):
    net = torch.nn.Linear(3, 2).double()
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay))
    steps = []
    for _ in range(5):
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(short(*p.shape))
        average.update_parameters(net)
        steps.append({"weight": tensor(net.weight), "bias": tensor(net.bias), "average": [tensor(p) for p in average.module.parameters()]})
    return {"decay": decay, "steps": steps}


def trajectory(name, bias_options=None, **options):
    """Parameters after each step. With bias_options the bias is a group of its own with these options."""
    weight, bias = WEIGHT.clone().requires_grad_(), BIAS.clone().requires_grad_()
    groups = [weight, bias] if bias_options is None else [{"params": [weight]}, {"params": [bias]} | bias_options]
    optimizer = (Lion if name == "Lion" else getattr(torch.optim, name))(groups, **options)
    steps = []
    for dw, db in GRADIENTS:
        weight.grad, bias.grad = dw.clone(), db.clone()
        optimizer.step()
        steps.append({"weight": weight.detach().flatten().tolist(), "bias": bias.detach().flatten().tolist()})
    return {"optimizer": name, "options": options, "bias_options": bias_options, "steps": steps}


def optimizers():
    yield trajectory("SGD", lr=0.1)
    yield trajectory("SGD", lr=0.1, momentum=0.9)
    yield trajectory("SGD", lr=0.1, momentum=0.9, nesterov=True)
    yield trajectory("SGD", lr=0.1, weight_decay=0.01)
    yield trajectory("SGD", lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.1)
    yield trajectory("SGD", {"weight_decay": 0.0, "lr": 0.01}, lr=0.1, momentum=0.9, weight_decay=0.1)
    yield trajectory("Adam")
    yield trajectory("Adam", lr=0.1, betas=(0.8, 0.99), eps=1e-3)
    yield trajectory("Adam", lr=0.1, weight_decay=0.1)
    yield trajectory("Adam", {"weight_decay": 0.0}, lr=0.1, weight_decay=0.1)
    yield trajectory("AdamW")
    yield trajectory("AdamW", lr=0.1, weight_decay=0.1)
    yield trajectory("AdamW", lr=0.1, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.0)
    yield trajectory("AdamW", {"weight_decay": 0.0, "lr": 0.02}, lr=0.1, weight_decay=0.1)
    yield trajectory("RMSprop")
    yield trajectory("RMSprop", lr=0.05, alpha=0.9, eps=1e-4)
    yield trajectory("RMSprop", lr=0.05, centered=True)
    yield trajectory("RMSprop", lr=0.05, momentum=0.9)
    yield trajectory("RMSprop", lr=0.05, momentum=0.9, centered=True, weight_decay=0.1)


def later_optimizers():
    yield trajectory("Adagrad")
    yield trajectory("Adagrad", lr=0.1, lr_decay=0.2, weight_decay=0.1)
    yield trajectory("Adagrad", {"lr": 0.2}, lr=0.1, initial_accumulator_value=0.5, eps=1e-4)
    yield trajectory("Adadelta")
    yield trajectory("Adadelta", lr=0.5, rho=0.8, eps=1e-3, weight_decay=0.1)
    yield trajectory("NAdam")
    yield trajectory("NAdam", lr=0.05, betas=(0.8, 0.99), eps=1e-4, momentum_decay=0.1)
    yield trajectory("NAdam", lr=0.05, weight_decay=0.1)
    yield trajectory("NAdam", {"weight_decay": 0.0}, lr=0.05, weight_decay=0.1, decoupled_weight_decay=True)
    yield trajectory("Lion")
    yield trajectory("Lion", lr=0.01, betas=(0.8, 0.9), weight_decay=0.1)
    yield trajectory("Adam", lr=0.1, betas=(0.8, 0.9), amsgrad=True)
    yield trajectory("AdamW", {"amsgrad": False}, lr=0.1, betas=(0.8, 0.9), weight_decay=0.1, amsgrad=True)


def clipping():
    for max_norm, norm_type in ((1.0, 2.0), (1000.0, 2.0), (0.5, float("inf")), (2.0, 1.0), (0.0, 2.0)):
        parameters = [torch.zeros(2, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)]
        for p, g in zip(parameters, GRADIENTS[0]):
            p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
        yield {"clip": "norm", "max_norm": max_norm, "norm_type": norm_type, "norm": norm,
               "grads": [tensor(p.grad) for p in parameters]}
    for clip_value in (0.5, 100.0):
        parameters = [torch.zeros(2, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)]
        for p, g in zip(parameters, GRADIENTS[0]):
            p.grad = g.clone()
        torch.nn.utils.clip_grad_value_(parameters, clip_value)
        yield {"clip": "value", "clip_value": clip_value, "grads": [tensor(p.grad) for p in parameters]}


METRICS = [1.0, 0.9, 0.95, 0.95, 0.95, 0.89995, 0.91, 0.92, 0.93, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4, 0.3, 0.35]


def schedule(name, groups=(0.1,), **options):
    """The learning rate of each group before the first step() of the schedule and after each."""
    parameters = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in groups]
    optimizer = torch.optim.SGD(parameters, lr=groups[0])
    scheduler = getattr(lr_scheduler, name)(optimizer, **options)
    rates = [[g["lr"] for g in optimizer.param_groups]]
    for metric in METRICS:
        optimizer.step()
        scheduler.step(*([metric] if name == "ReduceLROnPlateau" else []))
        rates.append([g["lr"] for g in optimizer.param_groups])
    return {"scheduler": name, "lr": list(groups), "options": options, "rates": rates}


def schedules():
    yield schedule("StepLR", step_size=3)
    yield schedule("StepLR", (0.1, 0.02), step_size=4, gamma=0.5)
    yield schedule("ExponentialLR", gamma=0.9)
    yield schedule("CosineAnnealingLR", T_max=10)
    yield schedule("CosineAnnealingLR", (0.1, 0.5), T_max=20, eta_min=0.01)
    yield schedule("LinearLR")
    yield schedule("LinearLR", start_factor=0.1, end_factor=0.8, total_iters=8)
    yield schedule("ReduceLROnPlateau", patience=2)
    yield schedule("ReduceLROnPlateau", (0.1, 0.2), factor=0.5, patience=0, cooldown=2, min_lr=0.01)
    yield schedule("ReduceLROnPlateau", mode="max", patience=3)
    yield schedule("ReduceLROnPlateau", patience=1, threshold=0.2, threshold_mode="abs")


def later_schedules():
    yield schedule("CosineAnnealingWarmRestarts", T_0=5)
    yield schedule("CosineAnnealingWarmRestarts", (0.1, 0.5), T_0=2, T_mult=2, eta_min=0.01)
    yield schedule("CosineAnnealingWarmRestarts", T_0=3, T_mult=3)
    for momentum in (0.0, 0.9):
        yield one_cycle((0.1, 0.1), torch.optim.SGD, dict(momentum=momentum), max_lr=0.5, total_steps=20)
    yield one_cycle((0.1, 0.1), torch.optim.SGD, {}, max_lr=[0.5, 0.2], total_steps=25, pct_start=0.4, anneal_strategy="linear",
                    div_factor=10.0, final_div_factor=100.0)
    yield one_cycle((0.1,), torch.optim.Adam, {}, max_lr=0.01, total_steps=20, three_phase=True, base_momentum=0.8, max_momentum=0.9)
    yield one_cycle((0.1,), torch.optim.Adagrad, {}, max_lr=0.01, total_steps=23, cycle_momentum=False)


def one_cycle(groups, optimizer, arguments, **options):
    """As `schedule`, with the momentum, or beta1, of each group."""
    parameters = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in groups]
    optimizer = optimizer(parameters, **arguments)
    scheduler = lr_scheduler.OneCycleLR(optimizer, **options)
    momentum = lambda g: g["betas"][0] if "betas" in g else g.get("momentum", 0.0)
    rates, momenta = [], []
    for i in range(len(METRICS) + 1):
        if i > 0:
            optimizer.step()
            scheduler.step()
        rates.append([g["lr"] for g in optimizer.param_groups])
        momenta.append([momentum(g) for g in optimizer.param_groups])
    return {"scheduler": "OneCycleLR", "optimizer": type(optimizer).__name__, "lr": list(groups), "options": options,
            "rates": rates, "momenta": momenta}


def chained(groups, make, metrics=METRICS):
    """As `schedule`, of the schedulers that `make` gives for an optimizer, stepped one after the other."""
    parameters = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in groups]
    optimizer = torch.optim.SGD(parameters, lr=groups[0])
    schedulers = make(optimizer)
    rates = [[g["lr"] for g in optimizer.param_groups]]
    for metric in metrics:
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step(*([metric] if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else []))
        rates.append([g["lr"] for g in optimizer.param_groups])
    return rates


def chains():
    """Several schedules on one optimizer; with milestones, as one SequentialLR."""
    plateau = ("ReduceLROnPlateau", dict(patience=1))
    for groups, parts, milestones in (
        ((0.1,), [("LinearLR", dict(start_factor=0.5, total_iters=2)), plateau], None),
        ((0.1, 0.4), [("ExponentialLR", dict(gamma=0.9)), ("StepLR", dict(step_size=3, gamma=0.5))], None),
        ((0.1,), [("LinearLR", dict(start_factor=0.25, total_iters=4)), ("CosineAnnealingLR", dict(T_max=6, eta_min=0.01))],
         None),
        ((0.1,), [("CosineAnnealingLR", dict(T_max=5)), plateau], None),
        ((0.1, 0.4), [("LinearLR", dict(start_factor=0.1, total_iters=4)), ("CosineAnnealingLR", dict(T_max=10, eta_min=0.01))],
         [4]),
        ((1.0, 8.0), [("StepLR", dict(step_size=2, gamma=0.5)), ("ExponentialLR", dict(gamma=0.25)),
                      ("LinearLR", dict(start_factor=0.5, end_factor=1, total_iters=2))], [3, 5]),
    ):
        def make(optimizer):
            made = [getattr(lr_scheduler, name)(optimizer, **options) for name, options in parts]
            return made if milestones is None else [lr_scheduler.SequentialLR(optimizer, made, milestones)]

        yield {"lr": list(groups), "schedulers": [{"scheduler": n, "options": o} for n, o in parts],
               "milestones": milestones or [], "rates": chained(groups, make)}


def generate():
    torch.set_default_dtype(torch.float64)  # else NAdam keeps the product of its momenta in floats
    write("optim", [torch], weight=tensor(WEIGHT), bias=tensor(BIAS),
          gradients=[{"weight": dw.flatten().tolist(), "bias": db.flatten().tolist()} for dw, db in GRADIENTS],
          optimizers=list(optimizers()) + list(later_optimizers()), clipping=list(clipping()), metrics=METRICS,
          schedulers=list(schedules()) + list(later_schedules()), chains=list(chains()),
          muon=[muon(), muon(lr=0.1, momentum=0.8, nesterov=False, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", ns_steps=3)],
          averages=[moving_average(0.75), moving_average(0.999)])
