#!/usr/bin/env python3
"""symbols.py ROOT: one symbol, one meaning. In texts, exercises and headers a loss's target is t, and y what a layer gave."""
import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
texts = [root / "README.md", root / "CONTRIBUTING.md", *sorted(root.glob("lib/**/*.md")), *sorted(root.glob("labs/**/*.md")),
         *sorted(root.glob("labs/exercises/*/exercise.cpp")), *sorted(root.glob("labs/exercises/*/solution.cpp")),
         *sorted(root.glob("lib/**/*.hpp")), *sorted(root.glob("packaging/python/**/*.md"))]
target_as_y = re.compile(r"\bp − y\b|\b(y − p|y − ŷ|ŷ − y)\b|\bL\((p|f\(x\)), y\)|\bloss\w*(\.forward)?\(.*, y\)|\(loss, \w, y\)"
                         r"|const Tensor<T>& p, const Tensor<T>& y\b")
wrong = [f"{path.relative_to(root)}:{number}: {line.strip()}" for path in texts
         for number, line in enumerate(path.read_text().splitlines(), 1) if target_as_y.search(line)]
if wrong:
    sys.exit("a target is called y, which is a layer's output:\n  " + "\n  ".join(wrong))
print(f"{len(texts)} texts call a target t")
