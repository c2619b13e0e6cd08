"""Layers of the C++ library on NumPy arrays, and their weights in files."""

import numpy as np
import pytest

import handgrad
from handgrad import nn


def network():
    handgrad.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


def test_learns_xor_with_pytorchs_weights():
    net = network()
    # torch.manual_seed(0); torch.nn.Linear(2, 4).weight[0]
    np.testing.assert_allclose(net[0].weight.value[0], [-0.0053, 0.3793], atol=5e-5)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    t = np.array([[0], [1], [1], [0]], dtype=np.float32)
    loss, sgd = nn.BCEWithLogitsLoss(), nn.SGD(net.parameters(), lr=0.5)
    for _ in range(1000):
        value = loss(net(x), t)
        sgd.zero_grad()
        net.backward(loss.backward())
        sgd.step()
    assert value < 0.01
    assert repr(net).startswith("Sequential(\n  (0): Linear(in_features=2, out_features=4, bias=True)")


def test_nothing_is_copied():
    layer = nn.Identity()
    x = np.ones((3, 2), dtype=np.float32)
    y = layer(x)
    dy = np.full_like(x, 2)
    assert layer.backward(dy).shape == (3, 2)
    again = layer(x)
    x[0, 0] = 7  # the layer holds x, not a copy: Flatten gives what it holds
    flat = nn.Flatten()
    assert y[0, 0] == 1 and again[0, 0] == 1  # y is kept, though the layer has run again
    assert flat(x)[0, 0] == 7
    weight = nn.Linear(2, 3).weight
    weight.value[...] = 5
    assert (weight.value == 5).all()


def test_x_is_read_where_it_is():
    # One row of a Linear whose weight's gradient is δᵀ·x: x is read again by the backward, changed in between.
    layer = nn.Linear(2, 1, bias=False)
    x = np.array([[1, 2]], dtype=np.float32)
    layer(x)
    x[0] = [10, 20]
    layer.backward(np.ones((1, 1), dtype=np.float32))
    np.testing.assert_array_equal(layer.weight.grad, [[10, 20]])


def test_other_types_are_converted():
    layer = nn.Linear(2, 1)
    assert layer(np.ones((3, 2))).dtype == np.float32
    assert nn.float64.Linear(2, 1)(np.ones((3, 2))).dtype == np.float64
    with pytest.raises(TypeError):
        nn.Sequential(nn.Linear(2, 1), nn.float64.Tanh())


def test_errors_are_the_librarys():
    with pytest.raises(handgrad.ShapeError, match=r"Sequential\[0\] Linear\(2 → 4\): input has 3 columns, 2 expected"):
        network()(np.ones((5, 3), np.float32))
    with pytest.raises(ValueError):  # a ShapeError is Python's ValueError as well
        network()(np.ones((5, 3), np.float32))
    with pytest.raises(handgrad.StateError, match="backward before any forward"):
        nn.Linear(2, 1).backward(np.ones((5, 1), np.float32))


def test_state_dict():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    net(x)
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                           "1.num_batches_tracked"]
    assert state["1.num_batches_tracked"] == 1 and state["1.num_batches_tracked"].dtype == np.int64
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    other.load_state_dict(state)
    assert np.array_equal(net.eval()(x), other.eval()(x))
    with pytest.raises(handgrad.ValueError, match="missing 0.bias"):
        other.load_state_dict({k: v for k, v in state.items() if k != "0.bias"})
    other.load_state_dict({"0.weight": np.zeros((4, 3))}, strict=False)
    assert (other[0].weight.value == 0).all()


def test_files(tmp_path):
    path = tmp_path / "net.safetensors"
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4)).astype(np.float32)
    y = net(x)
    handgrad.save(path, net)
    other = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    assert handgrad.load(path, other) is other
    assert np.array_equal(other(x), y)
    arrays = handgrad.load(path)
    assert {k: v.shape for k, v in arrays.items()} == {k: v.shape for k, v in net.state_dict().items()}
    handgrad.save(path, {"a": np.float64(2.5), "b": np.arange(6.0).reshape(2, 3).T}, metadata={"by": "me"})
    back = handgrad.load(path, dtype=np.float64)
    assert back["a"].shape == () and back["a"] == 2.5 and back["b"].dtype == np.float64
    np.testing.assert_array_equal(back["b"], np.arange(6.0).reshape(2, 3).T)
    with pytest.raises(handgrad.ValueError, match="unexpected a, b"):
        handgrad.load(path, net)
    with pytest.raises(handgrad.IoError, match="nowhere"):
        handgrad.load(tmp_path / "nowhere")
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(handgrad.ParseError, match="net.safetensors"):
        handgrad.load(path)
    with pytest.raises(TypeError, match="float32, float64"):
        handgrad.save(path, {"a": np.zeros(2), "b": np.zeros(2, np.float32)})


def test_safetensors_reads_what_is_written(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    net = nn.LSTM(3, 5)
    handgrad.save(tmp_path / "a", net)
    for name, array in safetensors.load_file(tmp_path / "a").items():
        assert np.array_equal(array, net.state_dict()[name])
    safetensors.save_file({k: v + 1 for k, v in net.state_dict().items()}, tmp_path / "b")
    before = net.state_dict()
    handgrad.load(tmp_path / "b", net)
    assert np.array_equal(net.state_dict()["weight_ih_l0"], before["weight_ih_l0"] + 1)
