"""training.json: whole training runs in double, with shuffled batches, that the same seed must repeat in C++.

The order in which the generator is used: manual_seed(seed), the layers from the first to the last, then one pass of the
loader after another. The data are stored.
"""

import numpy as np
import torch
from torch import nn

from common import tensor, write
from training_loop import epochs

EPOCHS = 20
RS = np.random.RandomState(23)


def short(*shape):
    return torch.tensor(np.round(RS.randn(*shape), 3), dtype=torch.float64)


X = short(60, 5)
SIGNAL = X[:, 0] * X[:, 1] + torch.sin(2 * X[:, 2]) - X[:, 3]
TARGETS = {
    "regression": torch.round(SIGNAL + 0.1 * short(60), decimals=3).reshape(60, 1),
    "binary": (SIGNAL + 0.3 * short(60) > 0).double().reshape(60, 1),
    "classes": torch.bucketize(SIGNAL, torch.tensor([-1.0, 0.3]).double()),
}

ARGUMENTS = {"Linear": ["in_features", "out_features"], "BatchNorm1d": ["num_features"], "LayerNorm": ["normalized_shape"]}


def net(*layers):
    """("Linear", 5, 7), "Tanh", … as descriptions of layers."""
    described = []
    for name, *sizes in [(layer,) if isinstance(layer, str) else layer for layer in layers]:
        sizes = [[sizes[0]]] if name == "LayerNorm" else sizes
        described.append({"layer": name, "args": dict(zip(ARGUMENTS.get(name, []), sizes))})
    return described


RUNS = [
    dict(name="sgd_momentum", seed=1, batch_size=8, target="regression", loss="MSELoss",
         net=net(("Linear", 5, 7), "Tanh", ("Linear", 7, 3), "Sigmoid", ("Linear", 3, 1)),
         optimizer="SGD", options=dict(lr=0.02, momentum=0.9)),
    dict(name="nesterov_batch_norm", seed=2, batch_size=12, target="binary", loss="BCEWithLogitsLoss",
         net=net(("Linear", 5, 11), ("BatchNorm1d", 11), "ReLU", ("Linear", 11, 1)),
         optimizer="SGD", options=dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)),
    dict(name="adam_batch_norm", seed=3, batch_size=16, target="binary", loss="BCEWithLogitsLoss",
         net=net(("Linear", 5, 16), ("BatchNorm1d", 16), "ReLU", ("Linear", 16, 7), "ReLU", ("BatchNorm1d", 7),
                 ("Linear", 7, 1)),
         optimizer="Adam", options=dict(lr=0.01, weight_decay=1e-4)),
    dict(name="adamw_cosine", seed=4, batch_size=7, target="classes", loss="CrossEntropyLoss",
         net=net(("Linear", 5, 11), ("BatchNorm1d", 11), "SiLU", ("Linear", 11, 6), ("LayerNorm", 6), "ReLU",
                 ("Linear", 6, 3)),
         optimizer="AdamW", options=dict(lr=0.01, weight_decay=0.1), cosine=EPOCHS),
    dict(name="rmsprop", seed=5, batch_size=60, target="regression", loss="L1Loss",
         net=net(("Linear", 5, 8), "Sigmoid", ("Linear", 8, 1)),
         optimizer="RMSprop", options=dict(lr=0.01)),
]


def train(run):
    target = TARGETS[run["target"]]
    torch.manual_seed(run["seed"])
    net = nn.Sequential(*(getattr(nn, layer["layer"])(**layer["args"]) for layer in run["net"]))
    loss = getattr(nn, run["loss"])()
    optimizer = getattr(torch.optim, run["optimizer"])(net.parameters(), **run["options"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run["cosine"]) if "cosine" in run else None
    train_loss, eval_loss = [], []
    for mean in epochs(net, loss, optimizer, X, target, run["batch_size"], EPOCHS):
        train_loss.append(mean)
        if scheduler:
            scheduler.step()
        net.eval()
        with torch.no_grad():
            eval_loss.append(loss(net(X), target).item())
        net.train()
    assert eval_loss[-1] < 0.7 * eval_loss[0], (run["name"], eval_loss)
    return run | {"train_loss": train_loss, "eval_loss": eval_loss, "state": {k: tensor(v) for k, v in net.state_dict().items()}}


def generate():
    torch.set_default_dtype(torch.float64)
    write("training", [torch], epochs=EPOCHS, x=tensor(X), targets={k: tensor(t) for k, t in TARGETS.items()},
          runs=[train(run) for run in RUNS])
    torch.set_default_dtype(torch.float32)
