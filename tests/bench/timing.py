"""How a step is timed, in Python: as timing.hpp does it."""
import os
import statistics
import sys
import time


def median_seconds(step, finish=lambda: None):
    """Seconds of one call: the median of seven rounds of as many calls as fill BENCH_SECONDS, after as long to warm up.
    `finish` waits for what calls have only begun."""
    length = float(os.environ.get("BENCH_SECONDS") or 0.1)
    step()  # compiles
    finish()
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < length:
        step()
        count += 1
    finish()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(count):
            step()
        finish()
        times.append((time.perf_counter() - start) / count)
    return statistics.median(times)


def wanted(rows):
    """Those of `rows` that BENCH_ROWS names; all without it."""
    names = [name for name in os.environ.get("BENCH_ROWS", "").split(",") if name]
    return [row for row in rows if not names or row in names]


def report(rows, time_row):
    """Prints `ROW SECONDS` for each of `rows` that is wanted; one that fails is told and left out."""
    for name in wanted(rows):
        try:
            print(name, time_row(rows[name]), flush=True)
        except Exception as error:  # whatever a peer raises: the other rows still count
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:150] if str(error) else ''}",
                  file=sys.stderr)
