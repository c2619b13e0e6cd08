"""All layers, losses and optimizers of ``nn``, made with PyTorch's arguments, hold what PyTorch computed: the values that the
C++ library is tested with (tests/reference), and networks that PyTorch saves."""

import json
import pathlib
import re

import numpy as np
import pytest

import handgrad
from handgrad import nn

SOURCE = pathlib.Path(__file__).resolve().parents[3]
f64 = nn.float64


def reference(name, part="cases"):
    return json.loads((SOURCE / "tests" / "reference" / f"{name}.json").read_text())[part]


def array(stored):
    return np.array([float(v) for v in stored["data"]]).reshape(stored["shape"])  # "nan" and "inf" are texts there


def close(ours, stored, what):
    assert ours.shape == tuple(stored["shape"]), what
    np.testing.assert_allclose(ours, array(stored), rtol=1e-9, atol=1e-11, err_msg=what)


def arguments(args):
    """PyTorch's, from those in a reference file."""
    own = {k: tuple(v) if isinstance(v, list) else v for k, v in args.items()}
    if own.pop("same", False):
        own["padding"] = "same"
    return own


def filled(layer, parameters):
    state = layer.state_dict()
    assert list(parameters) == [n for n, _ in layer.named_parameters()]
    layer.load_state_dict({**state, **{k: array(v) for k, v in parameters.items()}})
    return layer


def hold(layer, step, what):
    layer.requires_input_grad()
    layer.zero_grad()
    close(layer(array(step["x"])), step["y"], what)
    dx = layer.backward(array(step["dy"]))
    if "dx" in step:
        close(dx, step["dx"], what)
    own = dict(layer.named_parameters())
    for name, grad in step["grads"].items():
        close(own[name].grad, grad, f"{what}: {name}")
    for name, buffer in step.get("buffers", {}).items():
        np.testing.assert_allclose(layer.state_dict()[name], array(buffer).reshape(buffer["shape"]), rtol=1e-12, err_msg=what)


@pytest.mark.parametrize("file", ["layers", "activations", "norms", "convolution"])
def test_layers(file):
    for case in reference(file):
        args = arguments(case["args"])
        train, what = args.pop("train", True), f"{case['layer']}({case['args']})"
        layer = filled(getattr(f64, case["layer"])(**args), case["parameters"])
        for step in case["steps"]:
            layer.train(step.get("train", train))
            hold(layer, step, what)


def test_recurrent_layers():
    for case in reference("recurrent"):
        layer = filled(getattr(f64, case["layer"])(case["in"], case["hidden"], **case["options"]), case["parameters"])
        hold(layer, {"x": case["x"], **case["zeros"]}, f"{case['layer']} {case['options']}")
        end = layer.final_state()
        for ours, stored in zip(end if isinstance(end, tuple) else (end,), case["zeros"]["end"]):
            close(ours, stored, case["layer"])


def test_attention():
    for case in reference("attention", "attentions"):
        layer = filled(f64.MultiheadAttention(**case["args"]), case["parameters"])
        layer.key_padding_mask(None if case["mask"] is None else array(case["mask"]))
        hold(layer, case["step"], str(case["args"]))
    for case in reference("attention", "encoders"):
        layer = filled(f64.TransformerEncoderLayer(**case["args"], dropout=0), case["parameters"])
        if case["mask"] is None:
            hold(layer, case["step"], str(case["args"]))
    for case in reference("attention", "embeddings"):
        layer = filled(f64.Embedding(**case["args"]), case["parameters"])
        hold(layer, {k: case[k] for k in ("x", "y", "dy", "grads")}, str(case["args"]))
    for case in reference("attention", "positions"):
        layer = f64.PositionalEncoding(case["d_model"], max_len=case["max_len"])
        close(layer.state_dict()["pe"], case["pe"], "pe")


def test_containers():
    S, L, T = f64.Sequential, f64.Linear, f64.Tanh

    def tied():
        net = S(L(4, 4), T(), L(4, 4), T(), L(4, 4))
        f64.tie(net[2].weight, net[0].weight)
        f64.tie(net[4].weight, net[0].weight)
        f64.tie(net[4].bias, net[2].bias)
        return net

    nets = {
        "residual": lambda: f64.Residual(L(5, 7), T(), L(7, 5)),
        "shortcut": lambda: f64.Residual(L(5, 7), T(), shortcut=L(5, 7, bias=False)),
        "concat": lambda: f64.Concat(L(5, 3), S(L(5, 4), T()), f64.Identity()),
        "concat_last": lambda: f64.Concat(L(5, 3), L(5, 2), dim=-1),
        "concat_rows": lambda: f64.Concat(L(5, 3), L(5, 3), dim=1),
        "split": lambda: f64.Split([2, 3], L(2, 4), S(L(3, 1), f64.Sigmoid())),
        "split_rows": lambda: f64.Split([1, 2], L(5, 3), S(L(5, 3), T()), dim=-2),
        "nested": lambda: S(L(3, 6), f64.Residual(f64.Concat(L(6, 2), S(L(6, 4), T())), T()),
                            f64.Split([2, 4], f64.Identity(), f64.Residual(L(4, 4))), f64.Residual(T(), shortcut=L(6, 6)),
                            L(6, 2)),
        "tied": tied,
        "repeat": lambda: f64.Repeat(3, lambda: S(L(4, 4), T())),
        "shared": lambda: f64.Repeat(3, lambda: S(L(4, 4), T()), shared=True),
        "flatten": lambda: S(f64.Flatten(), L(6, 4), f64.Unflatten(1, (2, 2)), L(2, 3)),
        "flatten_middle": lambda: S(f64.Unflatten(-1, (2, 3)), f64.Flatten(0, -2), L(3, 2)),
    }
    cases = reference("containers")
    assert sorted(c["name"] for c in cases) == sorted(nets)
    for case in cases:
        net = nets[case["name"]]()
        net.load_state_dict({k: array(v) for k, v in case["state"].items()})
        for step in case["steps"]:
            hold(net, step, case["name"])


def test_losses():
    for case in reference("losses"):
        options = dict(case.get("options") or {}, reduction=case["reduction"])
        if options.pop("batchmean", False) and case["reduction"] == "mean":
            options["reduction"] = "batchmean"
        options.update({k: array(v) for k, v in case["weights"].items()})
        loss, what = getattr(f64, case["loss"])(**options), f"{case['loss']} {options}"
        value = loss(array(case["x"]), array(case["target"]))
        close(np.asarray(value), case["value"], what)
        dx = loss.backward(array(case["dy"])) if case["reduction"] == "none" else loss.backward()
        close(dx, case["dx"], what)


def test_optimizers():
    data = json.loads((SOURCE / "tests" / "reference" / "optim.json").read_text())
    seen = set()
    for case in data["optimizers"]:
        if case["bias_options"]:
            continue
        w, b, given = array(data["weight"]), array(data["bias"]), {}
        layer = handgrad.Function(lambda x, w, b: (x, None), lambda dy, cache: (dy, given["weight"], given["bias"]), w=w, b=b)
        optimizer = getattr(f64, case["optimizer"])(layer.parameters(), **case["options"])
        seen.add(case["optimizer"])
        for gradients, expected in zip(data["gradients"], case["steps"]):
            given.update(weight=np.reshape(gradients["weight"], w.shape), bias=np.array(gradients["bias"]))
            optimizer.zero_grad()
            layer.backward(layer(np.ones((1, 1))))
            optimizer.step()
            what = f"{case['optimizer']}({case['options']})"
            np.testing.assert_allclose(w.ravel(), expected["weight"], rtol=1e-9, err_msg=what)
            np.testing.assert_allclose(b, expected["bias"], rtol=1e-9, err_msg=what)
    assert seen == {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam", "Lion"}


def test_a_file_of_pytorch():
    def made():
        handgrad.manual_seed(5)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 5 * 5, 10))

    drawn, net = made().state_dict(), made()
    for _, parameter in net.named_parameters():
        parameter.value[...] = 0
    handgrad.load(SOURCE / "tests" / "reference" / "lenet.safetensors", net)
    for name, value in net.state_dict().items():  # PyTorch drew them after torch.manual_seed(5)
        np.testing.assert_array_equal(value, drawn[name])


def test_networks_that_pytorch_saves(tmp_path):
    torch, files = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    t, pairs = torch.nn, []
    torch.manual_seed(1)

    class Block(t.Module):
        def __init__(self):
            super().__init__()
            self.f = t.Sequential(t.Linear(6, 6), t.GELU())

        def forward(self, x):
            return x + self.f(x)

    pairs.append((t.Sequential(t.Conv1d(2, 4, 3, padding=1), t.BatchNorm1d(4), t.MaxPool1d(2), t.Conv1d(4, 4, 3, stride=2),
                               t.AvgPool1d(2), t.Flatten(), t.Linear(4, 3), t.LogSoftmax(1)),
                  nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.MaxPool1d(2), nn.Conv1d(4, 4, 3, stride=2),
                                nn.AvgPool1d(2), nn.Flatten(), nn.Linear(4, 3), nn.LogSoftmax(1)), torch.randn(3, 2, 12)))
    pairs.append((t.Sequential(t.Conv2d(1, 4, 3), t.GroupNorm(2, 4), t.SiLU(), t.ConvTranspose2d(4, 2, 3, stride=2, bias=False),
                               t.BatchNorm2d(2), t.Hardswish(), t.AdaptiveAvgPool2d((2, 3))),
                  nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(),
                                nn.ConvTranspose2d(4, 2, 3, stride=2, bias=False), nn.BatchNorm2d(2), nn.Hardswish(),
                                nn.AdaptiveAvgPool2d((2, 3))), torch.randn(2, 1, 7, 6)))
    pairs.append((t.Sequential(t.Linear(4, 6), Block(), t.RMSNorm(6), t.PReLU(6), t.LayerNorm(6), Block()),
                  nn.Sequential(nn.Linear(4, 6), nn.Residual(nn.Linear(6, 6), nn.GELU()), nn.RMSNorm(6), nn.PReLU(6),
                                nn.LayerNorm(6), nn.Residual(nn.Linear(6, 6), nn.GELU())), torch.randn(5, 4)))
    pairs.append((t.Sequential(t.Embedding(11, 8), *[t.TransformerEncoderLayer(8, 2, 12, batch_first=True) for _ in range(2)],
                               t.Linear(8, 11)),
                  nn.Sequential(nn.Embedding(11, 8), nn.Repeat(2, lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True))[0],
                                nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), nn.Linear(8, 11)),
                  torch.randint(0, 11, (3, 5))))
    for i, (theirs, ours, x) in enumerate(pairs):
        if x.is_floating_point():
            theirs(x)  # running statistics other than 0 and 1
        theirs.eval(), ours.eval()
        files.save_file(theirs.state_dict(), tmp_path / f"{i}")
        handgrad.load(tmp_path / f"{i}", ours)
        with torch.no_grad():
            np.testing.assert_allclose(ours(x.numpy()), theirs(x).numpy(), atol=2e-6, err_msg=f"{theirs}")
    for theirs, ours in ((t.LSTM(3, 5, 2, bidirectional=True), nn.LSTM(3, 5, 2, bidirectional=True)), (t.GRU(3, 5), nn.GRU(3, 5)),
                         (t.RNN(3, 5, nonlinearity="relu"), nn.RNN(3, 5, nonlinearity="relu"))):
        files.save_file(theirs.state_dict(), tmp_path / "r")
        x = torch.randn(7, 2, 3)
        with torch.no_grad():
            np.testing.assert_allclose(handgrad.load(tmp_path / "r", ours)(x.numpy()), theirs(x)[0].numpy(), atol=2e-6)


def test_every_class_is_there():
    """What the headers declare has its place here: whoever adds a layer is told."""
    headers = [h for folder in ("layers", "containers", "losses", "optim") for h in (SOURCE / "lib/handgrad" / folder).glob("*.hpp")]
    declared = set()
    for header in headers:
        declared |= set(re.findall(r"template <class T = float>\nclass (\w+)", header.read_text()))
    declared -= {"L2Penalty", "ExponentialMovingAverage"}
    assert len(declared) > 60
    for module in (nn, f64):
        assert sorted(n for n in declared if not hasattr(module, n)) == []
