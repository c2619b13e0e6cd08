"""random.json: the streams of torch's CPU generator, as sequences of calls after manual_seed(seed)."""

import torch

from common import tensor, write

DTYPES = {"float": torch.float32, "double": torch.float64}


def call(name, dtype, *args):
    """One call on the global generator; `values` is flat."""
    t = DTYPES.get(dtype)
    if name == "rand":
        values = torch.rand(*args, dtype=t)
    elif name == "randn":
        values = torch.randn(*args, dtype=t)
    elif name == "uniform_":  # n, a, b
        values = torch.empty(args[0], dtype=t).uniform_(args[1], args[2])
    elif name == "normal_":  # n, mean, standard deviation
        values = torch.empty(args[0], dtype=t).normal_(args[1], args[2])
    elif name == "randint":  # n, low, high
        values = torch.randint(args[1], args[2], (args[0],))
    elif name == "randperm":
        values = torch.randperm(args[0])
    result = {"call": name, "args": list(args), "values": values}
    return result if t is None else result | {"dtype": dtype}


def sequences():
    for dtype in DTYPES:
        for n in (1, 3, 5, 8, 15, 16, 17, 20, 31, 32, 100):
            yield [("rand", dtype, n), ("randn", dtype, n), ("randn", dtype, 3), ("rand", dtype, 2)]
        yield [("randn", dtype, 1)] * 3 + [("rand", dtype, 1)] + [("randn", dtype, 1)] * 2  # the normal kept is used later
        yield [("randn", dtype, 3), ("randn", dtype, 16), ("randn", dtype, 1), ("randn", dtype, 17), ("randn", dtype, 2)]
        yield [("uniform_", dtype, 5, -2.0, 3.0), ("normal_", dtype, 5, 1.0, 0.5), ("uniform_", dtype, 33, 0.0, 0.1),
               ("normal_", dtype, 33, -3.0, 2.0)]
    # the normal kept survives a change of type
    yield [("randn", "float", 1), ("randn", "double", 1), ("randn", "double", 1), ("randn", "float", 1)]
    yield [("randint", None, 10, 0, 2), ("randint", None, 10, -5, 6), ("randint", None, 4, 0, 2**31 - 1),
           ("randint", None, 3, 0, 2**40), ("rand", "float", 1)]
    for n in (1, 2, 5, 20, 100):
        yield [("randperm", None, n), ("rand", "float", 1)]
    yield [("rand", "float", 700), ("randn", "float", 1)]  # past the 624 words of the state


def streams():
    result = []
    for seed in (0, 1, 42, 2**40 + 5):
        for sequence in sequences():
            torch.manual_seed(seed)
            if seed and len(sequence[0]) == 3 and (sequence[0][2] or 0) > 32:
                continue  # the long ones once
            result.append({"seed": seed, "calls": [call(*c) for c in sequence]})
    return result


def linear():
    cases = []
    for seed in (0, 3):
        for dtype, t in DTYPES.items():
            for sizes, bias in (((2, 4), True), ((4, 1), True), ((1, 1), True), ((7, 11), True), ((3, 5), False)):
                torch.manual_seed(seed)
                layer = torch.nn.Linear(*sizes, bias=bias, dtype=t)
                case = {"seed": seed, "dtype": dtype, "in": sizes[0], "out": sizes[1], "weight": tensor(layer.weight)}
                cases.append(case | ({"bias": tensor(layer.bias)} if bias else {}))
    return cases


def loader():
    """The rows of each batch over epochs, and one rand() after them, which shows what the loader drew."""
    cases = []
    for seed in (0, 5):
        for n, batch_size, shuffle, drop_last, own in (
            (10, 3, True, False, False), (10, 3, True, True, False), (1, 1, True, False, False),
            (33, 8, True, False, False), (10, 4, False, False, False), (10, 3, True, False, True),
        ):
            torch.manual_seed(seed)
            generator = torch.Generator().manual_seed(seed + 100) if own else None
            batches = torch.utils.data.DataLoader(list(range(n)), batch_size=batch_size, shuffle=shuffle,
                                                  drop_last=drop_last, generator=generator)
            cases.append({"seed": seed, "n": n, "batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last,
                          "generator_seed": seed + 100 if own else None,
                          "epochs": [[b for b in batches] for _ in range(3)], "rand_after": torch.rand(1).item()})
    return cases


def generate():
    write("random", [torch], streams=streams(), linear=linear(), loader=loader())
