"""A sample job, done ahead of the real one: the first run of anything loads modules and touches pages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import pandas as pd

from runner.core.job import FileType, Step, StepKind
from runner.core.references import run_facts
from runner.execution.orders import StepOrder
from runner.execution.steps.python import run_script
from runner.execution.steps.quoting import quote_text
from runner.execution.steps.reading import read_data
from runner.execution.steps.writing import Column, copy_statement, text_cells, write_frame

_SAMPLE = b"name,group,value,share,day\n" + b"".join(
    b"n%d,%s,%d,%d.5,2025-01-%02d\n" % (number, b"abc"[number % 3 : number % 3 + 1], number, number, number)
    for number in range(1, 29)
)
_SCRIPT = """
kept = data[(data["value"] > 2) & data["name"].notna()].copy()
kept["day"] = pd.to_datetime(kept["day"])
kept["month"] = kept["day"].dt.strftime("%Y-%m")
kept.merge(kept.groupby("group").agg(total=("value", "sum"), mean=("share", "mean")), on="group")
result = kept.groupby("group")[["value", "share"]].sum().sort_values("value").reset_index()
"""
_QUERY = 'SELECT "group", sum(value) AS total FROM read_csv({path}) GROUP BY ALL ORDER BY total'


def rehearse_script() -> pd.DataFrame:
    """The script step without DuckDB: for the zygote, whose children then share what it loads."""
    facts = run_facts(
        job_name="sample",
        run_id="sample",
        attempt=1,
        scheduled_time=datetime(2025, 1, 1, tzinfo=UTC),
        timezone="UTC",
    )
    with _sample_file() as path:
        order = StepOrder(
            run_id="sample",
            step=Step(kind=StepKind.SCRIPT, text=_SCRIPT, path="sample"),
            input_path=path,
            format=FileType.CSV,
            facts=tuple(facts.items()),
            run_dir=os.devnull,
        )
        return run_script(order, pd.read_csv(order.input_path))


def rehearse(connection: duckdb.DuckDBPyConnection) -> None:
    """Both kinds of step, for a waiting child: what they write goes nowhere."""
    with _sample_file() as path, _sample_file() as written:
        write_frame(connection, rehearse_script(), written)
        read_data(connection, path, FileType.CSV, None)
        query = _QUERY.format(path=quote_text(path))
        connection.execute(f"DESCRIBE {query}").fetchall()
        columns = [
            Column(name="group", cells=text_cells("c0"), numeric=False),
            Column(name="total", cells="c1", numeric=True),
        ]
        connection.execute(copy_statement(columns, f"({query}) AS whole(c0, c1)", written)).fetchall()


@contextmanager
def _sample_file() -> Iterator[str]:
    """The sample as a file in memory: the sandbox is not closed yet."""
    descriptor = os.memfd_create("sample")
    try:
        os.write(descriptor, _SAMPLE)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
