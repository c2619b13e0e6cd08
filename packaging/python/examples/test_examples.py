"""Each wrong layer is named by the diagnosis, repaired it passes, and its README shows what is really printed."""

import importlib.util
import pathlib
import re

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / name / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def right_affine(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def right_batch_norm(dy, cache):
    x_hat, inv_std, gamma = cache
    g = gamma * dy
    dx = inv_std * (g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0))
    return dx, (dy * x_hat).sum(axis=0), dy.sum(axis=0)


def right_lstm(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    tanh_c = np.tanh(next_c)
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    da = np.hstack([dc * g * i * (1 - i), dc * prev_c * f * (1 - f), dnext_h * tanh_c * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(axis=0)


EXAMPLES = {
    "affine": ("averaged instead of summed", "b", right_affine),
    "batch_norm": ("a term missing", "input", right_batch_norm),
    "lstm": ("the state of the wrong step", "b", right_lstm),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_mistake_is_named(name):
    cause, tensor, right = EXAMPLES[name]
    module = load(name)
    report = module.report()
    assert report.verdict == "FAIL"
    assert report.diagnosis.cause == cause, report
    assert report.diagnosis.tensor.endswith(": " + tensor), report
    assert module.report(right).passed, module.report(right)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_readme_shows_what_is_printed(name):
    readme = (HERE / name / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^    gradients of .*?(?=\n\n)", readme, re.M | re.S).group(0)
    assert words(shown) == words(str(load(name).report()))


def words(text):
    # The last digits of errors are rounding, which NumPy's products may do otherwise elsewhere.
    return re.sub(r"\d\.\de-\d\d|error \d+e-\d\d", "e", " ".join(text.split()))


def test_the_projects_readme_shows_what_is_printed(capsys, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    readme = (HERE.parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## From Python\n", 1)[1].split("\n## ", 1)[0]
    code = re.search(r"```python\n(.*?)```", section, re.S).group(1)
    exec(compile(code, "README.md", "exec"), {})
    shown = section.split("```\n\n    …\n", 1)[1]
    assert words(capsys.readouterr().out).endswith(words(shown))
