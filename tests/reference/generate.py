#!/usr/bin/env python3
"""Writes the reference files beside this script. README.md says with which packages.

    generate.py            every file
    generate.py NAME …     only these subjects
"""

import importlib
import sys

<<<<<<< HEAD
SUBJECTS = ["numpy", "npz", "sklearn", "metrics", "random", "layers", "convolution", "losses", "optim", "init", "xor", "training", "print", "tuning",
=======
SUBJECTS = ["numpy", "npz", "sklearn", "metrics", "random", "layers", "containers", "losses", "optim", "init", "xor", "training", "print", "tuning",
>>>>>>> b90dbbf (Containers that branch: Residual, Concat, Split, Repeat, tied parameters; Flatten and Unflatten; cat and split)
            "labs"]

if __name__ == "__main__":
    for subject in sys.argv[1:] or SUBJECTS:
        if subject not in SUBJECTS:
            raise SystemExit(f"no subject {subject!r}; there are: {' '.join(SUBJECTS)}")
        importlib.import_module(f"subject_{subject}").generate()
