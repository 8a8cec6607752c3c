"""The query step: DuckDB reads the input where it lies and writes the result itself, past Python."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from runner.core.check import CheckTarget
from runner.core.job import Step
from runner.core.references import WHOLE_FACTS, ReferenceSyntaxError
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepOrder
from runner.execution.steps.cells import guard_of
from runner.execution.steps.content import QueryContent
from runner.execution.steps.csv_tables import csv_texts
from runner.execution.steps.faults import StepError, disk_error, memory_error
from runner.execution.steps.outputs import Written, attachment_path, result_path
from runner.execution.steps.query_columns import QueryColumn, describe
from runner.execution.steps.query_faults import query_failure
from runner.execution.steps.query_text import PREFIX, bind_references, without_end
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.relations import (
    input_failure,
    is_input_failure,
    open_relations,
    parquet_failure,
    stage,
)
from runner.execution.steps.staged import Relation
from runner.execution.steps.typed import STRING, types_of
from runner.execution.steps.writing import copy_statement

_SPILL_DIR = "spill"
_LARGEST_SPILL = "64GiB"
# No source can be called so: its name has no space.
_RESULT_TABLE = quote_name("the result")
Value = int | float | str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The inputs of a step as views of a confined connection. Of `counts`, the rows of each, one is None where
    counting costs too much."""

    connection: duckdb.DuckDBPyConnection
    relations: tuple[Relation, ...]
    counts: tuple[int | None, ...]

    @property
    def rows(self) -> int | None:
        """The rows of all; None where they were not counted."""
        return None if None in self.counts else sum(count or 0 for count in self.counts)

    @property
    def without_columns(self) -> tuple[str, ...]:
        """The names of those that have no records, and so no columns."""
        sources = (relation.source for relation in self.relations)
        return tuple(
            source.name
            for source, count in zip(sources, self.counts, strict=True)
            if count == 0 and not source.format.names_columns_always
        )

    def content(self, name: str) -> QueryContent:
        """One of them; its rows are not counted.

        Raises:
            StepError: kind FETCH, it is not what the job says it is.
        """
        relation = next(one for one in self.relations if one.view == name)
        query = f"FROM {quote_name(name)}"
        try:
            columns = describe(self.connection, query, {})
        except duckdb.Error as error:
            raise input_failure(error, relation.source.format, [relation]) from error
        return QueryContent(
            connection=self.connection, columns=columns, source=_whole(columns, query), total_rows=0
        )


def open_inputs(connection: duckdb.DuckDBPyConnection, order: StepOrder) -> Inputs:
    """Make the views, and bind the connection to them for good.

    Raises:
        StepError: an input is not what the job says it is (kind FETCH), or needs too much memory (MEMORY).
    """
    relations = stage(order, connection)
    _confine(connection, order, [path for relation in relations for path in relation.files])
    return Inputs(connection=connection, relations=relations, counts=open_relations(connection, relations))


def run_query(inputs: Inputs, order: StepOrder) -> Written:
    """Run the query over the views and write its rows.

    Raises:
        StepError: the query is wrong (kind QUERY, with its place in the job file), needs more memory than there is
            (MEMORY) or more room on the disk (DISK), or the data is not what the job says (FETCH).
    """
    try:
        return _run(inputs.connection, order)
    except duckdb.OutOfMemoryException as error:
        raise _out_of_room(error) from error
    except duckdb.Error as error:
        full = disk_error(error)
        if full is not None:
            raise full from error
        if is_input_failure(error):
            raise input_failure(error, FileType.CSV, inputs.relations) from error
        damaged = parquet_failure(inputs.connection, error, inputs.relations)
        if damaged is not None:
            raise damaged from error
        raise query_failure(error, order.step, [relation.view for relation in inputs.relations]) from None


def pass_through(inputs: Inputs, order: StepOrder) -> Written:
    """Write a CSV or Parquet input, the first, as it is. The cells of a CSV keep their very text: `007` stays
    `007`, and `1,5` stays that whatever its decimal sign; the types of its columns show in other forms.

    Raises:
        StepError: as `run_query`.
    """
    relation = inputs.relations[0]
    first = f"FROM {quote_name(relation.view)}"
    try:
        columns = describe(inputs.connection, first, {})
        origin = first
        if relation.source.format is FileType.CSV:
            kinds = types_of(relation.source.table)
            typed = [column for column in columns if kinds.get(column.name, STRING) != STRING]
            if typed:
                # Only what is counted is looked at: the texts that are written have no type.
                counted = ", ".join(f"count({quote_name(column.name)})" for column in typed)
                inputs.connection.execute(f"SELECT {counted} {first}").fetchall()
            names = ", ".join(quote_name(column.name) for column in columns)
            origin = f"SELECT {names} FROM {csv_texts(relation)}"  # noqa: S608 - quoted
        rows = _copy(inputs.connection, order, columns, origin, {})
    except duckdb.OutOfMemoryException as error:
        raise _out_of_room(error) from error
    except duckdb.Error as error:
        full = disk_error(error)
        if full is not None:
            raise full from error
        damaged = parquet_failure(inputs.connection, error, [relation])
        raise damaged or input_failure(error, relation.source.format, [relation]) from error
    return _written(inputs.connection, columns, first, rows=rows)


def _confine(connection: duckdb.DuckDBPyConnection, order: StepOrder, files: Sequence[str]) -> None:
    """The inputs and the results are the only files, and the settings are final; see also `open_database`."""
    spill = os.path.join(order.run_dir, _SPILL_DIR)  # noqa: PTH118 - text in, text out
    paths = ", ".join(quote_text(path) for path in (*files, result_path(order), attachment_path(order)) if path)
    # Part of the bound is left to what DuckDB does not count: the interpreter, reading buffers.
    memory = max(min(order.memory_mb * 8 // 10, order.memory_mb - 80), 32)
    settings = (
        f"SET memory_limit = '{memory}MiB'",
        f"SET temp_directory = {quote_text(spill)}",
        f"SET max_temp_directory_size = '{_LARGEST_SPILL}'",
        f"SET TimeZone = {quote_text(order.timezone)}",
        f"SET allowed_paths = [{paths}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    )
    connection.execute("; ".join(settings))


def _run(connection: duckdb.DuckDBPyConnection, order: StepOrder) -> Written:
    facts = _values(order)
    kept = f"FROM {_RESULT_TABLE}"
    *before, last = _statements(connection, order.step)
    for statement, names in before:
        connection.execute(statement, _bound(facts, names))
    query, names = last
    values = _bound(facts, names)
    if _is_in_parts(connection, query):
        # PIVOT is several statements inside, and COPY of it counts nothing.
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_RESULT_TABLE} AS {query}", values)
        query, values = kept, {}
    columns = describe(connection, query, values)
    if _is_read_again(order) and query != kept:
        # Run once: it may take long, or answer otherwise the second time.
        whole = _whole(columns, query)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_RESULT_TABLE} AS FROM {whole}", values)
        query, values = kept, {}
    rows = _copy(connection, order, columns, query, values)
    return _written(connection, columns, query, rows=rows)


def _is_read_again(order: StepOrder) -> bool:
    """Whether the result is looked at after it has been written."""
    checked = any(check.on is CheckTarget.RESULT for check in order.checks)
    return checked or order.chart is not None or attachment_path(order) is not None


def _whole(columns: Sequence[QueryColumn], query: str) -> str:
    """A query as a table expression whose columns are c0, c1, …"""
    return f"({query}\n) AS whole({', '.join(column.key for column in columns)})"


def _copy(
    connection: duckdb.DuckDBPyConnection,
    order: StepOrder,
    columns: Sequence[QueryColumn],
    query: str,
    values: Mapping[str, Value],
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
    rows: int,
) -> Written:
    content = QueryContent(connection=connection, columns=columns, source=_whole(columns, query), total_rows=rows)
    return Written(rows_out=rows, numeric=tuple(column.numeric for column in columns), content=content)


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
        query = "\n" * line + without_end(statement.query.strip())
        statements.append((query, frozenset(statement.named_parameters)))
        position += len(statement.query.strip())
    return statements


def _is_in_parts(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    return any(statement.type is duckdb.StatementType.MULTI for statement in connection.extract_statements(query))


def _values(order: StepOrder) -> dict[str, Value]:
    """The facts of the run as parameters. The cursor is a number or a text as it is, NULL where there is none; a
    text is compared with dates and times as one of them."""
    facts: dict[str, Value] = {
        PREFIX + name: int(value) if name in WHOLE_FACTS else value for name, value in order.facts
    }
    return facts | {f"{PREFIX}cursor": order.cursor}


def _bound(facts: Mapping[str, Value], names: Iterable[str]) -> dict[str, Value]:
    """The parameters that a statement has.

    Raises:
        StepError: kind QUERY, one is no fact of the run.
    """
    wrong = sorted(set(names) - set(facts))
    if wrong:
        known = ", ".join(f"${{run:{name.removeprefix(PREFIX)}}}" for name in facts)
        raise StepError(
            FailureKind.QUERY,
            f"the query has the parameter ${wrong[0]}, and nothing to put there",
            hint=f"There are {known}.",
        )
    return {name: facts[name] for name in names}


def _out_of_room(error: duckdb.Error) -> StepError:
    if "max_temp_directory_size" not in str(error):
        return memory_error()
    return StepError(
        FailureKind.DISK,
        f"the query needs more than {_LARGEST_SPILL} beside its memory",
        hint="Let it sort, group or join less, or raise `resources.memory_mb` in the job file.",
    )
