"""The rows of the table that tests/bench/run prints, in JAX, each step one jitted function: prints `ROW SECONDS`.
XLA takes its number of threads from the processors that it may use: tests/bench/run sets it with taskset."""
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import functools

import jax
import jax.numpy as jnp
import numpy as np

from timing import median_seconds, report

random = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(random.standard_normal(shape), jnp.float32)


def labels(n):
    return jnp.asarray(random.random((n, 1)) > 0.5, jnp.float32)


def classes(n):
    return jnp.asarray(random.integers(0, 10, n))


def parameters(*sizes, batch_norm=False):
    layers = []
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        bound = inputs ** -0.5
        layer = {"W": jnp.asarray(random.uniform(-bound, bound, (inputs, outputs)), jnp.float32),
                 "b": jnp.asarray(random.uniform(-bound, bound, outputs), jnp.float32)}
        if batch_norm and i < len(sizes) - 2:
            layer |= {"gamma": jnp.ones(outputs), "beta": jnp.zeros(outputs)}
        layers.append(layer)
    return layers


def forward(layers, x, key=None, statistics=None):
    """Returns the output and the new running statistics; with `key`, dropout of 0.5."""
    new = []
    for i, layer in enumerate(layers):
        x = x @ layer["W"] + layer["b"]
        if i == len(layers) - 1:
            break
        x = jax.nn.relu(x)
        if statistics is not None:
            mean, var = x.mean(0), x.var(0)
            old_mean, old_var = statistics[i]
            n = x.shape[0]
            new.append((0.9 * old_mean + 0.1 * mean, 0.9 * old_var + 0.1 * var * n / (n - 1)))
            x = (x - mean) * jax.lax.rsqrt(var + 1e-5) * layer["gamma"] + layer["beta"]
        if key is not None:
            key, mine = jax.random.split(key)
            x = jnp.where(jax.random.bernoulli(mine, 0.5, x.shape), x * 2, 0)
    return x, new


def bce_with_logits(z, y):
    return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


def cross_entropy(z, y):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))


def sgd(lr=1e-3, weight_decay=0.0):
    def update(values, grads, state):
        return jax.tree.map(lambda w, g: w - lr * (g + weight_decay * w), values, grads), state
    return update


def adam(lr=1e-3, decay=0.0):
    def update(values, grads, state):
        t, m, v = state
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        values = jax.tree.map(
            lambda w, m, v: w * (1 - lr * decay) - lr * (m / (1 - 0.9 ** t)) / (jnp.sqrt(v / (1 - 0.999 ** t)) + 1e-8),
            values, m, v)
        return values, (t, m, v)
    return update


def zeros_like(values):
    return jnp.zeros(()), jax.tree.map(jnp.zeros_like, values), jax.tree.map(jnp.zeros_like, values)


def one_step(carry, x, y, loss, update, dropout=False):
    values, state, key, statistics = carry
    if dropout:
        key, mine = jax.random.split(key)
    else:
        mine = None

    def objective(values):
        z, new = forward(values, x, mine, statistics)
        return loss(z, y), new
    (_, new), grads = jax.value_and_grad(objective, has_aux=True)(values)
    values, state = update(values, grads, state)
    return values, state, key, new if statistics is not None else None


class Training:
    def __init__(self, values, loss, update, x, y, state=None, dropout=False, statistics=None):
        self.carry = values, state, jax.random.key(0), statistics
        self.step = jax.jit(functools.partial(one_step, loss=loss, update=update, dropout=dropout), donate_argnums=0)
        self.x, self.y = x, y

    def __call__(self):
        self.carry = self.step(self.carry, self.x, self.y)

    def finish(self):
        jax.block_until_ready(self.carry[0])


def logistic():
    def loss(z, y):
        p = jax.nn.sigmoid(z)
        return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))
    return Training(parameters(3, 1), loss, sgd(1e-5), normal(5, 3), labels(5))


ADULT = (108, 256, 128, 1)


def adult_logistic():
    return Training(parameters(108, 1), bce_with_logits, sgd(), normal(20838, 108), labels(20838))


def mlp(dropout=False):
    return Training(parameters(*ADULT), bce_with_logits, sgd(weight_decay=1e-4), normal(128, 108), labels(128),
                    dropout=dropout)


def mlp_batch_norm():
    values = parameters(*ADULT, batch_norm=True)
    return Training(values, bce_with_logits, adam(decay=0.01), normal(128, 108), labels(128), zeros_like(values), True,
                    [(jnp.zeros(n), jnp.ones(n)) for n in ADULT[1:-1]])


def digits():
    values = parameters(784, 256, 128, 10)
    return Training(values, cross_entropy, adam(), normal(64, 784), classes(64), zeros_like(values))


def wide():
    return Training(parameters(784, 2048, 2048, 10), cross_entropy, sgd(), normal(512, 784), classes(512))


class LeNet:
    def __init__(self):
        def weights(*shape, inputs):
            return jnp.asarray(random.uniform(-inputs ** -0.5, inputs ** -0.5, shape), jnp.float32)
        self.values = [(weights(3, 3, 1, 8, inputs=9), weights(8, inputs=9)), (weights(3, 3, 8, 16, inputs=72), weights(16, inputs=72)),
                       (weights(784, 10, inputs=784), weights(10, inputs=784))]  # channels last, as XLA prefers
        x, y = normal(64, 28, 28, 1), classes(64)

        def loss(values):
            z = x
            for W, b in values[:2]:
                z = jax.lax.conv_general_dilated(z, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b
                z = jax.lax.reduce_window(jax.nn.relu(z), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            return cross_entropy(z.reshape(64, -1) @ values[2][0] + values[2][1], y)
        self.step = jax.jit(lambda values: sgd()(values, jax.grad(loss)(values), None)[0], donate_argnums=0)

    def __call__(self):
        self.values = self.step(self.values)

    def finish(self):
        jax.block_until_ready(self.values)


class Inference:
    def __init__(self, rows):
        self.values, self.x = parameters(*ADULT), normal(rows, 108)
        self.function = jax.jit(lambda values, x: forward(values, x)[0])

    def __call__(self):
        self.y = self.function(self.values, self.x)
        self.y.block_until_ready()  # inference includes waiting for the result

    def finish(self):
        pass


class Epoch:
    """The whole epoch is one function: permutation, gathering, all steps."""

    def __init__(self):
        x, y = normal(20838, 108), labels(20838)
        step = functools.partial(one_step, loss=bce_with_logits, update=sgd(weight_decay=1e-4))
        full = 20838 // 128 * 128

        def run(carry):
            values, state, key, statistics = carry
            key, mine = jax.random.split(key)
            order = jax.random.permutation(mine, 20838)
            carry = values, state, key, statistics
            carry, _ = jax.lax.scan(lambda carry, rows: (step(carry, x[rows], y[rows]), None), carry,
                                    order[:full].reshape(-1, 128))
            return step(carry, x[order[full:]], y[order[full:]])
        self.run = jax.jit(run, donate_argnums=0)
        self.carry = parameters(*ADULT), None, jax.random.key(0), None

    def __call__(self):
        self.carry = self.run(self.carry)

    def finish(self):
        jax.block_until_ready(self.carry[0])


class Recurrent:
    def __init__(self, gates):
        x, dy = normal(50, 32, 32), normal(50, 32, 128)
        bound = 128 ** -0.5
        self.values = {name: jnp.asarray(random.uniform(-bound, bound, shape), jnp.float32) for name, shape in (
            ("W", (32, gates * 128)), ("U", (128, gates * 128)), ("b", (gates * 128,)), ("d", (gates * 128,)))}

        def lstm(values, state, p):
            h, c = state
            i, f, g, o = jnp.split(p + h @ values["U"] + values["d"], 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        def gru(values, state, p):
            h, c = state
            p_r, p_z, p_n = jnp.split(p, 3, 1)
            q_r, q_z, q_n = jnp.split(h @ values["U"] + values["d"], 3, 1)
            r, z = jax.nn.sigmoid(p_r + q_r), jax.nn.sigmoid(p_z + q_z)
            h = (1 - z) * jnp.tanh(p_n + r * q_n) + z * h
            return (h, c), h

        def loss(values):
            cell = functools.partial(lstm if gates == 4 else gru, values)
            zero = jnp.zeros((32, 128))
            return jnp.sum(jax.lax.scan(cell, (zero, zero), x @ values["W"] + values["b"])[1] * dy)
        self.gradient = jax.jit(jax.grad(loss))

    def __call__(self):
        self.result = self.gradient(self.values)

    def finish(self):
        jax.block_until_ready(self.result)


ROWS = {
    "logistic": logistic, "adult_logistic": adult_logistic, "mlp": mlp, "mlp_dropout": lambda: mlp(True),
    "mlp_batch_norm": mlp_batch_norm, "digits": digits, "wide": wide, "lenet": LeNet,
    "lstm": lambda: Recurrent(4), "gru": lambda: Recurrent(3), "inference_1": lambda: Inference(1),
    "inference_1024": lambda: Inference(1024), "epoch": Epoch,
}

if __name__ == "__main__":
    def time_row(make):
        step = make()
        return median_seconds(step, step.finish)
    report(ROWS, time_row)
