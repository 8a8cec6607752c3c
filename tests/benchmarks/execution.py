"""Measure what one run costs, from the order to the outcome, beside a fresh interpreter. Run by hand:

.venv/bin/pip install . && .venv/bin/python tests/benchmarks/execution.py
"""

import itertools
import math
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner.core.job import Step, StepKind
from runner.core.source import FileType
from runner.execution.orders import StepInput, StepOrder
from runner.execution.zygote import Zygote

# Enough that the p99 is not the slowest of all, which tells of the machine.
ROUNDS = 300
ROUNDS_OF_A_FRESH_PYTHON = 10
RUNS = 300
WORKERS = 2
# As long as a service is idle between two runs: the children that wait are as warm as they get.
PAUSE = 0.15

SCRIPT = 'result = data.groupby("category").sum()'
QUERY = "SELECT category, sum(amount) AS amount FROM data GROUP BY ALL ORDER BY ALL"
FRESH = "import pandas as pd\npd.read_csv('input.csv').groupby('category').sum().to_csv('fresh.csv')"

# The least that a process of its own for each run can cost: forked from one that has pandas and nothing else, warm, and
# nothing around it: no sandbox, no order, no outcome, no bounds. Prints how many of them are done a second.
BARE_FORKS = """
import gc, os, sys, time
import pandas as pd

runs, workers = int(sys.argv[1]), int(sys.argv[2])

def step():
    pd.read_csv("input.csv").groupby("category").sum().to_csv(f"bare-{os.getpid()}.csv")

def one_after_the_other():
    for _ in range(runs // workers):
        if not (pid := os.fork()):
            step()
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            os._exit(1)
    os._exit(0)

for _ in range(30):
    step()
gc.collect()
gc.freeze()
began = time.perf_counter()
servers = [os.fork() or one_after_the_other() for _ in range(workers)]
if any([os.waitpid(server, 0)[1] for server in servers]):
    raise SystemExit("a step failed")
print(runs / (time.perf_counter() - began))
"""


class Bench:
    """Runs one step after the other, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()
        self.zygote = Zygote(sandbox_mode="strict", waiting=WORKERS)
        rows = "".join(f"{'abcde'[number % 5]},{number}\n" for number in range(100))
        (folder / "input.csv").write_text("category,amount\n" + rows)

    def step(self, kind: StepKind, text: str) -> float:
        """Seconds from the order to the outcome."""
        run_dir = self.folder / f"run-{next(self.numbers)}"
        run_dir.mkdir()
        order = StepOrder(
            run_id=run_dir.name,
            step=Step(kind=kind, text=text, path="jobs.d/benchmark.yaml"),
            inputs=(StepInput(paths=(str(self.folder / "input.csv"),), format=FileType.CSV),),
            run_dir=str(run_dir),
        )
        began = time.perf_counter()
        outcome = self.zygote.run_step(order, cancelled=threading.Event())
        seconds = time.perf_counter() - began
        if outcome.failure or outcome.rows_out != 5:
            raise SystemExit(f"a step failed: {outcome.failure}")
        return seconds

    def script(self) -> float:
        return self.step(StepKind.SCRIPT, SCRIPT)

    def query(self) -> float:
        return self.step(StepKind.QUERY, QUERY)

    def bare_forks_per_second(self) -> float:
        """The same work as that of the script step."""
        command = [sys.executable, "-c", BARE_FORKS, str(RUNS), str(WORKERS)]
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    def python(self, program: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], cwd=self.folder, check=True)
        return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        bench.zygote.start()
        try:
            time.sleep(1)
            private = waiting_children(bench.zygote.pid)
            rows = latencies(bench)
            rates = [
                ("script runs", runs_per_second(bench.script, RUNS)),
                ("SQL runs", runs_per_second(bench.query, RUNS)),
                ("bare forks of a warm pandas, no sandbox", bench.bare_forks_per_second()),
                ("fresh `python` with pandas", runs_per_second(lambda: bench.python(FRESH), RUNS // 20)),
            ]
        finally:
            bench.zygote.close()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; 100 rows of CSV, grouped and summed.\n")
    print("| from order to outcome | p50 | p99 | p50 against the script step |\n| --- | ---: | ---: | ---: |")
    script = quantile(rows["script step"], 0.5)
    for what, seconds in rows.items():
        middle = quantile(seconds, 0.5)
        print(f"| {what} | {middle:.1f} ms | {quantile(seconds, 0.99):.1f} ms | {middle / script:.1f} × |")
    print(f"\n| {WORKERS} at a time, one after the other | a second |\n| --- | ---: |")
    for what, rate in rates:
        print(f"| {what} | {rate:.0f} |")
    print("\n| a waiting child's own memory (private dirty) |\n| ---: |")
    for size in private:
        print(f"| {size:.1f} MiB |")


def latencies(bench: Bench) -> dict[str, list[float]]:
    """Seconds of each candidate; they take turns, after a round that is thrown away."""
    candidates: dict[str, Callable[[], float]] = {
        "script step": bench.script,
        "SQL step": bench.query,
        "`python -c pass`": lambda: bench.python("pass"),
        "fresh `python` with pandas": lambda: bench.python(FRESH),
    }
    found: dict[str, list[float]] = {what: [] for what in candidates}
    for turn in range(ROUNDS + 1):
        for what, measure in candidates.items():
            if what.startswith("fresh") and turn > ROUNDS_OF_A_FRESH_PYTHON:
                continue
            time.sleep(PAUSE)
            seconds = measure()
            if turn:
                found[what].append(seconds)
    return found


def runs_per_second(measure: Callable[[], float], runs: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda _: measure(), range(runs)))
    return runs / (time.perf_counter() - began)


def waiting_children(zygote: int | None) -> list[float]:
    """Private dirty MiB of each child of the zygote."""
    pids = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    found = []
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        found.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) / 1024)
    return found


def quantile(seconds: list[float], share: float) -> float:
    """The fewest milliseconds that this share of the values does not exceed: the nearest rank."""
    return 1000 * sorted(seconds)[math.ceil(share * len(seconds)) - 1]


if __name__ == "__main__":
    main()
