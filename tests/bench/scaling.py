"""Runs bench_scaling and ddp_steps.py in turn, and prints what they and a model of a step's time say (tests/bench/scaling).

The model. A sum of n bytes over k ranks takes, as a ring or by shares over a network,
    T(n, k) = 2·⌈log₂ k⌉·α + 2·(k−1)/k·n·β
and in memory that the ranks of one machine share, where each rank reads and writes n bytes whatever k is,
    T(n, k) = 2·⌈log₂ k⌉·α + n·β
with α and β from sums measured on 2 ranks. A bucket b of n_b bytes is ready at r_b; sums come one after the other:
    begin_b = max(r_b, end_{b−1}),  end_b = begin_b + T(n_b, k),  step = max(end of the backward, end_last) + update
That is where something else than the ranks' cores carries the sums, as a network card does. Sums in shared memory are
work of the cores themselves: they add to the step, but for a part that fills time in which a rank would wait, measured
as what buckets save against one sum after the backward.

k ranks on C cores: a step without sums is measured with min(k, C) ranks at once, which take memory and clock from each
other, and cores shared by k/C ranks take k/C times as long, for steps and sums.
"""
import argparse
import importlib.util
import math
import os
import subprocess
import sys

CORES = os.cpu_count() or 1
BUCKET = 1 << 20
HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = dict(os.environ, HANDGRAD_NUM_THREADS="1", OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                   OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
                   OMPI_MCA_btl_vader_single_copy_mechanism="none", OMPI_MCA_mpi_yield_when_idle="1")


def run(command, ranks):
    environment = dict(ENVIRONMENT)
    if ranks > CORES:
        environment.update(OMPI_MCA_hwloc_base_binding_policy="none")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr[-2000:]}")
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    return [(line[0], *map(float, line[1:])) for line in lines]


def values(lines, name):
    return [line[1:] for line in lines if line[0] == name]


def fit(sums):
    """α and β of T = 2α + nβ, k = 2: α from the smallest sum, β from the largest, which no core's own cache holds."""
    alpha, (n, time) = min(sums)[1] / 2, max(sums)
    return alpha, (time - 2 * alpha) / n


def time_over_network(n, k, alpha, beta):
    return 0 if k == 1 else 2 * math.ceil(math.log2(k)) * alpha + 2 * (k - 1) / k * n * beta


def time_in_memory(n, k, alpha, beta):
    return 0 if k == 1 else 2 * math.ceil(math.log2(k)) * alpha + n * beta


def buckets_of(ready):
    """As DataParallel cuts them: closed when they have BUCKET bytes, ready with their last gradient."""
    buckets, size = [], 0
    for time, n in ready:
        size += n
        last = time
        if size >= BUCKET:
            buckets.append((last, size))
            size = 0
    if size:
        buckets.append((last, size))
    return buckets


def step_over_network(k, one, step, alpha, beta, overlap):
    """A rank alone takes `one`, and `step` among the others and with what its core has to do for the sums."""
    slower, end = step / one["step"], 0.0
    for ready, n in one["buckets"]:
        end = max(slower * (ready if overlap else one["backward_end"]), end) + time_over_network(n, k, alpha, beta)
    return max(slower * one["backward_end"], end) + slower * one["update"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--alpha", type=float, default=20e-6, help="of the network, in seconds")
    parser.add_argument("--gbit", type=float, default=10, help="its speed, 10⁹ bit/s")
    options = parser.parse_args()
    torch = importlib.util.find_spec("torch") is not None
    words = [str(options.rows), str(options.seconds)]
    network = options.alpha, 8 / (options.gbit * 1e9)
    load = os.getloadavg()[0]

    ours, theirs = {}, {}
    for number in range(options.rounds):
        for ranks in (1, 2, 4):
            print(f"round {number + 1} of {options.rounds}: {ranks} rank{'s' * (ranks > 1)}", file=sys.stderr, flush=True)
            if ranks < 4 or number == 0:
                ours.setdefault(ranks, []).append(run(["mpirun", "-n", str(ranks), options.program, *words,
                                                   *(map(str, network) if ranks == 2 else ())], ranks))
            if torch and ranks < 4:
                lines = run([sys.executable, os.path.join(HERE, "ddp_steps.py"), str(ranks), *words], ranks)
                theirs.setdefault(ranks, []).append(values(lines, "ddp")[0][0])

    def best(ranks, name):
        return min(values(lines, name)[0][0] for lines in ours[ranks])

    one = {"step": best(1, "alone")}
    lines = min(ours[1], key=lambda lines: values(lines, "alone")[0][0])
    ready = values(lines, "ready")
    scale = one["step"] / values(lines, "step_end")[0][0]
    one["buckets"] = [(time * scale, n) for time, n in buckets_of(ready)]
    one["backward_end"] = values(lines, "backward_end")[0][0] * scale
    one["update"] = one["step"] - one["backward_end"]
    measured = {1: one["step"], 2: best(2, "buckets"), 4: best(4, "buckets")}
    flat, beside = best(2, "flat"), {1: one["step"], 2: best(2, "alone"), 4: best(4, "alone")}
    # What a rank takes beside others that do not sum either, if there are as many as cores.
    full = max((time for ranks, time in beside.items() if ranks <= CORES), default=one["step"])

    def without_sums(k):
        return (beside[k] if k in beside and k <= CORES else full) * max(1, k / CORES)

    gradient = sum(n for _, n in ready)
    print(f"\n784-2048-2048-10, {options.rows} rows a rank, one thread a rank, {CORES} cores, load before {load:.1f};"
          f" gradient {gradient / 1e6:.1f} MB.\nBest medians of {options.rounds} rounds, ms a step.\n")
    print("                                     1 rank   2 ranks   efficiency")
    rows = [("handgrad, buckets of 1 MiB", measured[1], measured[2]), ("handgrad, one sum at the end", measured[1], flat),
            ("  2 ranks that do not sum", measured[1], beside[2])]
    if torch:
        rows.append(("PyTorch DDP, gloo", min(theirs[1]), min(theirs[2])))
    for name, single, double in rows:
        print(f"  {name:32} {1e3 * single:9.1f} {1e3 * double:9.1f} {100 * single / double:10.1f} %")
    if not torch:
        print(f"  PyTorch DDP, gloo                left out: {sys.executable} has no torch")
    print("  (Ranks that do not sum lose what cores take from each other: more than that no sum can give.)")

    sums = [(n, min(line[1] for lines in ours[2] for line in values(lines, "sum") if line[0] == n))
            for n, _ in values(ours[2][0], "sum")]
    alpha, beta = fit(sums)
    print(f"\nSums of 2 ranks in shared memory: α = {1e6 * alpha:.1f} µs, β = {1e9 * beta:.3f} ns/byte"
          f" ({1 / beta / 1e9:.1f} GB/s).")
    print("  bytes      " + "".join(f"{int(n):>11}" for n, _ in sums))
    print("  measured/µs" + "".join(f"{1e6 * t:11.1f}" for _, t in sums))
    print("  model/µs   " + "".join(f"{1e6 * time_in_memory(n, 2, alpha, beta):11.1f}" for n, _ in sums))

    def sums_of(k):
        return sum(time_in_memory(n, k, alpha, beta) for _, n in one["buckets"]) * max(1, k / CORES)

    hidden = max(0.0, min(1.0, (flat - measured[2]) / sums_of(2)))
    sizes = ", ".join(f"{n / 2**20:.1f}" for _, n in one["buckets"])
    print(f"Buckets (MiB): {sizes}; ready after "
          + ", ".join(f"{1e3 * time:.0f}" for time, _ in one["buckets"])
          + f" ms of {1e3 * one['backward_end']:.0f}.\n"
          f"Sums of a step: {1e3 * sums_of(2):.1f} ms, by the cores that also run the backward; buckets save"
          f" {1e3 * (flat - measured[2]):.1f} ms, {100 * hidden:.0f} %.\n")

    print("The model against what was measured, ms a step:")
    for ranks in (1, 2, 4):
        model = without_sums(ranks) + (1 - hidden) * sums_of(ranks)
        print(f"  {ranks} rank{'s' if ranks > 1 else ' '}   model {1e3 * model:8.1f}   measured "
              f"{1e3 * measured[ranks]:8.1f}   off by {100 * (model / measured[ranks] - 1):+.1f} %"
              + (f"   ({ranks} share {CORES} cores)" if ranks > CORES else ""))

    print(f"\nThe same 2 ranks over a link of α = {1e6 * network[0]:.0f} µs and {options.gbit:g} Gbit/s (each sum sleeps"
          " so long, and leaves its core to the backward):")
    link = {}
    for name, overlap in (("link_flat", False), ("link_buckets", True)):
        link[overlap] = best(2, name)
        model = step_over_network(2, one, without_sums(2) + (1 - overlap * hidden) * sums_of(2), *network, overlap)
        print(f"  {'sums beside the backward' if overlap else 'one sum at the end':26} model {1e3 * model:8.1f}   measured"
              f" {1e3 * link[overlap]:8.1f}   off by {100 * (model / link[overlap] - 1):+.1f} %")
    total = sum(time_over_network(n, 2, *network) for _, n in one["buckets"])
    print(f"  Of {1e3 * total:.1f} ms on the link the backward hides {1e3 * (link[False] - link[True]):.1f} ms.")

    print(f"\nThe model for more, a core for each rank; efficiency = step on 1 / step on k, {options.rows} rows a rank:\n"
          f"           one machine, shared memory              α = {1e6 * network[0]:.0f} µs, {options.gbit:g} Gbit/s,"
          f" sums beside the backward\n  ranks      ms a step   efficiency                    ms a step   efficiency")
    for power in range(1, 11):
        k = 2**power
        here = full + (1 - hidden) * sum(time_in_memory(n, k, alpha, beta) for _, n in one["buckets"])
        there = step_over_network(k, one, one["step"], *network, True)
        machine = f"{1e3 * here:14.1f} {100 * one['step'] / here:10.1f} %" if k <= 128 else " " * 27
        print(f"  {k:5} {machine} {1e3 * there:28.1f} {100 * one['step'] / there:10.1f} %")


main()
