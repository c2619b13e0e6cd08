#!/usr/bin/env python3
"""exercises.py ROOT EXERCISES: what the exercises' README shows of a wrong sign is what the program says of it.

The learner's file of 05_linear_dW is filled in with the solution, with its mistake `wrong sign` planted, and checked.
Every shown block that has numbers in it (`yours`) must stand in what is printed, line by line."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

root, program = Path(sys.argv[1]), sys.argv[2]
exercise = root / "labs/exercises/05_linear_dW"
before, after = next(line.split(" :: ")[1] for line in (exercise / "mistakes.txt").read_text().splitlines()
                     if line.startswith("wrong sign ::")).split(" ==> ")
solution = (exercise / "solution.cpp").read_text()
assert solution.count(before) == 1, before

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([program, "init", folder], check=True, capture_output=True, timeout=60)
    file = Path(folder) / exercise.name / "linear_dW.cpp"
    text = file.read_text()
    filled = re.sub(r"(// TODO[^\n]*\n).*?(\n// END)", lambda m: m[1] + solution.replace(before, after) + m[2], text, flags=re.S)
    assert filled != text
    file.write_text(filled)
    said = subprocess.run([program, "check", "linear_dW", "--dir", folder], capture_output=True, text=True, timeout=120).stdout

printed = [line.strip() for line in said.splitlines()]
blocks = re.findall(r"(?:^    .*\n)+", (root / "labs/exercises/README.md").read_text(), re.M)
shown = [block for block in blocks if re.search(r"yours \S+, expected", block)]
assert len(shown) == 2, shown
wrong = [line.strip() for block in shown for line in block.splitlines() if line.strip() not in printed]
if wrong:
    sys.exit("labs/exercises/README.md shows\n  " + "\n  ".join(wrong) + "\nwhich is not among\n" + said)
print(f"{sum(len(b.splitlines()) for b in shown)} lines of labs/exercises/README.md are what the program prints")
