"""Prints one table of what tests/bench/run measured in the folder that it is given."""
import glob
import importlib.metadata
import os
import platform
import re
import sys

folder = sys.argv[1]

# row: what it is, and how many times faster than the fastest peer it should be
ROWS = {
    "logistic": ("logistic 5×3, SGD", 25),
    "adult_logistic": ("logistic, Adult's 20838×108, SGD", 2),
    "mlp": ("108-256-128-1, 128 rows, SGD, decay", 3),
    "mlp_dropout": ("  + dropout", 5),
    "mlp_batch_norm": ("  + batch norm + dropout + AdamW", 5),
    "digits": ("784-256-128-10, 64 rows, Adam", 2.5),
    "wide": ("784-2048-2048-10, 512 rows, SGD", 1.1),
    "lstm": ("LSTM 32-128, 50 steps, 32 sequences", 2.5),
    "gru": ("GRU of that size", 3),
    "lenet": ("8, 16 channels 3×3, 28×28, 64 images", 3),
    "transformer": ("2 layers of a transformer, 64 wide, 64 characters, batch 16", 2.5),
    "embedding": ("embedding 10,000×64, batch 512, and a linear layer", 3),
    "inference_1": ("inference 108-256-128-1, 1 row", 8),
    "inference_1024": ("inference 108-256-128-1, 1024 rows", 1.5),
    "epoch": ("an epoch of Adult, shuffled", 3),
    "csv": ("Adult: CSV to tensors", 5),
    "ten_lines": ("the ten-line program", None),
}
PEERS = {"eager": "PyTorch", "compile": "compiled", "libtorch": "LibTorch", "jax": "JAX", "pandas": "pandas"}


def lines(path):
    path = os.path.join(folder, path)
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [line.split() for line in file]


# who -> row -> (seconds, threads) with the best number of threads in the better round; operations of products
# separately
times, operations, by_threads = {}, {}, {}
for path in glob.glob(f"{folder}/*.*.*"):
    who, threads = os.path.basename(path).split(".")[:2]
    for row, seconds, *more in lines(path):
        entry = float(seconds), threads[0]  # d: default
        best = times.setdefault(who, {})
        best[row] = min(best.get(row, entry), entry)
        if who == "handgrad":
            key = row, threads
            by_threads[key] = min(by_threads.get(key, entry[0]), entry[0])
        if more:
            operations[row] = float(more[0])
machine = {name: float(value) for name, value in lines("machine")}
instructions = {row: int(count) for row, count in lines("instructions")}
ours = times["handgrad"]


def peak(threads):
    return machine["peak_1"] if threads == "1" else machine["peak_all"]


def products(row):
    """(10⁹ operations a second, their share of the peak) of the bare products: the best number of threads."""
    name = row + "_products"
    if name not in operations:
        return None
    rates = [(operations[name] / seconds / 1e9, threads) for (other, threads), seconds in by_threads.items() if other == name]
    return max((rate, rate / peak(threads)) for rate, threads in rates)


def besides(row, seconds):
    """The other half of a row's goal: (what, whether it is reached), or None."""
    if row == "adult_logistic":
        reading = 2 * 20838 * 108 * 4 / machine["read_all"] / 1e9
        return f"{seconds / reading:.2f} × reading X twice, ≤ 1.2", seconds <= 1.2 * reading
    if row == "mlp":
        least = operations["mlp_products"] / (0.9 * machine["peak_all"] * 1e9)
        return f"{seconds / least:.2f} × its products at 90 % of the peak, ≤ 1.15", seconds <= 1.15 * least
    if row == "wide":
        share = products(row)[1]
        return f"products at {share:.0%} of the peak, ≥ 92 %", share >= 0.92
    if row == "ten_lines":
        return f"{seconds * 1e3:.1f} ms from start to exit, ≤ 20", seconds <= 0.02
    return None


def microseconds(entry):
    if entry is None:
        return "–".rjust(12)
    value = entry[0] * 1e6
    return f"{value:10,.2f}" + f" {entry[1]}" if value < 1000 else f"{value:10,.0f} {entry[1]}"


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            text = file.read()
        flags = re.search(r"^flags\s*: (.*)$", text, re.M).group(1).split()
        simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "neither AVX2 nor AVX-512"
        return f"{re.search(r'^model name.*: (.*)$', text, re.M).group(1)}, {simd}"
    except (OSError, AttributeError):
        return platform.machine()


who = [peer for peer in PEERS if peer in times and peer != "pandas"]
print(f"\n{processor()}, {int(machine['threads'])} processors: peak {machine['peak_1']:.0f} GF/s on one, "
      f"{machine['peak_all']:.0f} on all; reads {machine['read_1']:.1f} GB/s on one, {machine['read_all']:.1f} on all")
print(", ".join(f"{p} {v}" for p in ("torch", "jax", "pandas", "scikit-learn") if (v := version(p)))
      + f"; Python {platform.python_version()}")
for when, load in zip(("before", "after"), lines("load")):
    print(f"load {when}: {' '.join(load[-3:])}")
if any(float(load[-3].strip(",")) > 1.5 for load in lines("load")[:1]):
    print("THE MACHINE WAS BUSY: these figures are no measurement.")
print(f"\n{'µs, and threads (d: default)':36}{'handgrad':>12}" + "".join(f"{PEERS[p]:>13}" for p in who)
      + f"{'faster':>9}{'goal':>7}{'products':>17}" + (f"{'instructions':>14}" if instructions else ""))
reached, measured, notes = 0, 0, []
for row, (text, goal) in ROWS.items():
    if row not in ours:
        continue
    rivals = [times[p][row][0] for p in times if p != "handgrad" and row in times[p]]
    ratio = min(rivals) / ours[row][0] if rivals else None
    other = besides(row, ours[row][0])
    rate = products(row)
    good = (goal is None or ratio is not None and ratio >= goal) and (other is None or other[1])
    measured += 1
    reached += good
    peers = [times[p].get(row) for p in who]
    if row == "csv" and "pandas" in times:
        notes.append(f"{text}: pandas with scikit-learn {times['pandas']['csv'][0] * 1e3:.1f} ms")
    if other:
        notes.append(f"{text.strip()}: {other[0]}")
    print(f"{text:36}{microseconds(ours[row])}" + "".join(" " + microseconds(p) for p in peers)
          + (f"{ratio:8.1f}×" if ratio else " " * 9) + (f"{goal:6g}×" if goal else " " * 7) + (" " if good else "!")
          + (f"{rate[0]:8.0f} GF {rate[1]:4.0%}" if rate else " " * 16)
          + (f"{instructions[row]:14,d}" if row in instructions else ""))
for note in notes:
    print(note)
slow = [f"{ROWS[row][0].strip()} {by_threads[row, 'default'] / by_threads[row, '1']:.2f} ×" for row in ROWS
        if (row, "1") in by_threads and by_threads[row, "default"] > 1.05 * by_threads[row, "1"]]
if slow:
    print("slower by default than on one thread: " + ", ".join(slow))
for line in sorted(set(map(tuple, lines("left_out")))):
    print(" ".join(line))
print("faster: than the fastest peer, each at its best number of threads.  !: the goal is not reached.")
print(f"{reached} of {measured} rows reach their goal")
