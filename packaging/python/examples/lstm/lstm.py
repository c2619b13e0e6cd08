"""A wrong step of an LSTM: from x, h₋ and c₋ to h and c. Run it, read what is said, repair it, run it again."""

import numpy as np

import handgrad


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    ai, af, ao, ag = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    tanh_c = np.tanh(next_c)
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    da = np.hstack([dc * g * i * (1 - i), dc * next_c * f * (1 - f), dnext_h * tanh_c * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(axis=0)


def report(backward=lstm_step_backward):
    rng = np.random.default_rng(0)
    n, d, h = 3, 5, 2
    shapes = {"x": (n, d), "prev_h": (n, h), "prev_c": (n, h), "Wx": (d, 4 * h), "Wh": (h, 4 * h), "b": (4 * h,)}
    inputs = tuple(rng.standard_normal(shape) for shape in shapes.values())
    return handgrad.check(lstm_step_forward, backward, inputs, outputs=("next_h", "next_c"), raises=False)


if __name__ == "__main__":
    print(report())
