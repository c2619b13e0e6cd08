"""convolution.json: values and gradients of convolutions and pooling, in double, for given inputs and upstream gradients; what
PyTorch draws for their weights, and how it prints them."""

import numpy as np
import torch
from torch import nn

import subject_layers
from common import tensor, write
from subject_layers import case, short

PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size")


def arguments(module, kwargs):
    """The keyword arguments, pairs written out as pairs for two-dimensional layers."""
    result = {}
    for key, value in kwargs.items():
        if value == "same":
            result["same"] = True
        elif key in PAIRS and module.__name__.endswith("2d"):
            result[key] = list(value) if isinstance(value, tuple) else [value, value]
        else:
            result[key] = value
    return result


def made(module, xs, **kwargs):
    layer = module(**kwargs)
    c = case(module.__name__, layer, xs, **arguments(module, kwargs))
    c["text"] = repr(layer)
    return c


def conv2d():
    # channels, filters, kernel, options, batch, H, W: prime sizes or ones that leave a remainder, H ≠ W
    for c, o, k, options, shape in (
        (1, 1, 1, {}, (1, 1, 1)), (2, 3, 1, {}, (2, 5, 7)), (3, 2, 1, dict(stride=2), (1, 5, 7)),
        (1, 2, 3, {}, (2, 5, 7)), (2, 3, 3, dict(padding=1), (2, 5, 7)), (2, 1, 3, dict(padding=3), (1, 3, 2)),
        (1, 2, 3, dict(stride=2), (1, 6, 7)), (2, 3, 3, dict(stride=2, padding=1), (2, 6, 7)),
        (1, 2, 3, dict(stride=3, padding=2), (1, 7, 11)), (1, 3, 7, dict(stride=3, padding=2), (1, 11, 13)),
        (2, 2, 2, dict(stride=3), (1, 7, 10)), (1, 2, (2, 3), dict(stride=(2, 1), padding=(0, 2)), (1, 5, 7)),
        (1, 2, (3, 2), dict(stride=(1, 3), padding=(2, 1), bias=False), (1, 5, 7)),
        (1, 2, 3, dict(dilation=2), (1, 7, 11)), (1, 2, 3, dict(dilation=2, stride=2, padding=1), (1, 7, 11)),
        (1, 1, (2, 3), dict(dilation=(3, 2), stride=(2, 3), padding=(1, 3)), (1, 7, 11)),
        (1, 1, 2, dict(dilation=3, stride=3, padding=1), (1, 7, 8)),
        (4, 6, 3, dict(groups=2, padding=1), (1, 3, 5)), (3, 3, 3, dict(groups=3, padding=1), (1, 4, 5)),
        (3, 6, (3, 2), dict(groups=3, stride=2), (1, 5, 7)), (4, 2, 1, dict(groups=2), (2, 3, 5)),
        (2, 2, 3, dict(padding="same"), (1, 5, 7)), (1, 2, (2, 4), dict(padding="same"), (1, 5, 7)),
        (1, 2, (4, 3), dict(padding="same", dilation=(1, 2)), (1, 5, 7)), (2, 3, (5, 7), {}, (2, 5, 7)),
    ):
        yield made(nn.Conv2d, [short(shape[0], c, *shape[1:])], in_channels=c, out_channels=o, kernel_size=k, **options)
    yield made(nn.Conv2d, [short(2, 5, 3)], in_channels=2, out_channels=3, kernel_size=2, padding=1)  # no batch


def conv1d():
    for c, o, k, options, n, length in (
        (1, 1, 1, {}, 1, 1), (2, 3, 3, {}, 2, 7), (2, 3, 3, dict(padding=1, bias=False), 2, 7),
        (3, 2, 5, dict(stride=2, padding=2), 1, 11), (1, 2, 3, dict(stride=3, dilation=2, padding=1), 2, 13),
        (4, 4, 3, dict(groups=4, padding=1), 1, 17), (2, 4, 4, dict(padding="same"), 1, 19), (2, 2, 2, dict(stride=3), 1, 7),
    ):
        yield made(nn.Conv1d, [short(n, c, length)], in_channels=c, out_channels=o, kernel_size=k, **options)
    yield made(nn.Conv1d, [short(2, 5)], in_channels=2, out_channels=3, kernel_size=2)


def conv_transpose():
    for c, o, k, options, shape in (
        (1, 1, 1, {}, (1, 1, 1)), (2, 3, 3, {}, (2, 3, 5)), (2, 3, 2, dict(stride=2), (2, 3, 5)),
        (3, 2, 3, dict(stride=2, padding=1), (1, 3, 4)), (1, 2, 3, dict(stride=2, padding=1, output_padding=1), (1, 3, 4)),
        (1, 2, (2, 3), dict(stride=(3, 2), padding=(0, 1), output_padding=(2, 0), bias=False), (1, 2, 3)),
        (2, 1, 3, dict(dilation=2, padding=2), (1, 3, 4)), (4, 6, 3, dict(groups=2, stride=2), (1, 2, 3)),
        (2, 2, 2, dict(stride=3, dilation=2, output_padding=(1, 2)), (1, 2, 3)), (3, 3, 2, dict(groups=3), (1, 2, 3)),
    ):
        yield made(nn.ConvTranspose2d, [short(shape[0], c, *shape[1:])], in_channels=c, out_channels=o, kernel_size=k, **options)
    yield made(nn.ConvTranspose2d, [short(2, 2, 3)], in_channels=2, out_channels=1, kernel_size=2)


def tied(*shape):
    """Small whole numbers: every window has several maxima."""
    return torch.tensor(subject_layers.RS.randint(0, 3, shape), dtype=torch.float64)


def max_pool():
    for k, options, shape in (
        (2, {}, (2, 2, 4, 6)), (2, {}, (1, 2, 5, 7)), (3, dict(stride=1), (1, 1, 5, 7)), (3, dict(stride=2, padding=1), (2, 1, 5, 8)),
        ((2, 3), dict(stride=(1, 2), padding=(1, 0)), (1, 2, 5, 7)), (3, dict(stride=1, dilation=2, padding=1), (1, 1, 7, 8)),
        (2, dict(stride=3), (1, 1, 7, 8)), (2, dict(ceil_mode=True), (1, 1, 5, 7)), (3, dict(stride=2, ceil_mode=True), (1, 1, 6, 8)),
        (2, dict(stride=3, padding=1, ceil_mode=True), (1, 1, 6, 7)), (1, {}, (1, 1, 2, 3)), (2, {}, (2, 3, 4)),
    ):
        yield made(nn.MaxPool2d, [short(*shape)], kernel_size=k, **options)
    for k, options, shape in ((2, {}, (2, 3, 7)), (3, dict(stride=1, padding=1), (1, 2, 11)), (3, dict(stride=2, dilation=2), (1, 2, 13)),
                              (2, dict(ceil_mode=True), (1, 2, 5)), (3, {}, (2, 7))):
        yield made(nn.MaxPool1d, [short(*shape)], kernel_size=k, **options)


def max_pool_ties():
    """Which of several equal elements gets the gradient. Differences cannot tell: values and gradients only."""
    for k, options, shape in ((2, {}, (1, 2, 4, 6)), (3, dict(stride=1), (1, 1, 5, 7)), (3, dict(stride=2, padding=1), (1, 1, 5, 7)),
                              (2, dict(dilation=2, stride=1), (1, 1, 5, 7))):
        yield made(nn.MaxPool2d, [tied(*shape)], kernel_size=k, **options)


def average_pool():
    for k, options, shape in (
        (2, {}, (2, 2, 4, 6)), (3, dict(stride=1), (1, 1, 5, 7)), (3, dict(stride=2, padding=1), (1, 2, 5, 8)),
        (3, dict(stride=2, padding=1, count_include_pad=False), (1, 2, 5, 8)), ((2, 3), dict(stride=(1, 2), padding=(1, 0)), (1, 1, 5, 7)),
        (3, dict(stride=2, ceil_mode=True), (1, 1, 6, 8)), (3, dict(stride=2, padding=1, ceil_mode=True), (1, 1, 6, 8)),
        (2, dict(stride=3, padding=1, ceil_mode=True, count_include_pad=False), (1, 1, 6, 7)),
        (2, dict(stride=1, divisor_override=3), (1, 1, 3, 4)), (2, dict(stride=3), (1, 1, 7, 8)), (2, {}, (2, 3, 4)),
    ):
        yield made(nn.AvgPool2d, [short(*shape)], kernel_size=k, **options)
    for k, options, shape in ((2, {}, (2, 3, 7)), (3, dict(stride=1, padding=1), (1, 2, 11)),
                              (3, dict(stride=2, padding=1, count_include_pad=False, ceil_mode=True), (1, 2, 8)), (3, {}, (2, 7))):
        yield made(nn.AvgPool1d, [short(*shape)], kernel_size=k, **options)
    for size, shape in ((1, (2, 3, 5, 7)), ((2, 3), (1, 2, 5, 7)), ((3, 2), (1, 1, 7, 4)), ((5, 7), (1, 1, 3, 4)), (4, (1, 1, 4, 4)), (2, (2, 5, 7))):
        yield made(nn.AdaptiveAvgPool2d, [short(*shape)], output_size=size)


def drawn():
    for module, kwargs in ((nn.Conv2d, dict(in_channels=2, out_channels=3, kernel_size=(3, 2))),
                           (nn.Conv2d, dict(in_channels=4, out_channels=2, kernel_size=1, groups=2, bias=False)),
                           (nn.Conv1d, dict(in_channels=3, out_channels=2, kernel_size=5)),
                           (nn.ConvTranspose2d, dict(in_channels=2, out_channels=4, kernel_size=2, groups=2))):
        for dtype in (torch.float32, torch.float64):
            torch.manual_seed(7)
            layer = module(**kwargs, dtype=dtype)
            yield {"layer": module.__name__, "args": arguments(module, kwargs), "dtype": str(dtype)[6:],
                   "parameters": {k: tensor(p) for k, p in layer.named_parameters()}}


def generate():
    subject_layers.RS = np.random.RandomState(26)
    cases = [c for part in (conv2d, conv1d, conv_transpose, max_pool, average_pool) for c in part()]
    write("convolution", [torch], cases=cases, ties=list(max_pool_ties()), drawn=list(drawn()))
