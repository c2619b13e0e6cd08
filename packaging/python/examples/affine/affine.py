"""A wrong affine layer: y = x·w + b. Run it, read what is said, repair it, run it again."""

import numpy as np

import handgrad


def affine_forward(x, w, b):
    y = x @ w + b
    return y, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    dx = dy @ w.T
    dw = x.T @ dy
    db = dy.mean(axis=0)
    return dx, dw, db


def report(backward=affine_backward):
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((5, 3)), rng.standard_normal((3, 7)), rng.standard_normal(7)
    return handgrad.check(affine_forward, backward, (x, w, b), raises=False)


if __name__ == "__main__":
    print(report())
