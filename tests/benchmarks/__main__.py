"""`make bench`: every benchmark in turn, in a process of its own; 1 when one missed its aim."""

import subprocess
import sys

BENCHMARKS = (
    *("bench_start", "bench_decode", "bench_swap", "bench_step", "bench_rows"),
    *("bench_growth", "bench_queue", "bench_pages", "bench_load"),
)


def main() -> int:
    """Runs them and names those that missed."""
    missed = []
    for name in BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"]).returncode:
            missed.append(name)
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nevery aim is met")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
