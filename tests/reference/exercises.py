"""python3 exercises.py: runs the PyTorch code of each exercise's after.md and writes what it gives into pytorch.txt.

The exercises' tests compare these numbers with the model solution's, and a learner sees them beside his own.
"""

import pathlib

import torch

# How the check calls what the code calls otherwise.
NAMES = {
    "02_sigmoid": {"y": "y = σ(z)", "slope": "σ′"},
    "07_linear_dX": {"dx": "dx"},
    "14_batch": {"dw": "dw, in two parts", "db": "db, in two parts"},
}
WANTED = ("y h L delta delta1 delta2 dw dw1 dw2 dW dW0 dW1 dW2 dW3 dU dv db db1 db2 dx dX dz dE dh0 ds da dp dq dQ dK dV dbeta dgamma "
          "w v c slope").split()
# Inputs of the code that are called as a result is elsewhere.
INPUTS = {"14_batch": "w",
          "25_convolutional_net": "v", "05_linear_dW": "", "22_correlation_gradients": "w", "21_correlation": "w",
          "23_padding_and_stride": "w", "01_neuron": "w delta", "15_l2": "delta"}

folder = pathlib.Path(__file__).resolve().parents[2] / "labs" / "exercises"
for text in sorted(folder.glob("*/after.md")):
    code = "".join(line[4:] + "\n" for line in text.read_text().splitlines() if line.startswith("    "))
    if not code:
        continue
    names = {}
    exec(code, names)
    exercise, lines = text.parent.name, []
    for name in WANTED:
        if name not in names or name in INPUTS.get(exercise, "").split():
            continue
        numbers = names[name].detach().flatten().tolist()
        lines.append(f"{NAMES.get(exercise, {}).get(name, name)}: " + " ".join(f"{x:.12g}" for x in numbers) + "\n")
    (text.parent / "pytorch.txt").write_text("".join(lines))
