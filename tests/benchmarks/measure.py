"""Measure `runner` beside its peers in one run and print the table of README.md. Run by hand:

npm install --prefix /tmp/ajv ajv-cli && export AJV_BIN=/tmp/ajv/node_modules/.bin
.venv/bin/pip install '.[bench]' && .venv/bin/python tests/benchmarks/measure.py
"""

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).resolve().parents[2]
JOBS = 1000
MANY = 10_000
ROUNDS = 5

GOOD_JOB = """\
job_name: report_{number:05d}
description: Report number {number}
schedule_time: "{minute} {hour} * * 1-5"
timezone: Europe/Berlin
data_source:
  source_type: file
  location: ./input.csv
  file_type: csv
processing_script: |
  kept = data[data["amount"] > {number}]
  result = kept.groupby("category").sum()
consumer_emails:
  - analyst{number}@example.com
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        rows = [*validate_rows(folder), *start_rows(folder), *small_rows(folder)]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, medians of {ROUNDS} whole-process runs.\n")
    print("| what | tool | median | against runner |")
    print("| --- | --- | ---: | ---: |")
    for what, tool, seconds, base in rows:
        print(f"| {what} | {tool} | {seconds * 1000:,.0f} ms | {seconds / base:.1f} × |")


def make_project(folder: Path) -> None:
    make_jobs(folder, JOBS)
    (folder / "one.yaml").write_text(GOOD_JOB.format(number=0, minute=0, hour=0))
    jobs = "\n".join(
        f'  - name: report_{number:05d}\n    command: "true"\n    schedule: "{number % 60} {number % 24} * * 1-5"'
        for number in range(JOBS)
    )
    web = "web:\n  listen:\n    - http://127.0.0.1:{port}\n"
    (folder / "cronstable.yaml").write_text(web.replace("{port}", "18411") + f"jobs:\n{jobs}\n")


def make_jobs(folder: Path, count: int) -> None:
    (folder / "jobs.d").mkdir()
    (folder / "input.csv").write_text("category,amount\na,1\n")
    for number in range(count):
        text = GOOD_JOB.format(number=number, minute=number % 60, hour=number % 24)
        (folder / "jobs.d" / f"report_{number:05d}.yaml").write_text(text)


def validate_rows(folder: Path):
    """10,000 good files. The rival in speed is ajv-cli, which checks the schema alone, in Node.js."""
    large = folder / "large"
    large.mkdir()
    make_jobs(large, MANY)
    schema = REPOSITORY / "schemas" / "job.schema.json"
    files = [str(path) for path in sorted((large / "jobs.d").iterdir())]
    time.sleep(2.5)  # files younger than that are read again, as git does it
    candidates = {
        "runner validate --no-cache (schema and meaning)": lambda: command(
            large, BIN / "runner", "validate", "--no-cache"
        ),
        "runner validate, nothing changed since": lambda: command(large, BIN / "runner", "validate"),
        "check-jsonschema (schema alone)": lambda: command(
            large, BIN / "check-jsonschema", "--schemafile", str(schema), *files
        ),
    }
    ajv = shutil.which("ajv", path=f"{os.environ.get('AJV_BIN', '')}:{os.environ['PATH']}")
    if ajv:
        candidates["ajv-cli (schema alone)"] = lambda: command(
            large, ajv, "validate", "--spec=draft2020", "--strict=false", "-s", str(schema), "-d", "jobs.d/*.yaml"
        )
    else:
        print("ajv-cli is not installed: no row for it", file=sys.stderr)
    rows = table(f"check {MANY:,} good files", interleaved(candidates, rounds=3))
    smaller = interleaved(
        {
            "runner validate --no-cache (schema and meaning)": lambda: command(
                folder, BIN / "runner", "validate", "--no-cache"
            ),
            "cronstable -v (its own format)": lambda: command(
                folder, BIN / "cronstable", "-v", "-c", "cronstable.yaml"
            ),
        }
    )
    return [*rows, *table(f"check {JOBS:,} jobs", smaller)]


def start_rows(folder: Path):
    timings = interleaved(
        {
            "runner start": lambda: until_answers(
                folder, [BIN / "runner", "start"], "http://127.0.0.1:18410/readyz"
            ),
            "cronstable": lambda: until_answers(
                folder, [BIN / "cronstable", "-c", "cronstable.yaml"], "http://127.0.0.1:18411/status"
            ),
        }
    )
    return table(f"start with {JOBS:,} jobs until ready to fire", timings)


def small_rows(folder: Path):
    timings = interleaved(
        {
            "runner validate --help": lambda: command(folder, BIN / "runner", "validate", "--help"),
            "check-jsonschema --help": lambda: command(folder, BIN / "check-jsonschema", "--help"),
        },
        rounds=15,
    )
    one = interleaved(
        {
            "runner validate one.yaml": lambda: command(folder, BIN / "runner", "validate", "one.yaml"),
            "check-jsonschema one.yaml": lambda: command(
                folder,
                BIN / "check-jsonschema",
                "--schemafile",
                str(REPOSITORY / "schemas" / "job.schema.json"),
                "one.yaml",
            ),
        },
        rounds=15,
    )
    return [*table("help", timings), *table("check one file", one)]


def interleaved(candidates: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Medians in seconds; the candidates take turns, after one round that is thrown away."""
    timings: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, measure in candidates.items():
            seconds = measure()
            if turn:
                timings[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in timings.items()}


def table(what: str, timings: dict[str, float]) -> list[tuple[str, str, float, float]]:
    base = next(iter(timings.values()))
    return [(what, tool, seconds, base) for tool, seconds in timings.items()]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "STATUS_PORT": "18410", "NO_COLOR": "1"}


def command(folder: Path, *arguments: Path | str) -> float:
    began = time.perf_counter()
    done = subprocess.run(arguments, cwd=folder, env=environment(), capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(
            f"{arguments[:4]} ended with {done.returncode}: {done.stdout[-500:]!r} {done.stderr[-500:]!r}"
        )
    return seconds


def until_answers(folder: Path, arguments: list[Path | str], url: str) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - began < 60:
            try:
                with urlopen(url, timeout=5):
                    return time.perf_counter() - began
            except (URLError, ConnectionError):
                time.sleep(0.005)
        raise SystemExit(f"{arguments[0]} did not answer at {url}")
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
