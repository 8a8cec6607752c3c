"""CSV as DuckDB reads it for a query: each line below the first is a row, and a column has a type that fits all.

Left to itself DuckDB looks for a table in a file: it passes over a title, over lines that begin with `#`, and over
all that stands before a last line of another length. It decides about types by the first 20,000 rows or so, and
rounds a fraction that comes later to a whole number; `01/02/2025` is the first of February to it. Here a file is a
table as a whole or an error, only what ISO 8601 writes is a date or a time, and types are found by all rows. Where
these are many, DuckDB's own sample decides, and a text further down that does not fit is refused.
"""

import codecs
import csv
import io
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

import duckdb

from runner.core.csv_cells import allow_long_cells
from runner.core.source import TableOptions
from runner.execution.orders import StepInput
from runner.execution.steps.faults import HEAD_BYTES, StepError, empty_csv, unreadable
from runner.execution.steps.packed import UNREADABLE, head_of, is_packed, open_text, write_utf8
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.staged import Relation, files_of, weight_of
from runner.execution.steps.table_files import names_hint, refuse_json, require_columns
from runner.execution.steps.twin_names import may_be_renamed, require_one_order
from runner.execution.steps.typed import checked_cell, has_offset, is_moment, sql_cell, sql_types, types_of

_STRICT = "header = true, quote = '\"', escape = '\"', skip = 0, comment = '', dateformat = '%Y-%m-%d'"
# All rows of so much text are looked at in some ten milliseconds.
_LIGHT = 8 << 20
_SAMPLE_ROWS = 20_000
_FIRST_ROWS = 2_000
# The time that DuckDB takes to plan a statement grows with the square of its expressions.
_ASKED_AT_ONCE = 200
# Each thread reads into a buffer of its own, which no setting of DuckDB counts, and which must hold a line.
_BUFFER, _SMALL_BUFFER = 32_000_000, 8_000_000
_LONGEST_LINE = _SMALL_BUFFER
_HEAD = 4096
_UTF8 = "utf-8-sig"
_LINES_LOOKED_AT = 200_000
_SMALL = 1 << 16
# What of the bytes of a file may be a number to DuckDB, and a text to others.
_ODD_NUMBER = re.compile(rb"(?i)(?<![0-9.])0[0-9a-z]|\b(?:inf(?:inity)?|nan)\b")
_AWARE = "TIMESTAMP WITH TIME ZONE"
_MOMENTS = frozenset({"DATE", "TIMESTAMP", _AWARE})
_WHOLE_TYPES = frozenset({"BIGINT", "HUGEINT", "BIGNUM"})
_NUMBERS = _WHOLE_TYPES | {"DOUBLE"}
# Without zeros in front, which would be lost: `02134` is no number.
_WHOLE = (r"\s*-?(0|[1-9][0-9]*)\s*", "whole numbers")
# Not `NO`, `F` and `yes`, which DuckDB takes for one too: a country, a sex, an answer.
_TRUTH = (r"(?i)\s*(true|false)\s*", "truth values")
# All that DuckDB takes for one, but for 1 and 0.
_TAKEN_FOR_TRUTH = r"(?i)\s*(true|false|t|f|yes|no|y|n)\s*"
# `inf` is a number to DuckDB behind others, and a text before them; what `0x1A` is, it finds out while it reads.
_NO_NUMBER = r"(?i)\s*[+-]?(inf(inity)?|0[xb].*)\s*"
# A gap says nothing.
_WHOLE_OR_NAN = r"(?i)\s*([+-]?([0-9]+|nan))?\s*"
# Between these, as texts, a number stands that is one to everybody.
_NUMBERS_BEGIN = (("1", ":"), ("0,", "0:"), ("-1", "-:"), ("-0,", "-0:"))
_DAY = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_OFFSET = "(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
# Types into which DuckDB would press a text of another one, without its zeros, its fraction, its day, its offset
# or what is finer than microseconds, or with an offset of its own: what a text of theirs looks like.
_GUARDED = {
    **dict.fromkeys(_WHOLE_TYPES, _WHOLE),
    "BOOLEAN": _TRUTH,
    "DATE": (rf"\s*{_DAY}\s*", "dates"),
    "TIME": (rf"\s*{_CLOCK}\s*", "times of a day"),
    "TIMESTAMP": (rf"\s*{_DAY}([T ]{_CLOCK})?\s*", "times without an offset"),
    _AWARE: (rf"\s*{_DAY}[T ]{_CLOCK}{_OFFSET}\s*", "times with an offset"),
}
# As most of them are written, for LIKE, which is quicker than a pattern: what reads as one, looks so and begins
# with a digit is one, but for the clock of a time without an offset.
_USUAL = {"DATE": "____-__-__", "TIMESTAMP": "____-__-_____:__:__", _AWARE: "____-__-_____:__:__Z"}


def stage_csv(source: StepInput, path: str, target: str) -> str:
    """The file that DuckDB reads: the input, or a copy of it at `target`, where that is in another encoding,
    begins with blank lines, or has a byte order mark before a name that it would cut off.

    Raises:
        StepError: kind FETCH, it is empty, or no text in that encoding.
    """
    table = source.table
    refuse_json(path)
    try:
        with open_text(path, _codec(table)) as file:
            head = file.read(_HEAD)
            begin = _without_blank_lines(head, table)
            while not begin.strip():
                begin = file.read(_HEAD)
                if not begin:
                    raise empty_csv()
                begin = _without_blank_lines(begin, table)
            is_marked = head_of(path, len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
            is_readable = begin == head and _codec(table) == _UTF8
            if is_readable and (not is_marked or _is_read_behind_mark(begin, table)):
                return path
            write_utf8(begin, file, target)
    except UNREADABLE as error:
        raise unreadable("CSV", str(error), head=head_of(path, HEAD_BYTES)) from error
    return target


def line_end_of(source: StepInput, path: str) -> str:
    """How the lines of a CSV in UTF-8 end, where a column name has a line break in it: DuckDB takes the first one
    that it sees for the end of all lines. Elsewhere empty."""
    names, text = _names_in(head_of(path, _SMALL).decode(errors="replace"), source.table)
    if not any("\n" in name or "\r" in name for name in names):
        return ""
    return next((end for end in ("\r\n", "\n", "\r") if text.endswith(end)), "")


def csv_texts(relation: Relation) -> str:
    """SQL for the rows of a CSV with each cell as its very text."""
    return _reader(relation, "all_varchar = true")


def csv_rows(connection: duckdb.DuckDBPyConnection, relation: Relation, *, light_bytes: int = _LIGHT) -> str:
    """SQL for the rows of a CSV as a query sees them. The types are found now, and whoever reads it need not look
    for them again.

    Args:
        light_bytes: of so much text all rows are looked at for that.

    Raises:
        StepError: kind FETCH, a column that the job names is not there.
        duckdb.Error: it is no such CSV.
    """
    table = relation.source.table
    light = weight_of(relation.files) <= light_bytes
    looking = _reader(relation, *(["sample_size = -1"] if light else []), brief=True)
    found = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {looking}").fetchall()}
    if len(relation.files) > 1 and may_be_renamed(found):
        heads = (head_of(file, _SMALL).decode(_UTF8, errors="replace") for file in relation.files)
        require_one_order([[name.strip() for name in _names_in(head, table)[0]] for head in heads])
    require_columns(table, list(found))
    declared = types_of(table)
    kept = table.columns or tuple(found)
    texts = _typed_reader(relation, dict.fromkeys(found, "VARCHAR"), brief=True)
    types = {name: found[name] for name in kept if name not in declared}
    types |= dict.fromkeys(_misread(connection, relation, texts, types, light=light), "VARCHAR")
    guarded = {} if light else {name: kind for name, kind in types.items() if kind in _GUARDED}
    # Longer than all names, so none of them.
    values = {name: f"{name} {'_' * max(map(len, found))}" for name in guarded}
    cells = []
    for name in kept:
        if name in guarded:
            cells.append(_guarded_cell(name, guarded[name], quote_name(values[name])))
        else:
            kind = declared.get(name)
            aware = kind is not None and is_moment(kind) and is_aware(connection, texts, name)
            cells.append(sql_cell(name, kind, aware=aware))
    plain = {name: kind for name, kind in types.items() if name not in guarded}
    rows = _typed_reader(relation, {**dict.fromkeys(found, "VARCHAR"), **plain, **sql_types(declared)})
    if guarded:
        parsed = (
            f"TRY_CAST({quote_name(name)} AS {kind}) AS {quote_name(values[name])}"
            for name, kind in guarded.items()
        )
        rows = f"(SELECT *, {', '.join(parsed)} FROM {rows})"  # noqa: S608 - quoted
    return f"SELECT {', '.join(cells)} FROM {rows}"  # noqa: S608 - quoted


def no_table(relation: Relation) -> StepError:
    """DuckDB finds no table in the files of a relation: the first line tells why that has more or fewer fields
    than the column names."""
    hints = (names_hint(path, relation.source.table.delimiter) for path in relation.source.paths)
    return unreadable("CSV", _fault_in(relation), hint=next(filter(None, hints), ""))


def _fault_in(relation: Relation) -> str:
    for path in relation.source.paths:
        name = os.path.basename(path)  # noqa: PTH119 - `path` is text
        with suppress(*UNREADABLE, csv.Error):
            fault = _ragged_line(path, relation.source.table)
            if fault:
                return f"{name}: {fault}"
    names = ", ".join(os.path.basename(path) for path in relation.source.paths[:3])  # noqa: PTH119
    return f"{names}: quotes or line ends are mixed, or it is no table"


def _codec(table: TableOptions) -> str:
    name = codecs.lookup(table.encoding).name
    return _UTF8 if name == "utf-8" else name


def _without_blank_lines(text: str, table: TableOptions) -> str:
    """A text from its first line on that is not blank."""
    spaces = " " if table.delimiter == "\t" else " \t"
    return re.sub(rf"\A([{spaces}]*[\r\n])+", "", text)


def _names_in(text: str, table: TableOptions) -> tuple[list[str], str]:
    """The column names at the beginning of a CSV, and all text of theirs."""
    lines = io.StringIO(text, newline="")
    names: list[str] = []
    with suppress(csv.Error):
        names = next(csv.reader(lines, delimiter=table.delimiter), names)
    return names, text[: lines.tell()]


def _is_read_behind_mark(text: str, table: TableOptions) -> bool:
    """Whether DuckDB sees where the first name ends, though a byte order mark stands before its quotes."""
    names, _ = _names_in(text, table)
    return not names or not any(letter in names[0] for letter in (table.delimiter, *'"\r\n'))


def _reader(relation: Relation, *more: str, brief: bool = False) -> str:
    """A call of DuckDB's reader. `brief`: few rows are looked at, which a large buffer is not worth."""
    table = relation.source.table
    options = [_STRICT, f"max_line_size = {_LONGEST_LINE}", f"delim = {quote_text(table.delimiter)}", *more]
    if relation.line_end:
        escaped = relation.line_end.replace("\r", r"\r").replace("\n", r"\n")
        options.append(f"new_line = '{escaped}'")
    if table.decimal != ".":
        options.append(f"decimal_separator = {quote_text(table.decimal)}")
    options.append(f"buffer_size = {_SMALL_BUFFER if brief or relation.sparing else _BUFFER}")
    return f"read_csv({files_of(relation)}, {', '.join(options)})"


def _typed_reader(relation: Relation, types: Mapping[str, str], *, brief: bool = False) -> str:
    """The reader of columns that are known. A single file is not looked at before it is read, then; of several,
    each may have other columns."""
    known = f"{{{', '.join(f'{quote_text(name)}: {quote_text(kind)}' for name, kind in types.items())}}}"
    if len(relation.files) == 1:
        return _reader(relation, "auto_detect = false", f"columns = {known}", brief=brief)
    return _reader(relation, f"types = {known}", brief=brief)


def _may_have_odd_numbers(relation: Relation) -> bool:
    """Whether a number may be written as `007`, `0x1A` or `inf`: of a small file its bytes tell, in no time."""
    if weight_of(relation.files) > _SMALL or any(map(is_packed, relation.files)):
        return True
    return any(_ODD_NUMBER.search(head_of(file, _SMALL)) for file in relation.files)


def _misread(
    connection: duckdb.DuckDBPyConnection, relation: Relation, texts: str, types: Mapping[str, str], *, light: bool
) -> list[str]:
    """The columns of which DuckDB takes texts for values that they are to nobody else."""
    several = len(relation.files) > 1
    asked_of = {name: _doubt(quote_name(name), kind, several=several) for name, kind in types.items()}
    doubts = {name: doubt for name, doubt in asked_of.items() if doubt}
    if not doubts:
        return []
    numbers = not several and _NUMBERS.issuperset(types[name] for name in doubts)
    if numbers and not _may_have_odd_numbers(relation):
        return []
    rows = texts if light else f"(FROM {texts} LIMIT {_SAMPLE_ROWS})"
    names, wrong = list(doubts), []
    for begin in range(0, len(names), _ASKED_AT_ONCE):
        some = names[begin : begin + _ASKED_AT_ONCE]
        asked = ", ".join(f"count_if({doubts[name]})" for name in some)
        (counts,) = connection.execute(f"SELECT {asked} FROM {rows}").fetchall()  # noqa: S608 - quoted
        found = [name for name, count in zip(some, counts, strict=True) if count]
        floats = [name for name in some if types[name] == "DOUBLE" and name not in found]
        wrong += found + _long_beside_nan(connection, floats, rows)
    return wrong


def _long_beside_nan(connection: duckdb.DuckDBPyConnection, names: Sequence[str], rows: str) -> list[str]:
    """Those of the columns of floats that have whole numbers and `NaN` alone, and more digits than a float keeps:
    without `NaN` they would be whole numbers to DuckDB. Mostly the first rows have a fraction, which tells."""
    for some in (f"(FROM {rows} LIMIT {_FIRST_ROWS})", rows):
        if not names:
            break
        last = some == rows
        asked = ", ".join(_whole_but_nan(quote_name(name), long=last) for name in names)
        (found,) = connection.execute(f"SELECT {asked} FROM {some}").fetchall()  # noqa: S608 - quoted
        names = [name for name, holds in zip(names, found, strict=True) if holds or (holds is None and not last)]
    return list(names)


def _whole_but_nan(column: str, *, long: bool) -> str:
    """SQL over all texts of a column. `long`: whether one has as many digits as no float keeps is asked, too."""
    whole = f"bool_and(regexp_full_match({column}, '{_WHOLE_OR_NAN}'))"
    return f"{whole} AND bool_or(regexp_matches({column}, '[0-9]{{16}}'))" if long else whole


def _doubt(column: str, kind: str, *, several: bool) -> str | None:
    """SQL for whether a text that DuckDB takes for a value of a type is something else; None where none is.

    Args:
        several: of several files one may have truth values, where another has numbers: to DuckDB all are numbers.
            Where one has times of a day, or whole numbers of any length, so is what another has.
    """
    if kind == "TIME" or (kind == "BIGNUM" and several):
        return f"NOT regexp_full_match({column}, '{_GUARDED[kind][0]}')"
    if kind in _MOMENTS:
        other = f"NOT regexp_full_match({column}, '{_GUARDED[kind][0]}')"
        return f"CASE WHEN {_looks_usual(column, kind)} THEN false ELSE {other} END"
    if kind == "BOOLEAN":
        return f"NOT regexp_full_match({column}, '{_TRUTH[0]}')"
    if kind in _WHOLE_TYPES:
        # `0x1A`, `0b1`, `-007`: none begins with another digit, which is told sooner than by a pattern. By CASE:
        # of AND both sides are worked out.
        other = f"NOT regexp_full_match({column}, '{_WHOLE[0]}')"
        return f"CASE WHEN {column} >= '1' AND {column} < ':' THEN false ELSE {other} END"
    if kind == "DOUBLE":
        # As above. Most numbers are told so: also a zero before its point or comma, and those behind a minus.
        usual = " OR ".join(f"{column} >= '{first}' AND {column} < '{end}'" for first, end in _NUMBERS_BEGIN)
        forms = [_NO_NUMBER, *([_TAKEN_FOR_TRUTH] if several else [])]
        other = " OR ".join(f"regexp_full_match({column}, '{form}')" for form in forms)
        return f"CASE WHEN {usual} THEN false ELSE {other} END"
    return None


def _looks_usual(column: str, kind: str) -> str:
    """SQL for whether a text looks as most dates or times do. Years before the year 1, and those of three digits
    behind a space, take as much room."""
    return f"{column} LIKE '{_USUAL[kind]}' AND {column} >= '0' AND {column} < ':'"


def _guarded_cell(name: str, kind: str, value: str) -> str:
    """SQL for a cell whose text DuckDB has made `value` of. A text that is written as usual has lost nothing: so
    are most, and it is told sooner than by a pattern."""
    form, words = _GUARDED[kind]
    column = quote_name(name)
    same = f"CAST({value} AS VARCHAR) = {column}"
    if kind in _USUAL:
        # DuckDB has texts of its own for days without end and long ago.
        same = f"{_looks_usual(column, kind)} AND {value} IS NOT NULL"
    if kind == "TIMESTAMP":
        # Of `10:2 :30` it takes the minutes, and of `10:20:3Z` no offset.
        same += f" AND ends_with({column}, CAST(TRY_CAST({value} AS TIME) AS VARCHAR))"
    return checked_cell(
        name,
        f"CASE WHEN regexp_full_match({column}, '{form}') THEN {value} END",
        f"and {words} in the rows before it: name its type in `dtypes`",
        usual=f"WHEN {same} THEN {value}",
    )


def is_aware(connection: duckdb.DuckDBPyConnection, texts: str, name: str) -> bool:
    """Whether the times of a column have an offset: as the first one has."""
    column = quote_name(name)
    # Neither says anything: an empty cell is a gap, and days without end are times of either kind.
    nothing = "('', 'infinity', '-infinity')"
    query = f"SELECT {column} FROM {texts} WHERE trim({column}) NOT IN {nothing} LIMIT 1"  # noqa: S608 - quoted
    return any(has_offset(text) for (text,) in connection.execute(query).fetchall())


def _ragged_line(path: str, table: TableOptions) -> str:
    """What is wrong with the first line that has not as many fields as the first one; empty where all have."""
    allow_long_cells()
    with open_text(path, _codec(table)) as file:
        reader = csv.reader(file, delimiter=table.delimiter)
        expected, trailing = 0, ""
        for row in itertools.islice(reader, _LINES_LOOKED_AT):
            if not "".join(row).strip() and len(row) <= 1:
                continue
            expected = expected or len(row)
            if len(row) != expected:
                fault = f"Expected {expected} fields in line {reader.line_num}, saw {len(row)}"
                if len(row) != expected + 1 or row[-1]:
                    return fault
                # A delimiter at the end of each line would be no fault.
                trailing = trailing or fault
    return trailing
