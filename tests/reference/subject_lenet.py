"""lenet.json and lenet.safetensors: a convolutional network that PyTorch saved, what it predicts; and a run of its training,
in double, that the same seed must repeat in C++ (order of the generator as in training.json: weights, data, the loader's passes)."""

import torch
from safetensors.torch import save_file
from torch import nn

from common import HERE, tensor, write
from training_loop import epochs


def net():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(6 * 5 * 5, 10))


def predictions():
    torch.manual_seed(5)
    model = net()
    save_file(model.state_dict(), HERE / "lenet.safetensors")
    x = torch.rand(5, 1, 28, 28)  # drawn after the weights
    with torch.no_grad():
        return tensor(model(x).double())


def run():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(6)
    model = net()
    # The class is the brightest of ten stripes, which can be learnt.
    x, y = torch.rand(96, 1, 28, 28), torch.randint(0, 10, (96,))
    for image, k in zip(x, y):
        image[0, 2 * k + 3: 2 * k + 6] += 1
    loss, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = list(epochs(model, loss, optimizer, x, y, 20, 4))
    result = {"losses": losses, "bias": tensor(model[3].bias), "weight": tensor(model[0].weight)}
    torch.set_default_dtype(torch.float32)
    return result


def generate():
    write("lenet", [torch], predictions=predictions(), run=run())
