"""check: what passes, what is named, what is said in words."""

import numpy as np
import pytest

import handgrad


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.standard_normal((5, 3)), rng.standard_normal((3, 7)), rng.standard_normal(7)


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def checked(backward, arrays, forward=affine_forward, **options):
    return handgrad.check(forward, backward, arrays, raises=False, **options)


# Forms ------------------------------------------------------------------------------------------------------------------


def test_a_right_layer_passes(arrays):
    report = checked(affine_backward, arrays)
    assert report and report.passed and report.verdict == "pass"
    assert [t.name for t in report.tensors] == ["b", "w", "input"]
    assert report["x"].shape == (5, 3) and report["w"].checked == 21
    assert report.subject == "affine_forward"
    assert str(report).startswith("gradients of affine_forward: pass (tolerance 1e-07)\n  b (7,)        pass")
    np.testing.assert_allclose(report["w"].analytic, report["w"].numeric, rtol=1e-7)
    assert report.raise_if_failed() is report


@pytest.mark.parametrize("form", ["dict", "d_dict", "y_alone", "with_inputs", "keywords", "list", "method", "variadic"])
def test_forms_of_forward_and_backward(form, arrays):
    x, w, b = arrays
    forward, backward, inputs = affine_forward, affine_backward, arrays
    last = {}

    def remembering(x, w, b):
        last["cache"] = (x, w)
        return x @ w + b

    class Own:
        def forward(self, x, w, b):
            self.cache = (x, w)
            return x @ w + b

        def backward(self, dy):
            return affine_backward(dy, self.cache)

    if form == "dict":
        backward = lambda dy, cache: dict(zip(("x", "w", "b"), affine_backward(dy, cache)))
    if form == "d_dict":
        backward = lambda dy, cache: dict(zip(("db", "dw", "dx"), affine_backward(dy, cache)[::-1]))
    if form == "y_alone":
        forward, backward = remembering, lambda dy: affine_backward(dy, last["cache"])
    if form == "with_inputs":
        forward, backward = lambda x, w, b: x @ w + b, lambda dy, x, w, b: affine_backward(dy, (x, w))
    if form == "keywords":
        inputs = {"b": b, "x": x, "w": w}
        backward = lambda dy, cache: dict(zip(("x", "w", "b"), affine_backward(dy, cache)))
    if form == "list":
        backward = lambda dy, cache: list(affine_backward(dy, cache))
    if form == "method":
        own = Own()
        forward, backward = own.forward, own.backward
    if form == "variadic":
        backward = lambda *args: affine_backward(*args)
    report = checked(backward, inputs, forward)
    assert report.passed, report
    assert {t.name for t in report.tensors} == {"w", "b", "input"}


def test_one_input_and_one_gradient():
    assert checked(lambda dy, y: dy * (1 - y * y), np.linspace(-2, 2, 15).reshape(5, 3),
                   lambda x: (np.tanh(x), np.tanh(x))).passed


def test_settings_are_passed_and_left_alone(arrays):
    settings = {"calls": 0}

    def forward(x, w, b, scale, settings):
        settings["calls"] += 1
        return scale * (x @ w + b), (x, w, scale)

    def backward(dy, cache):
        x, w, scale = cache
        return affine_backward(scale * dy, (x, w))

    assert checked(backward, (*arrays, 2.5, settings), forward).passed
    assert settings == {"calls": 0}


def test_inputs_come_back_as_they_were(arrays):
    before = [a.copy() for a in arrays]
    checked(affine_backward, arrays)
    for a, b in zip(arrays, before):
        assert np.array_equal(a, b)


def test_float32_inputs_are_checked_in_double(arrays):
    assert checked(affine_backward, [a.astype(np.float32) for a in arrays]).passed


def test_random_draws_are_repeated(arrays):
    def dropout_forward(x, p):
        mask = (np.random.rand(*x.shape) < p) / p
        return x * mask, mask

    assert checked(lambda dy, mask: dy * mask, (arrays[0], 0.5), dropout_forward).passed

    def with_generator(x, rng):
        mask = (rng.random(x.shape) < 0.5) * 2.0
        return x * mask, mask

    assert checked(lambda dy, mask: dy * mask, (arrays[0], np.random.default_rng(3)), with_generator).passed


def test_a_kink_near_an_entry_is_left_out():
    x = np.array([[1e-7, -1.0], [2.0, 3.0]])
    forward, backward = lambda x: (np.maximum(x, 0), x), lambda dy, x: dy * (x > 0)
    report = checked(backward, x, forward, kink_sides=lambda x: x > 0, step=1e-3)
    assert report["x"].verdict != "FAIL", report


def test_several_outputs_each_with_its_gradient(arrays):
    x = arrays[0]

    def forward(x):
        return np.sin(x), np.cos(x), x

    def backward(ds, dc, x):
        return ds * np.cos(x) - dc * np.sin(x)

    assert checked(backward, (x,), forward).passed
    assert checked(backward, (x,), forward, outputs=("s", "c")).passed
    wrong = checked(lambda ds, dc, x: ds * np.cos(x), (x,), forward)
    assert wrong.verdict == "FAIL"


# Losses -----------------------------------------------------------------------------------------------------------------


def softmax_loss(z, y):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dz = p.copy()
    dz[np.arange(len(z)), y] -= 1
    return -np.log(p[np.arange(len(z)), y]).mean(), dz / len(z)


def test_losses(arrays):
    x = arrays[0]
    t = x[::-1] + 0.5
    labels = np.array([0, 2, 1, 1, 0])
    mse = lambda p, t: ((p - t) ** 2).mean()
    assert checked(lambda p, t: 2 * (p - t) / p.size, (x, t), mse).passed
    assert checked(lambda dy, p, t: dy * 2 * (p - t) / p.size, (x, t), mse).passed
    assert checked(lambda dL, dz: dL * dz, (x, labels), softmax_loss).passed
    assert checked(lambda dz: dz, (x, labels), softmax_loss).passed
    assert checked(lambda x: 2 * x, (x,), lambda x: ((x**2).sum(), x)).passed
    report = checked(lambda p, t: 2 * (p - t), (x, t), mse)
    assert report.diagnosis.cause == "not averaged"
    assert [t.name for t in report.tensors] == ["prediction"]


def test_a_loss_with_gradients_of_its_weights():
    rng = np.random.default_rng(1)
    W, X, y = rng.standard_normal((3, 4)), rng.standard_normal((6, 3)), rng.integers(0, 4, 6)

    def loss(W, X, y, reg):
        value, dz = softmax_loss(X @ W, y)
        return value + reg * (W**2).sum(), X.T @ dz + 2 * reg * W

    report = handgrad.check(loss, lambda dW: dW, (W, X, y, 0.1), wrt=["W"], raises=False)
    assert report.passed and [t.name for t in report.tensors] == ["W"], report


# What is named ----------------------------------------------------------------------------------------------------------


def _half(dy, cache):
    dx, dw, db = affine_backward(dy, cache)
    half = np.empty_like(dx)
    half[:4] = dx[:4]
    return half, dw, db


def _in_place(dy, cache):
    gradients = affine_backward(dy, cache)
    dy[0] = 0
    return gradients


def _clips(dy, cache):
    return affine_backward(np.clip(dy, -3, 3), cache)


@pytest.mark.parametrize("backward, cause", [
    (lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.mean(axis=0)), "averaged instead of summed"),
    (lambda dy, c: (dy @ c[1].T, -c[0].T @ dy, dy.sum(axis=0)), "wrong sign"),
    (lambda dy, c: (dy @ c[1].T, dy.T @ c[0], dy.sum(axis=0)), "transposed"),
    (lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy), "not summed over the batch"),
    (lambda dy, c: (dy @ c[1].T, c[0].T @ dy, dy.sum()), "wrong shape"),
    (lambda dy, c: (dy @ c[1].T, c[0].T @ np.ones_like(dy), dy.sum(axis=0)), "δ ignored"),
    (_half, "entries never written"),
    (_in_place, "an argument overwritten"),
    (_clips, "not linear in δ"),
])
def test_mistakes_are_named(backward, cause, arrays):
    report = checked(backward, arrays)
    assert report.verdict == "FAIL"
    assert report.diagnosis.cause == cause, report
    assert report.diagnosis.what in str(report)


def test_a_forward_that_writes_into_x(arrays):
    def forward(x):
        x -= x.mean(axis=0)
        return x**2, x

    def backward(dy, x):
        g = 2 * x * dy
        return g - g.mean(axis=0)

    report = checked(backward, (arrays[0],), forward)
    assert not report.passed
    assert "writes into its input x" in report.text, report


def test_an_index_that_comes_twice():
    rng = np.random.default_rng(0)

    def backward(dy, cache):
        x, W = cache
        dW = np.zeros_like(W)
        dW[x] = dy
        return dW

    report = checked(backward, (np.array([1, 0, 1, 3]), rng.standard_normal((5, 3))), lambda x, W: (W[x], (x, W)))
    assert report.diagnosis.cause == "rows overwritten instead of added to"


def test_two_forwards_that_differ(arrays):
    def forward(x, state=[0]):
        state[0] += 1
        return x * state[0], None

    report = checked(lambda dy, cache: dy, (arrays[0],), forward)
    assert not report and report.diagnosis.cause == "two forwards differ"
    assert "two forwards of the same x differ" in str(report)


# Raising ----------------------------------------------------------------------------------------------------------------


def wrong(dy, cache):
    dx, dw, db = affine_backward(dy, cache)
    return dx, dw, -db


def test_raises_in_pytest_by_itself(arrays):
    with pytest.raises(handgrad.GradientError, match="the sign of the gradient of b is wrong") as caught:
        handgrad.check(affine_forward, wrong, arrays)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report["b"].verdict == "FAIL"


def test_raises_when_told(arrays, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    report = handgrad.check(affine_forward, wrong, arrays)
    assert not report
    with pytest.raises(handgrad.GradientError):
        report.raise_if_failed()
    with pytest.raises(handgrad.GradientError):
        handgrad.check(affine_forward, wrong, arrays, raises=True)


def test_inconclusive_is_no_pass():
    with pytest.raises(handgrad.GradientError, match="inconclusive"):
        handgrad.check(lambda x: (0 * x, None), lambda dy, c: 0 * dy, np.ones((2, 3)))


def test_table(arrays):
    html = checked(wrong, arrays)._repr_html_()
    assert "<table>" in html and "FAIL" in html and "the sign of the gradient of b is wrong" in html
    assert html.count("<tr>") == 1 + 3 + 3
    assert "&lt;" in handgrad.check(affine_forward, affine_backward, arrays, name="<b>")._repr_html_()


# In words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backward, text", [
    (lambda dy, c: None, "gave None: is there a return"),
    (lambda dy, c: (dy @ c[1].T, None, dy.sum(axis=0)), "gave None for the gradient of w"),
    (lambda dy, c: (dy @ c[1].T, c[0].T @ dy), r"gave 2 gradients; expected 3: \(dx, dw, db\)"),
    (lambda dy, c: dy @ c[1].T, "gave one gradient"),
    (lambda dy, c: {"x": dy @ c[1].T, "w": c[0].T @ dy}, "gave no gradient of b"),
    (lambda dy, c: {"dv": dy}, "a gradient named dv; the inputs are x, w, b"),
    (lambda dy, c: (dy @ c[1].T, (c[0].T @ dy).astype(np.float32), dy.sum(axis=0)), "of w of type float32"),
    (lambda dy, c: (dy @ c[1].T, c[0].T @ dy, "db"), "gave str for the gradient of b"),
    (lambda: None, "takes 0"),
])
def test_what_a_backward_gives(backward, text, arrays):
    with pytest.raises(handgrad.FunctionError, match=text):
        checked(backward, arrays)


@pytest.mark.parametrize("forward, text", [
    (lambda x, w, b: None, "gave None for y: is there a return"),
    (lambda x, w, b: (None, None), "gave None for y"),
    (lambda x, w, b: ((x @ w + b).astype(np.float32), (x, w)), "for which float32 has too few digits"),
    (lambda x, w, b: ((x @ w + b).astype(int), (x, w)), "gave y of type int64"),
    (lambda x, w, b: ([1.0], (x, w)), "gave list for y"),
    (lambda x, w, b: (x @ w, x, w, b), "returns 4 things and the backward"),
])
def test_what_a_forward_gives(forward, text, arrays):
    with pytest.raises(handgrad.FunctionError, match=text):
        checked(affine_backward, arrays, forward)


def test_what_goes_in(arrays):
    x, w, b = arrays
    with pytest.raises(handgrad.FunctionError, match="x is an array of complex128"):
        checked(affine_backward, (x.astype(complex), w, b))
    with pytest.raises(handgrad.FunctionError, match="x is empty"):
        checked(affine_backward, (x[:0], w, b))
    with pytest.raises(handgrad.FunctionError, match="6 dimensions|5 dimensions"):
        checked(affine_backward, (x.reshape(5, 1, 1, 1, 3), w, b))
    with pytest.raises(handgrad.FunctionError, match="none of the inputs"):
        checked(lambda dy, c: dy, np.arange(6), lambda x: (x * 1.0, x))
    with pytest.raises(handgrad.FunctionError, match="w is .* int64 and has no gradient"):
        checked(affine_backward, (x, np.ones((3, 7), int), b), wrt=["w"])
    with pytest.raises(handgrad.FunctionError, match="w is .* int64, and has none"):
        checked(affine_backward, (x, np.ones((3, 7), int), b))
    with pytest.raises(handgrad.FunctionError, match="backward is no function"):
        checked(None, arrays)


def test_what_is_raised_is_passed_on(arrays):
    def forward(x, w, b):
        raise IndexError("mine")

    with pytest.raises((IndexError, handgrad.FunctionError), match="mine") as caught:
        checked(affine_backward, arrays, forward)
    notes = "".join(getattr(caught.value, "__notes__", [str(caught.value)]))
    assert "raised by the forward, forward, called with x: (5, 3) float64" in notes


def test_an_interrupt_ends_the_check(arrays):
    calls = [0]

    def forward(x, w, b):
        calls[0] += 1
        if calls[0] == 20:
            raise KeyboardInterrupt
        return affine_forward(x, w, b)

    with pytest.raises(KeyboardInterrupt):
        checked(affine_backward, arrays, forward)
    assert calls[0] == 20


# Objects ----------------------------------------------------------------------------------------------------------------


class Linear:
    def __init__(self, w, b):
        self.W, self.b = w.T.copy(), b.copy()

    def forward(self, A):
        self.A = A
        return A @ self.W.T + self.b

    def backward(self, dLdZ):
        self.dLdW = dLdZ.T @ self.A
        self.dLdb = dLdZ.sum(axis=0)
        return dLdZ @ self.W


class Book:
    def __init__(self, w, b):
        self.params = {"W": w.copy(), "b": b.copy()}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        self.grads["b"] = dout.sum(axis=0)
        return dout @ self.params["W"].T


class Wrong(Linear):
    def backward(self, dLdZ):
        dx = super().backward(dLdZ)
        self.dLdb = dLdZ.mean(axis=0)
        return dx


def test_layers_that_are_objects(arrays):
    x, w, b = arrays
    layer = Linear(w, b)
    own = layer.W
    assert handgrad.check_layer(layer, x).passed
    assert layer.W is own and np.array_equal(own, w.T)
    assert handgrad.check_layer(Book(w, b), x).passed
    assert handgrad.check_layer(layer, x, parameters={"W": "dLdW"}).passed
    report = handgrad.check_layer(Wrong(w, b), x, raises=False)
    assert report.subject == "Wrong" and report.diagnosis.cause == "averaged instead of summed"
    assert handgrad.check_layer(handgrad.nn.float64.Linear(3, 7), x).passed
    with pytest.raises(handgrad.FunctionError, match="no method forward"):
        handgrad.check_layer(object(), x)
