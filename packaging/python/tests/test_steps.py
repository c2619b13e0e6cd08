"""Networks of NumPy functions, and steps that are recorded."""

import re

import numpy as np
import pytest

import handgrad
from handgrad import nn


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def tanh_forward(x):
    y = np.tanh(x)
    return y, y


def tanh_backward(dy, y):
    return dy * (1 - y * y)


FORMULAS = {"forward": [("y = x·w + b", "y[n,j] = sum(i: x[n,i]·w[i,j]) + b[j]")],
            "backward": [("db = Σ δ", "db[j] = sum(n: δ[n,j])"), ("dw = xᵀ·δ", "dw[i,j] = sum(n: x[n,i]·δ[n,j])", "w is in every row of y."),
                         "dx = δ·wᵀ"]}


@pytest.fixture
def made():
    rng = np.random.default_rng(0)
    w1, b1 = rng.standard_normal((2, 4)), np.zeros(4)
    w2, b2 = rng.standard_normal((4, 1)), np.zeros(1)
    net = handgrad.Sequential([handgrad.Function(affine_forward, affine_backward, w=w1, b=b1, derivation=FORMULAS),
                               (tanh_forward, tanh_backward), (affine_forward, affine_backward, {"w": w2, "b": b2})])
    x = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    return net, x, np.array([[0.0], [1], [1], [0]]), (w1, b1, w2, b2)


def test_a_network_of_numpy_functions_learns(made):
    net, x, t, (w1, b1, w2, b2) = made
    expected = np.tanh(x @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(net(x), expected, rtol=1e-14)
    assert [n for n, _ in net.named_parameters()] == ["0.w", "0.b", "2.w", "2.b"]
    loss, sgd = nn.float64.MSELoss(), nn.float64.SGD(net.parameters(), lr=0.5)
    W1, B1, W2, B2 = (a.copy() for a in (w1, b1, w2, b2))
    for _ in range(50):
        value = loss(net(x), t)
        sgd.zero_grad()
        net.backward(loss.backward())
        sgd.step()
        h = np.tanh(x @ W1 + B1)  # the same in NumPy alone
        z = h @ W2 + B2
        mse, dz = ((z - t) ** 2).mean(), 2 * (z - t) / 4
        da = dz @ W2.T * (1 - h * h)
        W1, B1, W2, B2 = W1 - 0.5 * x.T @ da, B1 - 0.5 * da.sum(0), W2 - 0.5 * h.T @ dz, B2 - 0.5 * dz.sum(0)
        np.testing.assert_allclose(value, mse, rtol=1e-10)
    np.testing.assert_allclose(w1, W1, rtol=1e-10)  # the learner's own arrays are what is trained
    np.testing.assert_allclose(b2, B2, rtol=1e-10)


def test_it_gives_what_the_librarys_layers_give(made):
    net, x, t, (w1, b1, w2, b2) = made
    own = nn.float64.Sequential(nn.float64.Linear(2, 4), nn.float64.Tanh(), nn.float64.Linear(4, 1))
    own.load_state_dict({"0.weight": w1.T, "0.bias": b1, "2.weight": w2.T, "2.bias": b2})
    np.testing.assert_allclose(net(x), own(x), rtol=1e-13)
    dy = np.ones((4, 1))
    net.backward(dy), own.backward(dy)
    np.testing.assert_allclose(net.parameters()[0].grad, own[0].weight.grad.T, rtol=1e-12)
    assert handgrad.check_layer(net, x + 0.1).passed


def test_a_step_is_recorded(made, tmp_path):
    net, x, t, _ = made
    loss, sgd = nn.float64.MSELoss(), nn.float64.SGD(net.parameters(), lr=0.1)
    net(x)
    with handgrad.record() as step:
        loss(net(x), t)
        sgd.zero_grad()
        net.backward(loss.backward())
        sgd.step()
    formulas = step.formulas()
    assert formulas[0] == "y = x·w + b" and "y = tanh_forward(x)" in formulas and "dw = xᵀ·δ" in formulas
    assert any(f.startswith("w ← ") for f in formulas)
    phases = [a.phase for a in step.trace.assignments]
    assert phases == sorted(phases, key=["forward", "loss", "backward", "update"].index)
    # The formula of an element with numbers put in comes to what the function computed.
    value = step.trace.values[step.trace.assignments[0].value].array
    text = step.trace.numbers(0, 5).replace("·", "*").replace("−", "-")
    assert abs(eval(text) - value.ravel()[5]) < 1e-3
    page = step.to_html(tmp_path / "step.html")
    assert (tmp_path / "step.html").read_text(encoding="utf-8") == page
    assert page.count("<details>") == len(step) == len(step.to_dict()["assignments"])
    assert "http" not in page and "dw = xᵀ·δ" in page
    assert "w is in every row of y." in page and step.trace.assignments[formulas.index("dw = xᵀ·δ")].why in page
    made = re.findall('data-made="([^"]*)">([^<]*)<', page)  # what a number says of itself comes to that number
    assert len(made) > 30
    for how, number in made:
        if re.fullmatch(r"[-+*/(). \d]+", how := how.replace("·", "*").replace("−", "-")):
            assert abs(eval(how) - float(number.replace("−", "-"))) < 1e-3, (how, number)
    assert "forward\n  0 affine_forward: y = x·w + b" in str(step)


def test_a_wrong_formula_is_refused(made):
    wrong = {"forward": [("y = x·w", "y[n,j] = sum(i: x[n,i]·w[j,i,i])")]}
    layer = handgrad.Function(affine_forward, affine_backward, w=np.ones((2, 3)), b=np.zeros(3), derivation=wrong)
    with pytest.raises(handgrad.Error):
        with handgrad.record():
            layer(np.ones((4, 2)))


def test_what_a_layer_must_be():
    with pytest.raises(TypeError, match="layer 0 is int"):
        handgrad.Sequential([3])
    with pytest.raises(handgrad.FunctionError, match="w is float32"):
        handgrad.Function(affine_forward, affine_backward, w=np.ones((2, 3), np.float32), b=np.zeros(3))
    with pytest.raises(RuntimeError, match="when the with block has ended"):
        with handgrad.record() as step:
            len(step)
