"""A sample job, done ahead of the real one: the first run of anything loads modules and touches pages.

What a child costs is, above all, the pages that it writes to: each is a copy of one of the zygote's. Python writes
where it only reads: into code that it adapts to its use and, where `execution.immortal` does not end that, into
the reference counts of what it uses. So the zygote rehearses until code changes no more, and lays the code of the
functions that were used side by side: half a thousand pages less for each child.
"""

import gc
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import NoReturn

import duckdb
import pandas as pd

from runner.core.job import Step, StepKind
from runner.core.references import run_facts
from runner.core.source import THE_SOURCE, FileType
from runner.execution.orders import FrameReader, StepInput, StepOrder, StepOutcome, decode, encode
from runner.execution.steps.cells import defuse
from runner.execution.steps.python import run_script
from runner.execution.steps.quoting import quote_text
from runner.execution.steps.writing import Column, copy_statement, read_preview, text_cells, write_frame

_SAMPLE = b"name,group,value,share,day\n" + b"".join(
    b"n%d,%s,%d,%d.5,2025-01-%02d\n" % (number, b"abc"[number % 3 : number % 3 + 1], number, number, number)
    for number in range(1, 29)
)
_COMMON = """
kept = data[data["value"] > 2]
result = kept.groupby("group")[["value", "share"]].sum()
"""
_MORE = """
kept["day"] = pd.to_datetime(kept["day"])
kept["month"] = kept["day"].dt.strftime("%Y-%m")
kept.merge(kept.groupby("group").agg(total=("value", "sum"), mean=("share", "mean")), on="group")
kept.sort_values("value").reset_index()
"""
_QUERY = 'SELECT "group", sum(value) AS total FROM read_csv({path}) GROUP BY ALL ORDER BY total'


# Python adapts code to its use in the first dozen calls.
_ROUNDS = 12
# Code that has been copied stays where it is: the gaps would be filled by each child anew.
_former: list[CodeType] = []


def rehearse_common() -> None:
    """What nearly every script does, for a child that waits: the pages that it touches are its own afterwards."""
    _rehearse_script(_COMMON)


def rehearse(database: duckdb.DuckDBPyConnection) -> None:
    """Both kinds of step, for the zygote, whose children share what is loaded."""
    frame = _rehearse_script(_COMMON + _MORE)
    with _memory_file() as path, _memory_file() as written:
        Path(path).write_bytes(_SAMPLE)
        connection = database.cursor()
        write_frame(lambda: connection, frame, written, guard=defuse, small=0)
        query = _QUERY.format(path=quote_text(path))
        connection.execute(f"DESCRIBE {query}").fetchall()
        columns = [
            Column(name="group", cells=text_cells("c0", guard=defuse), numeric=False),
            Column(name="total", cells="c1", numeric=True),
        ]
        copy = copy_statement(columns, f"({query}) AS whole(c0, c1)", written, guard=defuse)
        connection.execute(copy).fetchall()
        connection.close()
    for _ in range(_ROUNDS):
        rehearse_common()
    _lay_together(rehearse_common)
    for _ in range(_ROUNDS):
        rehearse_common()


def _lay_together(action: Callable[[], None]) -> None:
    """Give each function that an action calls a copy of its code: copies are made one behind the other."""
    used: dict[int, CodeType] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            # By identity: equal code may belong to functions of different files.
            used[id(frame.f_code)] = frame.f_code

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    _former.extend(used.values())
    copies = {place: code.replace() for place, code in used.items()}
    for one in gc.get_objects():
        if type(one) is FunctionType and id(one.__code__) in copies:
            one.__code__ = copies[id(one.__code__)]


def _rehearse_script(text: str) -> pd.DataFrame:
    """A script step whose result goes nowhere. It needs no file: it may run behind the system-call filter."""
    facts = run_facts(
        job_name="sample",
        run_id="sample",
        attempt=1,
        scheduled_time=datetime(2025, 1, 1, tzinfo=UTC),
        timezone="UTC",
    )
    order = StepOrder(
        run_id="sample",
        step=Step(kind=StepKind.SCRIPT, text=text, path="sample"),
        inputs=(StepInput(paths=(os.devnull,), format=FileType.CSV),),
        facts=tuple(facts.items()),
        run_dir=os.devnull,
    )
    reader = FrameReader()
    reader.feed(encode(order))
    decode(reader.next_frame() or b"", StepOrder)
    frame = run_script(order, {THE_SOURCE: pd.read_csv(io.BytesIO(_SAMPLE))})
    numeric = write_frame(_no_connection, frame, os.devnull, guard=defuse)
    preview = read_preview(os.devnull, rows=order.preview_rows, numeric=numeric, total_rows=len(frame))
    encode(StepOutcome(rows_in=1, rows_out=1, preview=preview))
    return frame


def _no_connection() -> NoReturn:
    raise AssertionError("a small table is written without DuckDB")


@contextmanager
def _memory_file() -> Iterator[str]:
    descriptor = os.memfd_create("sample")
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
