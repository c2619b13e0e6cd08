"""How a step is timed, in Python: as timing.hpp does it."""
import statistics
import sys
import time


def median_seconds(step, finish=lambda: None):
    """Seconds of one call: the median of seven rounds of as many calls as fill 0.2 s, after 0.2 s to warm up.
    `finish` waits for what calls have only begun."""
    step()  # compiles
    finish()
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < 0.2:
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


def report(rows, time_row):
    """Prints `ROW SECONDS` for each of `rows`; one that fails is told and left out."""
    for name, make in rows.items():
        try:
            print(name, time_row(make), flush=True)
        except Exception as error:  # whatever a peer raises: the other rows still count
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:150] if str(error) else ''}",
                  file=sys.stderr)
