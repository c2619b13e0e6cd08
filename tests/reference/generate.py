#!/usr/bin/env python3
"""Writes the reference files beside this script. README.md says with which packages.

    generate.py            every file
    generate.py NAME …     only these subjects
"""

import importlib
import pathlib
import sys

SUBJECTS = sorted(path.stem.removeprefix("subject_") for path in pathlib.Path(__file__).parent.glob("subject_*.py"))

if __name__ == "__main__":
    for subject in sys.argv[1:] or SUBJECTS:
        if subject not in SUBJECTS:
            raise SystemExit(f"no subject {subject!r}; there are: {' '.join(SUBJECTS)}")
        importlib.import_module(f"subject_{subject}").generate()
