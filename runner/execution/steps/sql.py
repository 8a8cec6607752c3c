"""The query step: DuckDB reads the input where it lies and writes the result itself, past Python."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import duckdb

from runner.core.job import Step
from runner.core.references import Reference, ReferenceKind, ReferenceSyntaxError, substitute
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepOrder
from runner.execution.results import ATTACHMENT_FILES, RESULT_FILE
from runner.execution.steps.cells import guard_of
from runner.execution.steps.content import Content, QueryContent
from runner.execution.steps.faults import StepError, memory_error
from runner.execution.steps.query_columns import QueryColumn, describe
from runner.execution.steps.quoting import quote_text
from runner.execution.steps.reading import frame_of, load_json, select_records, starts_with
from runner.execution.steps.writing import copy_statement

_RECORDS_FILE = "records.json"
_SPILL_DIR = "spill"
_RESULT_TABLE = "runner_result"
_CSV = "header = true, delim = ',', quote = '\"', escape = '\"'"
_CHEAP_TO_COUNT = 64 << 20
_WHOLE_FACTS = frozenset({"attempt", "scheduled_year", "scheduled_month", "scheduled_day"})
_PREFIX = "run_"
_PLACE = re.compile(r"\n\s*LINE (?P<line>\d+): (?P<text>.*)\n(?P<caret>\s*\^+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a step wrote: counts, which columns are numbers, and the table for other forms than CSV."""

    rows_in: int | None
    rows_out: int
    numeric: tuple[bool, ...]
    content: Content


def run_query(connection: duckdb.DuckDBPyConnection, order: StepOrder) -> Written:
    """Run the query over the view `data` and write its rows.

    Raises:
        StepError: the query is wrong (kind QUERY, with its place in the job file), needs more memory than there is
            (MEMORY), or the input is not what the job says (FETCH).
    """
    source = data_source(order)
    _confine(connection, order, source)
    rows_in = _open_data(connection, order, source)
    try:
        return _run(connection, order, rows_in)
    except duckdb.OutOfMemoryException as error:
        raise memory_error() from error
    except duckdb.Error as error:
        raise _query_failure(error, order.step) from None


def pass_through(connection: duckdb.DuckDBPyConnection, order: StepOrder) -> Written:
    """Write a CSV or Parquet input as it is. The cells of a CSV keep their very text: `007` stays `007`.

    Raises:
        StepError: as `run_query`.
    """
    source = data_source(order)
    _confine(connection, order, source)
    rows = _open_data(connection, order, source)
    try:
        columns = describe(connection, "SELECT * FROM data", {})
        origin = "FROM data"
        if order.format is FileType.CSV:
            origin = f"FROM read_csv({quote_text(source)}, {_CSV}, all_varchar = true)"
        written = _copy(connection, order, columns, origin, {})
    except duckdb.OutOfMemoryException as error:
        raise memory_error() from error
    except duckdb.Error as error:
        raise _input_failure(error, order.format) from error
    return _written(connection, columns, "FROM data", rows_in=written if rows is None else rows, rows_out=written)


def data_source(order: StepOrder) -> str:
    """The file that DuckDB reads: the input, or the records in it where they are not at its top.

    Raises:
        StepError: kind FETCH, there are no records in it.
    """
    if order.format is not FileType.JSON:
        return order.input_path
    if order.records_path is None and starts_with(order.input_path, b"["):
        return order.input_path
    records = select_records(load_json(order.input_path), order.records_path)
    path = os.path.join(order.run_dir, _RECORDS_FILE)  # noqa: PTH118 - text in, text out
    if isinstance(records, dict):
        records = frame_of(records).to_dict("records")
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(records, file)
    return path


def bind_references(text: str) -> str:
    """The query with `${run:scheduled_date}` as the parameter `$run_scheduled_date`.

    Raises:
        ReferenceSyntaxError: a `${…}` that is no reference to a fact of the run.
        ValueError: a reference inside a quoted text, where no parameter can stand.
    """
    bound = substitute(text, _parameter)
    if bound != text:
        tokens = [*duckdb.tokenize(bound), (len(bound), None)]
        for (start, kind), (end, _) in pairwise(tokens):
            if kind == duckdb.token_type.string_const and f"${_PREFIX}" in bound[start:end]:
                name = bound[start:end].partition(f"${_PREFIX}")[2]
                fact = re.match(r"\w*", name)
                raise ValueError(f"${{run:{fact[0] if fact else ''}}} stands inside quotes")
    return bound


def _parameter(reference: Reference) -> str:
    if reference.kind is not ReferenceKind.RUN:
        raise ReferenceSyntaxError(
            f"${{{reference.kind}:…}} cannot stand in a query: only ${{run:…}} can",
            reference.start,
            reference.end,
        )
    return f"${_PREFIX}{reference.name}"


def _confine(connection: duckdb.DuckDBPyConnection, order: StepOrder, source: str) -> None:
    """The input and the results are the only files, and the settings are final; see also `open_database`."""
    spill = os.path.join(order.run_dir, _SPILL_DIR)  # noqa: PTH118 - text in, text out
    paths = ", ".join(quote_text(path) for path in (source, result_path(order), attachment_path(order)) if path)
    # Part of the bound is left to what DuckDB does not count: the interpreter, reading buffers.
    memory = max(order.memory_mb * 8 // 10, 32)
    settings = (
        f"SET memory_limit = '{memory}MiB'",
        f"SET temp_directory = {quote_text(spill)}",
        f"SET TimeZone = {quote_text(order.timezone)}",
        f"SET allowed_paths = [{paths}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    )
    connection.execute("; ".join(settings))


def _open_data(connection: duckdb.DuckDBPyConnection, order: StepOrder, source: str) -> int | None:
    """Make the view `data`; answer with its number of rows where counting them is cheap."""
    path = quote_text(source)
    reader = {
        FileType.CSV: f"read_csv({path}, {_CSV})",
        FileType.JSON: f"read_json({path}, format = 'array')",
        FileType.NDJSON: f"read_json({path}, format = 'newline_delimited')",
        FileType.PARQUET: f"read_parquet({path})",
    }[order.format]
    try:
        connection.execute(f"CREATE TEMP VIEW data AS SELECT * FROM {reader}")  # noqa: S608 - quoted
        if order.format is not FileType.PARQUET and os.stat(source).st_size > _CHEAP_TO_COUNT:  # noqa: PTH116
            return None
        counted = connection.execute("SELECT count(*) FROM data").fetchone()
    except duckdb.OutOfMemoryException as error:
        raise memory_error() from error
    except (duckdb.Error, OSError) as error:
        raise _input_failure(error, order.format) from error
    return int(counted[0]) if counted else None


def _run(connection: duckdb.DuckDBPyConnection, order: StepOrder, rows_in: int | None) -> Written:
    facts = _values(dict(order.facts))
    kept = f"FROM {_RESULT_TABLE}"
    *before, last = _statements(connection, order.step)
    for statement, names in before:
        connection.execute(statement, {name: facts[name] for name in names})
    query, names = last
    values = {name: facts[name] for name in names}
    if _is_in_parts(connection, query):
        # PIVOT is several statements inside, and COPY of it counts nothing.
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_RESULT_TABLE} AS {query}", values)
        query, values = kept, {}
    columns = describe(connection, query, values)
    if attachment_path(order) and query != kept:
        # Run once: it may take long, or answer otherwise the second time.
        whole = _whole(columns, query)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_RESULT_TABLE} AS FROM {whole}", values)
        query, values = kept, {}
    written = _copy(connection, order, columns, query, values)
    return _written(connection, columns, query, rows_in=rows_in, rows_out=written)


def _whole(columns: Sequence[QueryColumn], query: str) -> str:
    """A query as a table expression whose columns are c0, c1, …"""
    return f"({query}\n) AS whole({', '.join(column.key for column in columns)})"


def _copy(
    connection: duckdb.DuckDBPyConnection,
    order: StepOrder,
    columns: Sequence[QueryColumn],
    query: str,
    values: Mapping[str, int | str],
) -> int:
    """Write the rows of a query as CSV; answers how many."""
    guard = guard_of(order.defuse_formulas)
    written = [column.csv(guard) for column in columns]
    copy = copy_statement(written, _whole(columns, query), result_path(order), guard=guard)
    return int(connection.execute(copy, dict(values)).fetchall()[0][0])


def _written(
    connection: duckdb.DuckDBPyConnection,
    columns: Sequence[QueryColumn],
    query: str,
    *,
    rows_in: int | None,
    rows_out: int,
) -> Written:
    content = QueryContent(
        connection=connection, columns=columns, source=_whole(columns, query), total_rows=rows_out
    )
    numeric = tuple(column.numeric for column in columns)
    return Written(rows_in=rows_in, rows_out=rows_out, numeric=numeric, content=content)


def _statements(connection: duckdb.DuckDBPyConnection, step: Step) -> list[tuple[str, frozenset[str]]]:
    """Each statement with its parameters, on the lines of the job file. The last one gives the result."""
    try:
        text = bind_references(step.text)
    except ReferenceSyntaxError as error:
        raise StepError(FailureKind.QUERY, str(error)) from None
    except ValueError as error:
        raise StepError(
            FailureKind.QUERY,
            str(error),
            hint="Write it without quotes, as in: WHERE day = ${run:scheduled_date}. It is bound as a parameter.",
        ) from None
    parsed = connection.extract_statements("\n" * (step.first_line - 1) + text)
    if not parsed:
        raise StepError(FailureKind.QUERY, "the query is empty", hint="Write a SELECT over `data`.")
    if parsed[-1].type not in {duckdb.StatementType.SELECT, duckdb.StatementType.MULTI}:
        raise StepError(
            FailureKind.QUERY,
            f"the last statement is {parsed[-1].type.name}, which gives no rows",
            hint="End the query with a SELECT: its rows are the result.",
        )
    statements = []
    position = 0
    for statement in parsed:
        found = text.find(statement.query.strip(), position)
        position = found if found >= 0 else position
        line = step.first_line - 1 + text.count("\n", 0, position)
        query = "\n" * line + statement.query.strip().rstrip(";").rstrip()
        statements.append((query, frozenset(statement.named_parameters)))
        position += len(statement.query.strip())
    return statements


def _is_in_parts(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    return any(statement.type is duckdb.StatementType.MULTI for statement in connection.extract_statements(query))


def _values(facts: Mapping[str, str]) -> dict[str, int | str]:
    return {_PREFIX + name: int(value) if name in _WHOLE_FACTS else value for name, value in facts.items()}


def result_path(order: StepOrder) -> str:
    """Where the result of a step lies."""
    return os.path.join(order.run_dir, RESULT_FILE)  # noqa: PTH118 - text in, text out


def attachment_path(order: StepOrder) -> str | None:
    """Where the result lies in the form that is attached; None where that is made of the CSV."""
    name = ATTACHMENT_FILES.get(order.attachment)
    return None if name is None else os.path.join(order.run_dir, name)  # noqa: PTH118


def _query_failure(error: duckdb.Error, step: Step) -> StepError:
    """DuckDB's own words; the place, where it names one in the user's text, as one in the job file."""
    text = str(error)
    found = _PLACE.search(text)
    if found is None:
        return StepError(FailureKind.QUERY, " ".join(text.split()))
    message = " ".join(text[: found.start()].split())
    line = int(found["line"])
    lines = step.text.split("\n")
    if not 0 <= line - step.first_line < len(lines):
        # The place is in the COPY around the query.
        return StepError(FailureKind.QUERY, message)
    mine = lines[line - step.first_line]
    place = f'File "{step.path}", line {line}\n    {mine}'
    column = _column(found, mine)
    if column is not None:
        place += f"\n    {' ' * column}{'^' * found['caret'].count('^')}"
    return StepError(FailureKind.QUERY, f"{message} ({step.path}, line {line})", traceback=place)


def _column(found: re.Match[str], mine: str) -> int | None:
    """Where DuckDB's caret stands in the user's own line: it shortens long lines, and may show our words too."""
    shown = found["text"]
    column = len(found["caret"]) - found["caret"].count("^") - len(f"LINE {found['line']}: ")
    if mine in shown:
        return max(column - shown.index(mine), 0)
    core = shown.removeprefix("...").removesuffix("...")
    if core in mine:
        return max(mine.index(core) + column - (len("...") if shown.startswith("...") else 0), 0)
    return None


def _input_failure(error: Exception, kind: FileType) -> StepError:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return StepError(
        FailureKind.FETCH,
        f"the data cannot be read as {kind.upper()}: {first}",
        hint="Look at the file: is it what `data_source` says it is?",
    )
