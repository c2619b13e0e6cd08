"""What is installed: types, stubs, docstrings."""

import ast
import importlib
import inspect
import pathlib
import re

import numpy as np
import pytest

import handgrad
from handgrad import nn


def names(stub):
    return {node.name for node in ast.parse(stub.read_text(encoding="utf-8")).body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def test_types_and_stubs_are_there():
    folder = pathlib.Path(handgrad.__file__).parent
    assert (folder / "py.typed").exists()
    assert {"Function", "GradientReport", "check_function", "Trace"} <= names(folder / "_core" / "__init__.pyi")
    for stub, module in ((folder / "_core/nn/__init__.pyi", nn), (folder / "_core/nn/float64.pyi", nn.float64)):
        public = {n for n in dir(module) if inspect.isclass(getattr(module, n)) and not n.startswith("_")}
        assert len(public) > 70 and public <= names(stub), public - names(stub)


PROGRAM = """
import numpy as np
import handgrad
from handgrad import nn
from handgrad.nn.float64 import Linear

net: nn.Sequential = handgrad.load("net.safetensors", nn.Sequential(nn.Linear(2, 4), nn.Tanh())).eval()
y: np.ndarray = net(np.ones((3, 2), dtype=np.float32))
loss = nn.CrossEntropyLoss(label_smoothing=0.1)
double: handgrad.nn.float64.Layer = Linear(2, 3)
try:
    nn.Linear("two", 3)
except handgrad.ShapeError as error:
    python: ValueError = error
"""


def test_a_program_is_checked_by_its_types(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    (tmp_path / "program.py").write_text(PROGRAM)
    found = mypy.run([str(tmp_path / "program.py"), "--no-incremental", "--no-error-summary"])[0].splitlines()
    assert len(found) == 1 and 'Argument 1 to "Linear" has incompatible type "str"' in found[0], found


def test_nn_is_two_modules():
    assert importlib.import_module("handgrad.nn.float64").Linear is nn.float64.Linear is not nn.Linear


def documented(thing):
    own = thing.__doc__ or ""
    return own.strip() and own != object.__doc__


def test_everything_public_is_documented():
    for name in handgrad.__all__:
        thing = getattr(handgrad, name)
        if not (inspect.isclass(thing) and issubclass(thing, handgrad.Error)):
            assert inspect.getdoc(thing), name
    for name, thing in vars(nn).items():
        if name.startswith("_") or inspect.ismodule(thing):
            continue
        assert documented(thing), f"nn.{name}"
        for key, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not key.startswith("_"):
                # nanobind puts the signature first
                text = (member.__doc__ or "").split("\n\n")
                assert len(text) > 1 or isinstance(member, property) and text[0], f"nn.{name}.{key}"


def test_the_readmes_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    handgrad.save("net.safetensors", net)
    handgrad.save("other.safetensors", {"fc1.weight": np.ones((4, 2)), "fc1.bias": np.zeros(4)})
    names = {"x": rng.standard_normal((5, 2)), "t": rng.standard_normal((5, 1)), "layer": nn.float64.Linear(2, 3),
             "w1": rng.standard_normal((2, 4)), "b1": np.zeros(4), "w2": rng.standard_normal((4, 1)), "b2": np.zeros(1)}
    readme = (pathlib.Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    with pytest.raises(handgrad.GradientError, match="averaged over the batch"):
        names["test_affine"]()
    assert names["report"].passed and (tmp_path / "step.html").stat().st_size > 1000 and len(names["step"]) > 10
