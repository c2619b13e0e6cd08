"""A wrong batch norm: y = γ·x̂ + β, x̂ = (x − µ)/√(σ² + ε), µ and σ² of each column. Run it, read, repair, run again."""

import numpy as np

import handgrad


def batchnorm_forward(x, gamma, beta, settings):
    mean, var = x.mean(axis=0), x.var(axis=0)
    momentum = settings["momentum"]
    settings["running_mean"] = momentum * settings["running_mean"] + (1 - momentum) * mean
    settings["running_var"] = momentum * settings["running_var"] + (1 - momentum) * var
    inv_std = 1 / np.sqrt(var + settings["eps"])
    x_hat = (x - mean) * inv_std
    return gamma * x_hat + beta, (x_hat, inv_std, gamma)


def batchnorm_backward(dy, cache):
    x_hat, inv_std, gamma = cache
    dgamma = (dy * x_hat).sum(axis=0)
    dbeta = dy.sum(axis=0)
    g = gamma * dy
    dx = inv_std * (g - g.mean(axis=0))
    return dx, dgamma, dbeta


def report(backward=batchnorm_backward):
    rng = np.random.default_rng(0)
    x, gamma, beta = 3 + 2 * rng.standard_normal((7, 5)), rng.uniform(0.5, 2, 5), rng.standard_normal(5)
    settings = {"momentum": 0.9, "eps": 1e-5, "running_mean": np.zeros(5), "running_var": np.ones(5)}
    return handgrad.check(batchnorm_forward, backward, (x, gamma, beta, settings), raises=False)


if __name__ == "__main__":
    print(report())
