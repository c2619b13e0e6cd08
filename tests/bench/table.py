"""Prints one table of what tests/bench/run measured in the folder that it is given."""
import glob
import json
import os
import re
import sys

folder = sys.argv[1]

ours = {}  # name -> (seconds, threads)
units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
for path in glob.glob(f"{folder}/handgrad_*.json"):
    threads = int(re.search(r"_(\d+)\.json", path).group(1))
    with open(path) as file:
        for row in json.load(file)["benchmarks"]:
            if row["aggregate_name"] == "median":
                entry = (row["real_time"] * units[row["time_unit"]], threads)
                ours[row["run_name"]] = min(ours.get(row["run_name"], entry), entry)


def others(name):
    path = f"{folder}/{name}.txt"
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return {row[0]: (float(row[1]), int(row[2])) for row in map(str.split, file)}


pytorch, libtorch = others("pytorch"), others("libtorch")


def cell(entry):
    return f"{entry[0] * 1e6:9.2f} ({entry[1]})" if entry else f"{'':>13}"


print(f"{'µs a step (threads)':24}{'handgrad':>13}{'PyTorch':>14}{'LibTorch':>14}{'times faster':>14}{'products':>10}")
for name, entry in ours.items():
    if name.endswith("_products"):
        continue
    best = min((t[name] for t in (pytorch, libtorch) if name in t), default=None)
    products = ours.get(name.split("_")[0] + "_products")
    print(f"{name:24}{cell(entry)} {cell(pytorch.get(name))} {cell(libtorch.get(name))}"
          + (f"{best[0] / entry[0]:13.1f}×" if best else f"{'':14}")
          + (f"{entry[0] / products[0]:9.2f}×" if products else ""))
print("times faster: than the faster of the two.  products: a step's time over that of its bare matrix products.")
