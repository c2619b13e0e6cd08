"""norms.json: the norms that layers.json does not have, and Dropout2d, in double."""

import torch
from torch import nn

from common import tensor, write
from subject_layers import case, short, step


def batch_norm(name, layer, shapes, **options):
    """Several steps on one layer: training, evaluation on the statistics so far, training again."""
    layer = layer.double()
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(short(*p.shape))
    result = {"layer": name, "args": {"num_features": layer.num_features} | options,
              "parameters": {k: tensor(p) for k, p in layer.named_parameters()}, "steps": []}
    for training, shape in zip((True, True, False, True), shapes):
        layer.train(training)
        s = step(layer, torch.round(short(*shape) * 3 + 1, decimals=3))
        result["steps"].append(s | {"train": training, "buffers": {k: tensor(b) for k, b in layer.named_buffers()}})
    return result


def batch_norms():
    for options in ({}, dict(momentum=None), dict(affine=False), dict(track_running_stats=False), dict(eps=0.5)):
        yield batch_norm("BatchNorm1d", nn.BatchNorm1d(3, **options), [(5, 3, 4), (1, 3, 5), (2, 3, 1), (3, 3, 11)], **options)
        yield batch_norm("BatchNorm2d", nn.BatchNorm2d(2, **options), [(3, 2, 3, 5), (1, 2, 2, 1), (2, 2, 1, 1), (2, 2, 5, 3)], **options)
    yield batch_norm("BatchNorm2d", nn.BatchNorm2d(11), [(2, 11, 3, 3), (5, 11, 1, 1), (1, 11, 1, 2), (2, 11, 1, 17)])


def group_norms():
    for g, c in ((1, 3), (3, 3), (2, 6)):
        for options in ({}, dict(affine=False), dict(eps=0.5)):
            xs = [torch.round(short(*s) * 2 - 1, decimals=3) for s in ((2, c, 5), (1, c, 2, 3), (3, c, 2)) + (((5, c),) if g < c else ())]
            yield case("GroupNorm", nn.GroupNorm(g, c, **options), xs, num_groups=g, num_channels=c, **options)


def rms_norms():
    for shapes, normalized, options in (
        (((1, 3), (5, 3), (3,), (2, 2, 3)), (3,), {}), (((7, 11),), (11,), {}), (((4, 2),), (2,), dict(elementwise_affine=False)),
        (((2, 3, 5), (3, 5), (2, 2, 3, 5)), (3, 5), {}), (((3, 4),), (4,), dict(eps=0.5)),
    ):
        yield case("RMSNorm", nn.RMSNorm(normalized, **options), [short(*s) * 2 - 1 for s in shapes],
                   normalized_shape=list(normalized), **options)


def layer_norms():
    for shapes, normalized, options in ((((2, 2, 3, 5), (3, 5), (2, 3, 5)), (3, 5), {}), (((3, 2, 3, 2),), (2, 3, 2), dict(bias=False)),
                                        (((2, 3, 4),), (3, 4), dict(elementwise_affine=False))):
        yield case("LayerNorm", nn.LayerNorm(normalized, **options), [short(*s) * 2 - 1 for s in shapes],
                   normalized_shape=list(normalized), **options)


def dropout():
    yield case("Dropout2d", nn.Dropout2d(0.5).eval(), [short(2, 3, 2, 2)], p=0.5, train=False)
    yield case("Dropout2d", nn.Dropout2d(0.0), [short(2, 3, 2, 2)], p=0.0, train=True)
    yield case("Dropout2d", nn.Dropout2d(1.0), [short(2, 3, 2, 2)], p=1.0, train=True)


def generate():
    write("norms", [torch], cases=[c for part in (batch_norms, group_norms, rms_norms, layer_norms, dropout) for c in part()])
