"""tuning.json: how well Optuna's samplers do on functions of known minimum, over many seeds."""

import math

import numpy as np
import optuna

from common import write

SEEDS, TRIALS = 60, 60


def bowl(trial):
    """Two numbers, one of them on a logarithmic scale; minimum 0 at x = 0.3, y = 1e-3."""
    x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", 1e-6, 1, log=True)
    return (x - 0.3) ** 2 + (math.log10(y) + 3) ** 2


def mixed(trial):
    """A whole number on each scale, a choice and a number that counts for one choice only; minimum 0."""
    n, m = trial.suggest_int("n", 1, 50), trial.suggest_int("m", 1, 1024, log=True)
    value = abs(n - 17) / 10 + abs(math.log2(m) - 6)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    if kind == "b":
        return value + abs(trial.suggest_float("z", 0, 1) - 0.5)
    return value + (1 if kind == "a" else 2)


def median_of_best(objective, sampler):
    best = []
    for seed in range(SEEDS):
        study = optuna.create_study(sampler=sampler(seed=seed))
        study.optimize(objective, n_trials=TRIALS)
        best.append(study.best_value)
    return float(np.median(best))


def generate():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {"random": optuna.samplers.RandomSampler,
                "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False)}
    write("tuning", [optuna], seeds=SEEDS, trials=TRIALS,
          median_of_best={f.__name__: {name: median_of_best(f, s) for name, s in samplers.items()} for f in (bowl, mixed)})
