"""sklearn.json: generated data sets, splits and preprocessing, from scikit-learn."""

import warnings

import numpy as np
import sklearn
from sklearn.datasets import make_classification, make_moons, make_regression
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from common import fnv1a, tensor, write


def regression():
    cases = []
    for options in (
        dict(n_samples=100, n_features=4, n_informative=4, bias=0.5, random_state=0),  # notebook 004's
        dict(n_samples=10, n_features=5, n_informative=2, bias=0.0, noise=1.5, random_state=3),
        dict(n_samples=7, n_features=3, n_informative=3, bias=-2.0, noise=0.1, shuffle=False, random_state=1),
    ):
        x, y, coef = make_regression(coef=True, **options)
        cases.append({"options": options, "x": tensor(x), "y": tensor(y), "coef": tensor(coef)})
    return cases


def moons():
    cases = []
    for options in (
        dict(n_samples=1000, noise=0.1, random_state=0),  # notebook 001's
        dict(n_samples=11, noise=0.3, random_state=5),
        dict(n_samples=6, noise=None, random_state=1),
        dict(n_samples=8, noise=0.2, shuffle=False, random_state=2),
    ):
        x, y = make_moons(**options)
        cases.append({"options": options, "x": tensor(x), "y": tensor(y)})
    return cases


def classification():
    cases = []
    for options in (
        dict(n_samples=20, random_state=0),
        dict(n_samples=30, n_features=5, n_informative=3, n_redundant=1, n_classes=3, n_clusters_per_class=1,
             random_state=1),
        dict(n_samples=15, n_features=2, n_informative=2, n_redundant=0, n_clusters_per_class=1, class_sep=2.0,
             flip_y=0.0, random_state=2),
    ):
        x, y = make_classification(**options)
        cases.append({"options": options, "x": tensor(x), "y": tensor(y)})
    return cases


def labels(n, positives):
    """n labels of which `positives` are 1, spread: label i is 1 where i·positives mod n < positives (n and positives coprime)."""
    y = ((np.arange(n) * positives) % n < positives).astype(int)
    assert y.sum() == positives
    return y


def splits():
    cases = []

    def add(n, test_size, seed, y):
        train, test = train_test_split(np.arange(n), test_size=test_size, random_state=seed, stratify=y)
        cases.append({"n": n, "test_size": test_size, "seed": seed, "labels": y, "train": train, "test": test})

    for seed in (0, 1, 7):
        for n, test_size in ((2, 0.5), (10, 0.25), (37, 0.2), (100, 0.2), (100, 13)):
            add(n, test_size, seed, None)
        add(100, 0.2, seed, labels(100, 31))
        add(37, 0.3, seed, labels(37, 5))
        add(37, 9, seed, labels(37, 20))
        add(37, 0.25, seed, (np.arange(37) % 5 % 3))  # three classes, 15/15/7
        add(100, 0.2, seed, np.repeat([7, -2, 3], [10, 59, 31]))  # labels that do not count from 0, in blocks
        add(24, 0.5, seed, np.arange(24) % 4)  # ties between classes for the remaining rows
        add(26, 0.5, seed, np.arange(26) % 4)
        add(25, 7, seed, np.arange(25) % 6)
    return cases


def refused():
    cases = []
    for n, test_size, y in (
        (5, 0.4, [0, 0, 0, 0, 1]),  # a class with one member
        (8, 1, [0, 0, 0, 0, 1, 1, 1, 1]),  # fewer test rows than classes
        (8, 7, [0, 0, 0, 0, 1, 1, 1, 1]),  # fewer train rows than classes
        (5, 0.0, None),
        (5, 1.0, None),
        (5, 5, None),
        (1, 0.5, None),  # nothing left to train on
    ):
        try:
            train_test_split(np.arange(n), test_size=test_size, random_state=0, stratify=y)
        except ValueError as e:
            cases.append({"n": n, "test_size": test_size, "labels": y, "message": str(e)})
        else:
            raise AssertionError((n, test_size, y))
    return cases


def big_splits():
    """32561 rows with 7841 positives, as Adult has: split 80/20, and the 80 % again. Lists as FNV-1a and their ends."""
    n = 32561
    y = labels(n, 7841)
    digest = lambda rows: {"n": len(rows), "fnv1a": fnv1a(rows), "first": rows[:5], "last": rows[-5:]}
    cases = []
    for seed in (0, 3):
        train, test = train_test_split(np.arange(n), test_size=0.2, random_state=seed, shuffle=True, stratify=y)
        inner, valid = train_test_split(train, test_size=0.2, random_state=seed, shuffle=True, stratify=y[train])
        for a, b in StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=seed).split(np.zeros(n), y):
            assert (a == train).all() and (b == test).all()
        cases.append({"n": n, "positives": 7841, "seed": seed, "train": digest(inner), "valid": digest(valid),
                      "test": digest(test)})
    return cases


def scalers():
    rs = np.random.RandomState(0)
    x = rs.randn(9, 4) * [1, 100, 1e-3, 1] + [0, 5e4, 0, 0]
    x[:, 3] = 2.5  # a constant column: divided by 1, not by 0
    new = rs.randn(3, 4) * [1, 100, 1e-3, 1] + [0, 5e4, 0, 0]
    std, small, pm = StandardScaler().fit(x), MinMaxScaler().fit(x), MinMaxScaler(feature_range=(-1, 1)).fit(x)
    case = lambda name, s, **extra: {
        "scaler": name, "x": tensor(x), "new": tensor(new), "x_scaled": tensor(s.transform(x)),
        "new_scaled": tensor(s.transform(new)), "new_back": tensor(s.inverse_transform(s.transform(new))), **extra}
    return [
        case("StandardScaler", std, mean=std.mean_, scale=std.scale_, var=std.var_),
        case("MinMaxScaler", small, feature_range=[0.0, 1.0], min=small.data_min_, max=small.data_max_),
        case("MinMaxScaler", pm, feature_range=[-1.0, 1.0], min=pm.data_min_, max=pm.data_max_),
    ]


def one_hot():
    fit = [["b", "x"], ["a", "z"], ["c", "x"], ["a", "y"], ["B", "x"], ["", "10"], ["a", "9"]]
    new = [["a", "x"], ["unknown", "y"], ["c", "never"], ["", "10"]]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(np.array(fit, dtype=object))
    return [{
        "fit": fit, "categories": [list(c) for c in encoder.categories_], "new": new,
        "names": list(encoder.get_feature_names_out(["first", "second"])),
        "fit_encoded": tensor(encoder.transform(np.array(fit, dtype=object))),
        "new_encoded": tensor(encoder.transform(np.array(new, dtype=object))),
    }]


def generate():
    warnings.simplefilter("ignore")
    write("sklearn", [np, sklearn], make_regression=regression(), make_moons=moons(),
          make_classification=classification(), train_test_split=splits(), train_test_split_refused=refused(),
          stratified_80_20=big_splits(), scalers=scalers(), one_hot=one_hot())
