"""digits.json: the lab `digits` in PyTorch, in double: the loss of every epoch, on drawn digits; on MNIST's, where
HANDGRAD_DATA has them, for as many epochs as the lab's quick form has."""

import gzip
import math
import os
import pathlib

import numpy as np
import torch
from torch import nn

from common import fnv1a, write
from training_loop import epochs

SIDE = 28


# ---- Drawn digits, as labs/common/made_digits.cpp draws them.

def arc(x, y, rx, ry, begin, end):
    angles = [(begin + (end - begin) * i / 10) * math.pi / 180 for i in range(11)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def skeleton(digit, other_way):
    return {
        0: lambda: [arc(0.5, 0.5, 0.28, 0.42, 0, 360)],
        1: lambda: [[(0.5, 0.08), (0.5, 0.92)]] if other_way else [[(0.32, 0.28), (0.54, 0.08), (0.54, 0.92)]],
        2: lambda: [arc(0.5, 0.32, 0.26, 0.24, -170, 30), [(0.72, 0.44), (0.24, 0.9), (0.78, 0.9)]],
        3: lambda: [arc(0.46, 0.3, 0.25, 0.21, -160, 90), arc(0.46, 0.71, 0.28, 0.21, -90, 160)],
        4: lambda: ([[(0.28, 0.1), (0.24, 0.55), (0.76, 0.55)], [(0.7, 0.1), (0.68, 0.92)]] if other_way
                    else [[(0.62, 0.92), (0.62, 0.08), (0.2, 0.64), (0.82, 0.64)]]),
        5: lambda: [[(0.74, 0.1), (0.32, 0.1), (0.29, 0.45)], arc(0.46, 0.66, 0.27, 0.25, -125, 150)],
        6: lambda: [arc(0.62, 0.5, 0.36, 0.43, -100, -190), arc(0.5, 0.68, 0.24, 0.23, 0, 360)],
        7: lambda: [[(0.24, 0.12), (0.76, 0.12), (0.42, 0.92)]] + ([[(0.36, 0.52), (0.7, 0.52)]] if other_way else []),
        8: lambda: [arc(0.5, 0.29, 0.21, 0.2, 0, 360), arc(0.5, 0.7, 0.26, 0.22, 0, 360)],
        9: lambda: [arc(0.48, 0.32, 0.23, 0.23, 0, 360), [(0.71, 0.32), (0.68, 0.65), (0.58, 0.92)]],
    }[digit]()


def draw(a, b, pen, image):
    reach = pen / 2 + 1
    low = [int(min(max(min(a[i], b[i]) - reach, 0), SIDE - 1)) for i in range(2)]
    high = [int(min(max(max(a[i], b[i]) + reach, 0), SIDE - 1)) for i in range(2)]
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    for y in range(low[1], high[1] + 1):
        for x in range(low[0], high[0] + 1):
            px, py = x + 0.5, y + 0.5
            along = 0.0 if length == 0 else min(max(((px - a[0]) * dx + (py - a[1]) * dy) / length, 0.0), 1.0)
            far = math.hypot(px - a[0] - along * dx, py - a[1] - along * dy)
            image[y, x] = max(image[y, x], min(max(pen / 2 + 0.5 - far, 0.0), 1.0))


def written(digit, random):
    other_way = random.rand() < 0.3
    turn, slant, pen = random.normal(0, 0.12), random.normal(0.1, 0.2), random.uniform(1.6, 4.0)
    width, height = 20 * random.uniform(0.75, 1.1), 20 * random.uniform(0.85, 1.08)
    right, down = 14 + random.normal(0, 0.8), 14 + random.normal(0, 0.8)
    bend, wave_x, wave_y = random.uniform(0, 0.06), random.uniform(0, 6.28), random.uniform(0, 6.28)

    def place(p):
        x, y = p[0] - 0.5 + bend * math.sin(5 * p[1] + wave_x), p[1] - 0.5 + bend * math.sin(5 * p[0] + wave_y)
        u, v = (x - slant * y) * width, y * height
        return right + u * math.cos(turn) - v * math.sin(turn), down + u * math.sin(turn) + v * math.cos(turn)

    image = np.zeros((SIDE, SIDE))
    for stroke in skeleton(digit, other_way):
        for a, b in zip(stroke, stroke[1:]):
            draw(place(a), place(b), pen, image)
    return image


def make_digits(n, seed=0):
    random, images = np.random.RandomState(seed), []
    for i in range(n):
        image = written(i % 10, random)
        ink = random.uniform(200, 255)
        noise = [random.uniform(-25, 25) if v > 0 else 0.0 for v in image.ravel()]
        images.append(np.clip(np.round(image * ink + np.reshape(noise, image.shape)), 0, 255))
    return np.array(images), np.arange(n) % 10


# ---- The lab

class Dropout(nn.Module):
    """nn.Dropout with handgrad's mask: element i is dropped when word i mod 4 of philox4x32-7(⌊i/4⌋, step, stream; seed) lies
    below p·2³²."""

    def __init__(self, p, seed, stream=0):
        super().__init__()
        self.p, self.seed, self.stream, self.step = p, seed, stream, 0

    def forward(self, x):
        self.step += 1
        blocks = (x.numel() + 3) // 4
        full = lambda v: np.full(blocks, v, np.uint64)
        c, low = [np.arange(blocks, dtype=np.uint64), full(0), full(self.step), full(self.stream)], np.uint64(0xFFFFFFFF)
        k0, k1 = self.seed & 0xFFFFFFFF, self.seed >> 32
        for _ in range(7):
            p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
            c = [p1 >> np.uint64(32) ^ c[1] ^ np.uint64(k0), p1 & low, p0 >> np.uint64(32) ^ c[3] ^ np.uint64(k1), p0 & low]
            k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
        words = np.stack(c, 1).ravel()[:x.numel()]
        kept = torch.tensor(words >= np.uint64(int(self.p * 2**32))).reshape(x.shape)
        return x * kept / (1 - self.p)


def run(images, labels, count, seed=0):
    x = torch.tensor((images.astype(np.float32) / np.float32(255)).astype(np.float64)).reshape(-1, 1, SIDE, SIDE)
    y = torch.tensor(labels.astype(np.int64))
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 24, 3, padding=1), nn.ReLU(),
                        nn.MaxPool2d(2), nn.Flatten(), Dropout(0.5, seed), nn.Linear(24 * 7 * 7, 10))
    loss, adamw = nn.CrossEntropyLoss(), torch.optim.AdamW(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adamw, count)
    losses = []
    for mean in epochs(net, loss, adamw, x, y, 64, count):
        schedule.step()
        losses.append(mean)
    return losses


def idx(name, header):
    with gzip.open(pathlib.Path(os.environ["HANDGRAD_DATA"]) / "mnist" / name) as file:
        return np.frombuffer(file.read()[header:], np.uint8)


def generate():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    images, labels = make_digits(320)
    content = {"made": {"images": fnv1a(images.ravel().astype(np.int64)), "losses": run(images, labels, 4)}}
    if "HANDGRAD_DATA" not in os.environ:
        raise SystemExit("digits: HANDGRAD_DATA must name the folder with mnist/t10k-*.gz")
    images = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, SIDE, SIDE)[:8000]
    labels = idx("t10k-labels-idx1-ubyte.gz", 8)[:8000]
    content["mnist"] = {"losses": run(images, labels, 8)}
    torch.set_default_dtype(torch.float32)
    write("digits", [np, torch], **content)
