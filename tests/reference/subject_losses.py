"""losses.json: value and gradient of every loss, in double, for each reduction."""

import numpy as np
import torch
import torch.nn.functional as F

from common import tensor, write

RS = np.random.RandomState(21)
REDUCTIONS = "mean", "sum", "none"


def short(*shape):
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


def probability(*shape):
    return torch.tensor(np.round(RS.rand(*shape) * 0.98 + 0.01, 3), dtype=torch.float64)


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def cases(name, function, x, target, options={}, **weights):
    """The three reductions of one input. With `none` an upstream gradient `dy` comes in, else it is 1."""
    for reduction in REDUCTIONS:
        leaf = x.clone().requires_grad_()
        value = function(leaf, target, reduction=reduction, **weights, **options)
        dy = short(*value.shape) if reduction == "none" else double(1.0)
        value.backward(dy)
        yield {"loss": name, "reduction": reduction, "x": tensor(x), "target": tensor(target),
               "weights": {k: tensor(w) for k, w in weights.items()}} | ({"options": options} if options else {}) | {
               "value": tensor(value), "dy": tensor(dy), "dx": tensor(leaf.grad)}


def categorical(p, target, reduction):
    """CategoricalCrossEntropyLoss: −Σ_c t·ln p for a row."""
    rows = -(target * torch.log(p)).sum(dim=1)
    return {"mean": rows.mean(), "sum": rows.sum(), "none": rows}[reduction]


def all_losses():
    for shape in ((5,), (1, 1), (5, 1), (7, 3), (2, 3, 5)):
        yield from cases("MSELoss", F.mse_loss, short(*shape), short(*shape))
        yield from cases("L1Loss", F.l1_loss, short(*shape), short(*shape))
        yield from cases("BCELoss", F.binary_cross_entropy, probability(*shape), (short(*shape) > 0).double())
        yield from cases("BCEWithLogitsLoss", F.binary_cross_entropy_with_logits, short(*shape), probability(*shape))
    yield from cases("L1Loss", F.l1_loss, double([[1.0, -2.0, 0.5]]), double([[1.0, -1.0, 0.25]]))  # a difference of 0

    p, t = double([[0.0, 1.0, 0.0, 1.0, 1e-30, 0.5]]), double([[0.0, 1.0, 1.0, 0.0, 1.0, 0.25]])
    yield from cases("BCELoss", F.binary_cross_entropy, p, t)

    logits = F.binary_cross_entropy_with_logits
    z = double([[0.0, 40.0, -40.0, 1000.0, -1000.0, 89.0], [0.0, 40.0, -40.0, 1000.0, -1000.0, -89.0]])
    t = double([[0.0, 0.0, 0.0, 0.0, 0.0, 0.5], [1.0, 1.0, 1.0, 1.0, 1.0, 0.5]])
    yield from cases("BCEWithLogitsLoss", logits, z, t)
    for weights in (dict(pos_weight=3), dict(weight=3), dict(pos_weight=3, weight=3)):
        weights = {k: probability(n) * 4 for k, n in weights.items()}
        yield from cases("BCEWithLogitsLoss", logits, short(5, 3) * 2, (short(5, 3) > 0).double(), **weights)
    yield from cases("BCEWithLogitsLoss", logits, short(5, 1), (short(5, 1) > 0).double(), pos_weight=double([3.5]))
    yield from cases("BCEWithLogitsLoss", logits, z, t, pos_weight=double([2.0]))
    yield from cases("BCEWithLogitsLoss", logits, short(4, 3), probability(4, 3), weight=probability(4, 3))

    for n, c in ((1, 2), (5, 3), (7, 11), (4, 1)):
        classes = torch.tensor(RS.randint(0, c, n))
        soft = torch.round(torch.softmax(short(n, c), dim=1), decimals=3)
        one_hot = F.one_hot(classes, c).double()
        yield from cases("NLLLoss", F.nll_loss, short(n, c), classes)
        yield from cases("NLLLoss", F.nll_loss, short(n, c), classes, weight=probability(c))
        yield from cases("CrossEntropyLoss", F.cross_entropy, short(n, c), classes)
        yield from cases("CrossEntropyLoss", F.cross_entropy, short(n, c), classes, weight=probability(c))
        yield from cases("CrossEntropyLoss", F.cross_entropy, short(n, c), soft)
        yield from cases("CrossEntropyLoss", F.cross_entropy, short(n, c), soft, weight=probability(c))
        yield from cases("CrossEntropyLoss", F.cross_entropy, short(n, c), one_hot)
        yield from cases("CategoricalCrossEntropyLoss", categorical, probability(n, c), one_hot)
        yield from cases("CategoricalCrossEntropyLoss", categorical, probability(n, c), soft)
    z = double([[1000.0, 0.0, -1000.0], [1000.0, 0.0, -1000.0], [88.0, 89.0, 90.0], [-1000.0, -1000.0, -999.0]])
    yield from cases("CrossEntropyLoss", F.cross_entropy, z, torch.tensor([0, 1, 2, 0]))
    yield from cases("CrossEntropyLoss", F.cross_entropy, z, torch.softmax(short(4, 3), dim=1))


def divergence(p, target, reduction, log_target=False, batchmean=False):
    return F.kl_div(p, target, reduction="batchmean" if batchmean and reduction == "mean" else reduction, log_target=log_target)


def later_losses():
    for shape in ((5,), (1, 1), (7, 3), (2, 3, 5)):
        for delta in (1.0, 0.75):
            yield from cases("HuberLoss", F.huber_loss, short(*shape), short(*shape), dict(delta=delta))
        for beta in (1.0, 0.75, 0.0):
            yield from cases("SmoothL1Loss", F.smooth_l1_loss, short(*shape), short(*shape), dict(beta=beta))
        log_p = torch.round(torch.log_softmax(short(*shape), dim=-1), decimals=3)
        soft = torch.round(torch.softmax(short(*shape), dim=-1), decimals=3)
        for options in ({}, dict(batchmean=True)):
            yield from cases("KLDivLoss", divergence, log_p, soft, options)
        yield from cases("KLDivLoss", divergence, log_p, torch.log_softmax(short(*shape), dim=-1), dict(log_target=True))
    yield from cases("KLDivLoss", divergence, double([[-0.5, -1.0, -3.0]]), double([[0.0, 1.0, 0.0]]))  # 0·log 0

    for n, c in ((2, 2), (5, 3), (7, 11)):
        classes = torch.tensor([0, *RS.randint(0, c, n - 1)])
        some = classes.clone()
        some[::2] = -100
        soft = torch.round(torch.softmax(short(n, c), dim=1), decimals=3)
        for weights in ({}, dict(weight=probability(c))):
            yield from cases("NLLLoss", F.nll_loss, short(n, c), some, **weights)
            yield from cases("NLLLoss", F.nll_loss, short(n, c), classes, dict(ignore_index=1), **weights)
            for target, options in ((some, {}), (classes, dict(ignore_index=1)), (classes, dict(label_smoothing=0.1)),
                                    (some, dict(label_smoothing=0.25)), (soft, dict(label_smoothing=0.3))):
                yield from cases("CrossEntropyLoss", F.cross_entropy, short(n, c), target, options, **weights)
    z = double([[1000.0, 0.0, -1000.0], [88.0, 89.0, 90.0], [-1000.0, -1000.0, -999.0]])
    yield from cases("CrossEntropyLoss", F.cross_entropy, z, torch.tensor([0, 2, -100]), dict(label_smoothing=0.1))


def generate():
    write("losses", [torch], cases=list(all_losses()) + list(later_losses()))
