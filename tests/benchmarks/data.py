"""Measure how fast, and in how much memory, a step moves data, beside the bare library. Run by hand:

.venv/bin/pip install . && .venv/bin/python tests/benchmarks/data.py
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from runner.core.job import Step, StepKind
from runner.core.source import FileType
from runner.execution.orders import StepInput, StepOrder
from runner.execution.zygote import Zygote

ROWS = 10_000_000
RECORDS = 1_000_000
MIB = 1 << 20

# `python -c` is a session of somebody who looks on, to DuckDB.
QUIET = "SET enable_progress_bar = false"
MAKE = f"""
import duckdb
duckdb.execute('''
{QUIET};
COPY (SELECT i AS id, 'c' || (i * 7919 % 500) AS category, i % 1000 AS amount, i % 977 * 0.25 AS price
      FROM range({ROWS}) AS t(i)) TO 'rows.csv' (HEADER);
CREATE TABLE records AS SELECT i AS id, 'name ' || i AS name, 'c' || (i % 500) AS category, (i % 977 * 0.25)::DOUBLE AS price,
      i % 3 = 0 AS paid, '2025-01-' || lpad((1 + i % 28)::VARCHAR, 2, '0') AS day FROM range({RECORDS}) AS t(i);
COPY records TO 'records.parquet' (FORMAT parquet);
COPY records TO 'array.json' (FORMAT json, ARRAY true);
''')
with open('array.json') as array, open('body.json', 'w') as body:
    body.write('{{"status": "ok", "data": ' + array.read() + ', "next": null}}')
"""
GROUPED = "SELECT category, sum(amount) AS amount, avg(price) AS price FROM {} GROUP BY ALL ORDER BY category"
QUERY = GROUPED.format("data")
SCRIPT = 'result = data.groupby("category", as_index=False).agg({"amount": "sum", "price": "mean"})'

# Each peer prints the seconds of what is compared, without its imports, and its largest memory until then.
TIMED = """
import resource, time
{before}
began = time.perf_counter()
{work}
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
{after}
"""
BARE_QUERY = TIMED.format(
    before=f"import duckdb\nconnection = duckdb.connect()\nconnection.execute('{QUIET}')",
    work=f'connection.execute("""COPY ({GROUPED}) TO \'peer.csv\' (HEADER)""")'.format("'rows.csv'"),
    after="",
)
BARE_SCRIPT = TIMED.format(
    before="import pandas as pd",
    work=f"data = pd.read_csv('rows.csv')\n{SCRIPT}\nresult.to_csv('peer.csv', index=False)",
    after="",
)
TO_CSV = TIMED.format(
    before="import pandas as pd\nframe = pd.read_parquet('records.parquet')",
    work="frame.to_csv('peer.csv', index=False)",
    after="",
)
OUR_CSV = TIMED.format(
    before="""import os, pandas as pd
from runner.execution.steps.cells import defuse
from runner.execution.steps.database import open_database
from runner.execution.steps.writing import write_frame
database = open_database()
database.execute(f"SET threads = {os.cpu_count()}")
frame = pd.read_parquet('records.parquet')
"""
    f"database.execute('{QUIET}')",
    work="write_frame(lambda: database, frame, 'ours.csv', guard=defuse)",
    after="",
)
DIGEST = "print(list(frame.dtypes), pd.util.hash_pandas_object(frame, index=False).sum())"
BARE_JSON = TIMED.format(
    before="import json, pandas as pd",
    work="with open('body.json', encoding='utf-8') as file:\n    frame = pd.DataFrame(json.load(file)['data'])",
    after=DIGEST,
)
OUR_JSON = TIMED.format(
    before="""import os, pandas as pd
from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.reading import read_data
source = StepInput(paths=(os.path.abspath('body.json'),), format=FileType.JSON, records_path='data')""",
    work="frame = read_data(source)",
    after=DIGEST,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What one candidate took in one round: seconds, MiB of memory at its peak, and what else it said."""

    seconds: float
    peak: float
    said: str = ""


class Bench:
    """Runs candidates in a folder of data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.zygote = Zygote(sandbox_mode="strict", waiting=1)

    def peer(self, program: str) -> Taken:
        """A program in a fresh process."""
        out = self.folder / "said.txt"
        with out.open("w") as said:
            process = subprocess.Popen([sys.executable, "-c", program], cwd=self.folder, stdout=said)
            if process.wait():
                raise SystemExit(f"a peer failed: {program}")
        first, _, rest = out.read_text().partition("\n")
        seconds, peak = first.split()
        return Taken(seconds=float(seconds), peak=int(peak) / 1024, said=rest)

    def step(self, kind: StepKind, text: str, *, memory_mb: int = 8192) -> Taken:
        """A step in its sandbox, from the order to the outcome; its result becomes ours.csv."""
        self.count += 1
        run_dir = self.folder / f"run-{self.count}"
        run_dir.mkdir()
        order = StepOrder(
            run_id=run_dir.name,
            step=Step(kind=kind, text=text, path="jobs.d/benchmark.yaml"),
            inputs=(StepInput(paths=(str(self.folder / "rows.csv"),), format=FileType.CSV),),
            run_dir=str(run_dir),
            memory_mb=memory_mb,
        )
        time.sleep(0.3)
        with PeakMemory(self.zygote.pid or 0) as memory:
            began = time.perf_counter()
            outcome = self.zygote.run_step(order, cancelled=threading.Event())
            seconds = time.perf_counter() - began
        if outcome.failure:
            raise SystemExit(f"a step failed: {outcome.failure}")
        (run_dir / "result.csv").replace(self.folder / "ours.csv")
        return Taken(seconds=seconds, peak=memory.peak)


class PeakMemory:
    """The largest memory of any process below another one, looked at every 10 ms."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.01):
            for pid in Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split():
                try:
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                except OSError:
                    continue
                found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
                self.peak = max(self.peak, *(size / 1024 for size in found), 0.0)


def compare(rounds: int, ours: Callable[[], Taken], peer: Callable[[], Taken], same: Callable[[], bool]) -> str:
    """Both in turn: medians of seconds and peaks, and how they stand to each other."""
    taken: list[tuple[Taken, Taken]] = []
    for _ in range(rounds):
        taken.append((ours(), peer()))
        mine, theirs = taken[-1]
        if mine.said != theirs.said or not same():
            raise SystemExit(f"the values differ: {mine.said} {theirs.said}")
    seconds = [statistics.median(one[place].seconds for one in taken) for place in (0, 1)]
    peaks = [statistics.median(one[place].peak for one in taken) for place in (0, 1)]
    return (
        f"{seconds[0]:.2f} s | {seconds[1]:.2f} s | {seconds[0] / seconds[1]:.2f} × | "
        f"{peaks[0]:,.0f} MiB | {peaks[1]:,.0f} MiB | {peaks[0] / peaks[1]:.2f} ×"
    )


def same_tables(folder: Path) -> bool:
    """Whether ours.csv and peer.csv hold the same values; sums of floats may differ in the last place."""
    program = """
import pandas as pd
from pandas.testing import assert_frame_equal
assert_frame_equal(pd.read_csv('ours.csv'), pd.read_csv('peer.csv'), rtol=1e-12)
"""
    return subprocess.run([sys.executable, "-c", program], cwd=folder, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["query", "script", "csv", "json"], action="append")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        subprocess.run([sys.executable, "-c", MAKE], cwd=name, check=True)
        bench.zygote.start()
        try:
            print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {ROWS:,} rows are ", end="")
            print(f"{(bench.folder / 'rows.csv').stat().st_size / MIB:.0f} MiB of CSV, ", end="")
            print(f"{RECORDS:,} records {(bench.folder / 'body.json').stat().st_size / MIB:.0f} MiB of JSON.\n")
            print("| what | runner | bare | time | runner | bare | memory |")
            print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
            for what, line in lines(bench, chosen.rounds, chosen.only or ["query", "script", "csv", "json"]):
                print(f"| {what} | {line} |", flush=True)
        finally:
            bench.zygote.close()


def lines(bench: Bench, rounds: int, chosen: list[str]) -> Iterator[tuple[str, str]]:
    """The comparisons that were chosen, one after the other."""

    def tables() -> bool:
        return same_tables(bench.folder)

    if "query" in chosen:
        bare = lambda: bench.peer(BARE_QUERY)  # noqa: E731
        large = compare(rounds, lambda: bench.step(StepKind.QUERY, QUERY), bare, tables)
        yield "SQL step, 10 M rows, grouped: DuckDB", large
        small = compare(rounds, lambda: bench.step(StepKind.QUERY, QUERY, memory_mb=256), bare, tables)
        yield "the same within `memory_mb: 256`", small
    if "script" in chosen:
        line = compare(
            rounds, lambda: bench.step(StepKind.SCRIPT, SCRIPT), lambda: bench.peer(BARE_SCRIPT), tables
        )
        yield "script step, 10 M rows, grouped: pandas", line
    if "csv" in chosen:
        line = compare(rounds, lambda: bench.peer(OUR_CSV), lambda: bench.peer(TO_CSV), tables)
        yield "result of 1 M rows to CSV: `to_csv`", line
    if "json" in chosen:
        line = compare(rounds, lambda: bench.peer(OUR_JSON), lambda: bench.peer(BARE_JSON), lambda: True)
        yield "API body of 1 M records to DataFrame: `json` and pandas", line


if __name__ == "__main__":
    main()
