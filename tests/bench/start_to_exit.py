"""Prints `ten_lines SECONDS`: the program PROGRAM from its start to its exit, the median of 21 runs."""
import statistics
import subprocess
import sys
import time

times = []
for _ in range(21):
    start = time.perf_counter()
    subprocess.run([sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
    times.append(time.perf_counter() - start)
print("ten_lines", statistics.median(times))
