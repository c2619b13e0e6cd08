#!/usr/bin/env python3
"""commands.py ROOT [LABS EXERCISES]: every command that the texts show exists, takes the options shown, and knows the
names shown; the cheap ones are run. LABS and EXERCISES are the built programs, whose --help tells of their options."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

root = Path(sys.argv[1])
programs = dict(zip(("labs", "exercises"), sys.argv[2:]))
texts = [root / "README.md", root / "CONTRIBUTING.md", *sorted(root.glob("labs/**/README.md"))]
wrong = []


def run(*command):
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)


def words_of(text):
    """Without the explanation, which stands behind two blanks, a # or a comma."""
    return re.split(r"\s{2,}|\s#|;|, ", text)[0].split()


def commands(path):
    for number, line in enumerate(path.read_text().split("\n"), 1):
        found = []
        if re.match(r"    (\S+=\S+ )?(\./|\.ci/|cmake |mpirun |srun |pip )", line):
            found = re.split(r" && ", re.split(r"\s{2,}", line.strip())[0])
        found += re.findall(r"`((?:\S+=\S+ )?(?:\./|\.ci/|mpirun |srun |cmake --preset)[^`]*)`", line)
        for text in found:
            yield number, words_of(text)


labs = {l.split()[0]: "step" in l.split()[1:2] for l in (root / "labs/list.txt").read_text().splitlines() if l}
help_of_labs = run("./labs/run", "--help").stdout
if programs:
    help_of_labs += run(programs["labs"], "--help").stdout
presets = json.loads((root / "CMakePresets.json").read_text())
known_presets = {p["name"] for kind in ("configurePresets", "buildPresets", "testPresets") for p in presets[kind]}


def check(words):
    """What is wrong with a command, or None."""
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    program, rest = words[0], words[1:]
    if program in ("mpirun", "srun", "pip"):
        return None  # of others; what they start is a program of the reader's
    if program in ("cmake", "ctest"):
        if "--preset" in rest and rest[rest.index("--preset") + 1] not in known_presets:
            return f"there is no preset {rest[rest.index('--preset') + 1]}"
        return None
    file = root / program
    if program == "./xor":
        return None
    if not file.is_file() or not file.stat().st_mode & 0o100:
        return f"{program} is no program here"
    if program != "./labs/run":
        text = file.read_text()
        for option in (w for w in rest if w.startswith("--")):
            if option not in text:
                return f"{program} does not know {option}"
        return None
    if rest and rest[0] == "exercise":
        return check_exercise(rest[1:])
    for option in (w.split("=")[0] for w in rest if w.startswith("--")):
        if option not in help_of_labs:
            return f"./labs/run --help does not know {option}"
    if rest[:1] and rest[0] in ("step", "open"):
        return None if labs.get(rest[1]) else f"there is no lesson {rest[1]}"
    names = [w for w in rest[:1] if not w.startswith("-")]
    unknown = [w for w in names if w not in labs and w not in ("list", "all", "docs")]
    return f"there is no lab {unknown[0]}" if unknown else None


def check_exercise(rest):
    if "exercises" not in programs or not rest:
        return None
    known = run(programs["exercises"], "--help").stdout
    if not re.search(rf"^\s+{rest[0]}\b", known, re.M):
        return f"./labs/run exercise --help does not know {rest[0]}"
    if any(w.startswith("--") and w not in known + run(programs["exercises"], rest[0], "--help").stdout for w in rest):
        return f"./labs/run exercise {rest[0]} does not know one of {rest[1:]}"
    return None


seen = 0
for path in texts:
    for number, words in commands(path):
        seen += 1
        fault = check(words)
        if fault:
            wrong.append(f"{path.relative_to(root)}:{number}: {' '.join(words)}: {fault}")

# The cheap ones, run.
listed = run("./labs/run", "list")
if listed.returncode or len(listed.stdout.splitlines()) != len(labs):
    wrong.append("./labs/run list does not list the labs")
for script in sorted(p for p in (root / "labs/run", root / "labs/fetch-data", root / "tests/run", root / "tests/setup.sh",
                                 root / "tests/tidy", root / ".ci/run", *(root / ".ci").iterdir(), root / "packaging/build")):
    if script.is_file() and script.read_text().startswith("#!/usr/bin/env bash") and (fault := run("bash", "-n", str(script)).stderr):
        wrong.append(f"{script.name}: {fault}")

# A relative link or picture in a text leads somewhere.
for path in texts + [root / "CHANGELOG.md"]:
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
            if not (path.parent / target).exists():
                wrong.append(f"{path.relative_to(root)}:{number}: there is no {target}")
        # A path of this repository in quotation marks: labs/gabor/gabor.hpp.
        for target in re.findall(r"`((?:lib|kernels|labs|tests|packaging)/[\w./]+)`", line):
            whole = root / target
            if not whole.exists() and not re.search(r"[A-Z]{3,}|NN_", target) and not list(whole.parent.glob(whole.name + "*")):
                wrong.append(f"{path.relative_to(root)}:{number}: there is no {target}")

if seen < 40:
    wrong.append(f"only {seen} commands were found in the texts: not what this test is for")
print(f"{seen} commands in {len(texts)} texts")
sys.exit("\n".join(wrong) if wrong else 0)
