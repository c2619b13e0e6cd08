"""numpy.json: NumPy's legacy RandomState, as sequences of calls on one generator, so that the normal kept is covered."""

import numpy as np

from common import write

P = [0.1, 0.0, 0.4, 0.3, 0.2]


def call(rs, name, *args):
    """One call; `values` is flat. shuffle(n) shuffles arange(n) in place; shuffle_rows(n) a matrix of n rows (i, i)."""
    if name == "shuffle":
        values = np.arange(args[0])
        rs.shuffle(values)
    elif name == "shuffle_rows":
        rows = np.repeat(np.arange(args[0])[:, None], 2, axis=1)
        rs.shuffle(rows)
        values = rows[:, 0]
    elif name == "choice":  # n, size, replace
        values = rs.choice(args[0], size=args[1], replace=bool(args[2]))
    elif name == "choice_p":  # size; from 0…4 with the probabilities of "p"
        values = rs.choice(5, size=args[0], p=P)
    else:
        values = getattr(rs, name)(*args)
    return {"call": name, "args": list(args), "values": np.atleast_1d(values).ravel()}


SEQUENCES = [
    [("rand", 5), ("randn", 3), ("rand", 2), ("randn", 4), ("rand", 1)],
    [("randn", 1), ("randn", 1), ("randn", 1), ("rand", 1), ("randn", 2), ("randn", 33)],
    [("normal", 0.0, 0.1, 7), ("uniform", -1.0, 1.0, 6), ("normal", 5.0, 2.0, 4), ("standard_normal", 3)],
    [("shuffle", 1), ("shuffle", 2), ("shuffle", 10), ("shuffle_rows", 7), ("permutation", 20), ("shuffle", 1000)],
    [("randint", 0, 2, 20), ("randint", 0, 1, 3), ("randint", -5, 6, 20), ("randint", 0, 1000, 20), ("rand", 1)],
    [("randint", 0, 2**31 - 1, 5), ("randint", 0, 2**32, 5), ("randint", 0, 2**40, 5), ("rand", 1)],
    [("choice", 10, 6, 1), ("choice", 10, 6, 0), ("choice_p", 12), ("rand", 2)],
    [("randn", 1), ("shuffle", 5), ("randn", 1), ("randint", 0, 100, 3), ("randn", 1), ("permutation", 5)],
    [("rand", 700), ("randn", 1)],  # past the 624 words of the state
]


def generate():
    streams = []
    for seed in (0, 1, 42, 2**32 - 1):
        for sequence in SEQUENCES:
            rs = np.random.RandomState(seed)
            streams.append({"seed": seed, "calls": [call(rs, *c) for c in sequence]})
    write("numpy", [np], p=P, streams=streams)
