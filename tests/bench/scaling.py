"""Runs bench_scaling and ddp_steps.py in turn, and prints what they and a model of a step's time say (tests/bench/scaling).

The model. A sum of n bytes over k ranks takes, as a ring or by shares,
    T(n, k) = 2·⌈log₂ k⌉·α + 2·(k−1)/k·n·β
with α and β fitted to sums measured on 2 ranks. A bucket b of n_b bytes is ready at r_b; sums come one after the other:
    begin_b = max(r_b, end_{b−1}),  end_b = begin_b + T(n_b, k),  step = max(end of the backward, end_last) + update
That is with a core, or a network card, that sums while the backward runs. Where the ranks' own cores do it, as here, a
part h of the sums' time is hidden and 1−h is added: h is measured, by buckets against one sum after the backward.
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
    """α and β of T = 2α + nβ by least squares of relative errors, k = 2."""
    rows = [(1 / t, n / t) for n, t in sums]  # a·x + b·y = 1
    xx, xy, yy = (sum(p * q for p, q in pairs) for pairs in
                  ([(x, x) for x, _ in rows], rows, [(y, y) for _, y in rows]))
    x1, y1 = sum(x for x, _ in rows), sum(y for _, y in rows)
    determinant = xx * yy - xy * xy
    return (x1 * yy - y1 * xy) / determinant / 2, (y1 * xx - x1 * xy) / determinant


def time_of_sum(n, k, alpha, beta):
    return 0 if k == 1 else 2 * math.ceil(math.log2(k)) * alpha + 2 * (k - 1) / k * n * beta


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


def step_with_overlap(k, one, alpha, beta):
    end = 0.0
    for ready, n in one["buckets"]:
        end = max(ready, end) + time_of_sum(n, k, alpha, beta)
    return max(one["backward_end"], end) + one["update"]


def step_without(k, one, alpha, beta, hidden):
    sums = sum(time_of_sum(n, k, alpha, beta) for _, n in one["buckets"])
    return one["step"] + (1 - hidden) * sums


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--alpha", type=float, default=20e-6, help="of the network for the second table, in seconds")
    parser.add_argument("--gbit", type=float, default=25, help="its speed, 10⁹ bit/s")
    options = parser.parse_args()
    torch = importlib.util.find_spec("torch") is not None
    words = [str(options.rows), str(options.seconds)]
    load = os.getloadavg()[0]

    ours, theirs = {}, {}
    for number in range(options.rounds):
        for ranks in (1, 2, 4):
            print(f"round {number + 1} of {options.rounds}: {ranks} rank{'s' * (ranks > 1)}", file=sys.stderr, flush=True)
            if ranks < 4 or number == 0:
                ours.setdefault(ranks, []).append(run(["mpirun", "-n", str(ranks), options.program, *words], ranks))
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
    flat = best(2, "flat")

    gradient = sum(n for _, n in ready)
    print(f"\n784-2048-2048-10, {options.rows} rows a rank, one thread a rank, {CORES} cores, load before {load:.1f};"
          f" gradient {gradient / 1e6:.1f} MB.\nBest medians of {options.rounds} rounds, ms a step.\n")
    print("                                     1 rank   2 ranks   efficiency")
    rows = [("handgrad, buckets of 1 MiB", measured[1], measured[2]), ("handgrad, one sum at the end", measured[1], flat)]
    if torch:
        rows.append(("PyTorch DDP, gloo", min(theirs[1]), min(theirs[2])))
    for name, single, double in rows:
        print(f"  {name:32} {1e3 * single:9.1f} {1e3 * double:9.1f} {100 * single / double:10.1f} %")
    if not torch:
        print(f"  PyTorch DDP, gloo                left out: {sys.executable} has no torch")
    print(f"  (2 ranks at once that do not sum: {1e3 * best(2, 'alone'):.1f} ms: what the cores take from each other)")

    sums = [(n, min(line[1] for lines in ours[2] for line in values(lines, "sum") if line[0] == n))
            for n, _ in values(ours[2][0], "sum")]
    alpha, beta = fit(sums)
    print(f"\nSums on 2 ranks: α = {1e6 * alpha:.1f} µs, β = {1e9 * beta:.3f} ns/byte ({1 / beta / 1e9:.1f} GB/s).")
    print("  bytes      " + "".join(f"{int(n):>11}" for n, _ in sums))
    print("  measured/µs" + "".join(f"{1e6 * t:11.1f}" for _, t in sums))
    print("  model/µs   " + "".join(f"{1e6 * time_of_sum(n, 2, alpha, beta):11.1f}" for n, _ in sums))
    total = sum(time_of_sum(n, 2, alpha, beta) for _, n in one["buckets"])
    hidden = max(0.0, min(1.0, (flat - measured[2]) / total))
    sizes = ", ".join(f"{n / 2**20:.1f}" for _, n in one["buckets"])
    print(f"Buckets (MiB): {sizes}; ready after "
          + ", ".join(f"{1e3 * time:.0f}" for time, _ in one["buckets"])
          + f" ms of {1e3 * one['backward_end']:.0f}.\n"
          f"Sums of a step: {1e3 * total:.1f} ms, of which {100 * hidden:.0f} % are hidden in the backward.\n")

    print("The model against what was measured, ms a step (more ranks than cores share them):")
    for ranks in (1, 2, 4):
        sharing = dict(one, step=one["step"] * max(1, ranks / CORES))
        model = step_without(ranks, sharing, alpha, beta, hidden)
        print(f"  {ranks} rank{'s' if ranks > 1 else ' '}   model {1e3 * model:8.1f}   measured "
              f"{1e3 * measured[ranks]:8.1f}   off by {100 * (model / measured[ranks] - 1):+.1f} %")

    network = options.alpha, 8 / (options.gbit * 1e9)
    print(f"\nThe model for more, a core for each rank; efficiency = step on 1 / step on k, {options.rows} rows a rank:\n"
          f"           this machine's α and β, as measured     α = {1e6 * network[0]:.0f} µs, {options.gbit:g} Gbit/s,"
          f" sums beside the backward\n  ranks      ms a step   efficiency                    ms a step   efficiency")
    for power in range(1, 11):
        k = 2**power
        here, there = step_without(k, one, alpha, beta, hidden), step_with_overlap(k, one, *network)
        print(f"  {k:5} {1e3 * here:14.1f} {100 * one['step'] / here:10.1f} % {1e3 * there:28.1f}"
              f" {100 * one['step'] / there:10.1f} %")


main()
