"""CSV files and workbooks → a DataFrame, as the options of a table say.

Without options pandas decides about a CSV: the types of columns, and which texts are gaps. The cells of a workbook
have types: a text stays one, and only an empty cell is a gap, or one with the error `#N/A`; no other error is let
pass. A column that the job names a type of is read by the rules of `typed`. The first row names the columns.
"""

import re
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import time
from functools import partial
from typing import Any

import pandas as pd

from runner.core.source import TableOptions
from runner.execution.orders import StepInput
from runner.execution.steps.faults import (
    HEAD_BYTES,
    StepError,
    delimiter_hint,
    empty_csv,
    empty_sheet,
    memory_error,
    no_such_column,
    unreadable,
)
from runner.execution.steps.packed import UNREADABLE, head_of, open_bytes
from runner.execution.steps.places import each_file, of_input
from runner.execution.steps.sheet_names import sheet_names
from runner.execution.steps.typed import NUMBER, convert, require_numbers, types_of
from runner.execution.steps.whole_numbers import floats_that_lost_digits, keep_whole_numbers, read_whole_texts

_PLAIN = TableOptions()
_HEAD = 4096
# Records, or the whole of what holds none.
_JSON_START = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:(?:\[\s*)?\{\s*"|(?:\[\s*\]|\{\s*\})\s*(?![\s\S]))')
_JSON_HINT = "Let `data_source` say so: `json`, or `ndjson` where each line is a record of its own."
# As pandas calls what a column holds.
_TRUTH = "boolean"
_TYPED = frozenset({_TRUTH, "integer", "floating", "mixed-integer-float"})
_WITH_TIMES = frozenset({"time", "mixed", "mixed-integer"})
_OTHER_TEXT = "is in UTF-16, and UTF-8 is read"
_SAVE_HINT = "Open the workbook in a spreadsheet program and save it."
_OUT_OF_MEMORY = "C error: out of memory"
_FIELDS_LOST = "Length of header or names does not match"
# What pandas takes for a gap by itself, as its documentation of `read_csv` lists it: a column without a type keeps
# this list where another one has a list of its own.
_GAPS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def read_csv_files(source: StepInput, *, timezone: str) -> list[pd.DataFrame]:
    """One DataFrame for each file.

    Raises:
        StepError: kind FETCH, a file is no such CSV, or no file has a column that the job names.
    """
    each_file(source.paths, refuse_json)
    if source.table == _PLAIN:
        frames = each_file(source.paths, lambda path: _read_csv(path, {}))
        for frame in frames:
            read_whole_texts(frame, declared=(), gaps=_GAPS)
        return _with_texts(frames, [(path, {}) for path in source.paths])
    table = source.table
    options = {"sep": table.delimiter, "encoding": table.encoding, "decimal": table.decimal}
    types = types_of(table)
    # One row tells as well whether it has as many fields as there are names, which nobody says of chosen columns.
    first_row = {**options, "nrows": 1}
    heads = each_file(source.paths, lambda path: list(map(str, _read_csv(path, first_row).columns)))
    require_columns(table, [name for head in heads for name in head])
    frames, read = [], []
    for path, head in zip(source.paths, heads, strict=True):
        taken = [name for name in head if not table.columns or name in table.columns]
        kept = {name: kind for name, kind in types.items() if name in taken}
        # A float is read by the C parser: quick, and the decimal sign is known to it alone.
        dtypes = {name: "float64" if kind == NUMBER else "str" for name, kind in kept.items()}
        more: dict[str, Any] = {**options, "dtype": dtypes, **_gaps(head, kept)}
        if table.columns:
            # Of a file without one of them pandas would read no rows: those have gaps there.
            more["usecols"] = taken or [0]
        numbers = [name for name, kind in kept.items() if kind == NUMBER]
        texts = {name: kind for name, kind in kept.items() if kind != NUMBER}
        with of_input(path=path):
            frame = _read_numbers(path, more, numbers)
            if not taken:
                frame = frame[[]]
            read_whole_texts(frame, declared=types, gaps=_GAPS)
            frames.append(convert(frame, texts, timezone=timezone))
        read.append((path, more))
    return _with_texts(frames, read, declared=types)


def refuse_json(path: str) -> None:
    """A CSV begins with the names of its columns, and JSON in one line would be nothing but such names.

    Raises:
        StepError: kind FETCH, the file is JSON.
    """
    if _JSON_START.match(head_of(path, _HEAD)):
        raise unreadable("CSV", "it is JSON", hint=_JSON_HINT)


def names_hint(path: str, delimiter: str) -> str:
    """What to set where the first line of a CSV is one name to this delimiter, and not to another; else empty."""
    lines = head_of(path, _HEAD).decode(errors="replace").split("\n")
    names = next((line for line in lines if line.strip()), "").rstrip("\r")
    return delimiter_hint(names.split(delimiter))


def read_workbooks(source: StepInput, *, timezone: str, exact: bool = False) -> list[pd.DataFrame]:
    """One DataFrame for each workbook: the rows of its sheet. `exact`: small whole numbers beside gaps stay what
    they are, too.

    Raises:
        StepError: as `read_csv_files`.
    """
    table = source.table
    types = types_of(table)
    if not table.columns and not types:
        found = each_file(source.paths, lambda path: _inferred(_read_rows(path, table), exact=exact))
        return _not_empty(found)
    heads = each_file(source.paths, lambda path: list(_read_sheet(path, table, {"nrows": 0})[0].columns))
    if not any(heads):
        raise empty_sheet()
    require_columns(table, [name for head in heads for name in head])
    frames = []
    for path, head in zip(source.paths, heads, strict=True):
        kept = {name: kind for name, kind in types.items() if name in head}
        with of_input(path=path):
            cells = _read_rows(path, table)
        frame = _inferred(cells, exact=exact)
        for name in kept:
            # Times as inferred: days have no clock then. All else as it is: beside a gap a 7 is inferred as 7.0.
            column = frame[name] if frame[name].dtype.kind == "M" else cells[name]
            frame[name] = column.astype("str")
        if table.columns:
            frame = frame[[name for name in head if name in table.columns]]
        with of_input(path=path):
            frames.append(convert(frame, kept, timezone=timezone))
    return _not_empty(frames)


def sheet_read(path: str, table: TableOptions) -> str:
    """The name of the sheet that `read_workbooks` reads of a workbook, and raises as that does."""
    return _read_sheet(path, table, {"nrows": 0})[1]


def _inferred(cells: pd.DataFrame, *, exact: bool) -> pd.DataFrame:
    frame = cells.infer_objects()
    keep_whole_numbers(frame, lambda name: cells[name].where(cells[name].notna(), None).tolist(), exact=exact)
    return frame


def _not_empty(frames: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """The sheets that have a row at all.

    Raises:
        StepError: kind FETCH, none has.
    """
    found = [frame for frame in frames if not frame.columns.empty]
    if not found:
        raise empty_sheet()
    return found


def require_columns(table: TableOptions, known: Sequence[str]) -> None:
    """Refuse options that name columns which are not there.

    Raises:
        StepError: kind FETCH.
    """
    known = list(dict.fromkeys(known))
    asked = {"columns": table.columns, "dtypes": dict(table.dtypes), "parse_dates": table.parse_dates}
    for key, names in asked.items():
        missing = [name for name in names if name not in known]
        if missing:
            raise no_such_column(missing, known, asked_by=key)


def _gaps(head: Sequence[str], typed: dict[str, str]) -> dict[str, Any]:
    if not typed:
        return {}
    return {"keep_default_na": False, "na_values": {name: [""] if name in typed else _GAPS for name in head}}


def _with_digits(
    frames: list[pd.DataFrame], read: Sequence[tuple[str, dict[str, Any]]], *, declared: Collection[str] = ()
) -> list[pd.DataFrame]:
    """The frames with the digits of whole numbers that pandas has made floats of, which are looked up in the file.

    Args:
        read: the path of each and the options that it was read with.
    """
    lost = floats_that_lost_digits(frames, declared=declared)
    for frame, names, (path, options) in zip(frames, lost, read, strict=True):
        if names:
            cells = _texts_of(frame, names, path, options)
            keep_whole_numbers(frame, partial(_whole_cells, cells), exact=len(frames) > 1)
    return frames


def _with_texts(
    frames: list[pd.DataFrame], read: Sequence[tuple[str, dict[str, Any]]], *, declared: Collection[str] = ()
) -> list[pd.DataFrame]:
    """The frames, in which a column that has texts in one file, or truth values in one and numbers in another, has
    texts in each, as it would in a single file: the 12 of one would not be equal to that of the other. Else as
    `_with_digits`."""
    if len(frames) > 1:
        kinds = [
            {name: _kind_of(frame[name]) for name in frame.columns if name not in declared} for frame in frames
        ]
        mixed = {name for found in kinds for name in found if _is_mixed({one.get(name, "empty") for one in kinds})}
        for frame, found, (path, options) in zip(frames, kinds, read, strict=True):
            names = [name for name, kind in found.items() if name in mixed and kind in _TYPED]
            if names:
                frame[names] = _texts_of(frame, names, path, options)
    return _with_digits(frames, read, declared=declared)


def _is_mixed(kinds: set[str]) -> bool:
    """Whether one file has values of another kind than another in a column, of the kinds that are not texts."""
    typed = kinds & _TYPED
    return bool(typed) and ("string" in kinds or (_TRUTH in typed and typed != {_TRUTH}))


def _kind_of(column: pd.Series) -> str:
    return pd.api.types.infer_dtype(column, skipna=True) if column.notna().any() else "empty"


def _texts_of(frame: pd.DataFrame, names: list[str], path: str, options: dict[str, Any]) -> pd.DataFrame:
    """The texts of some columns of a frame that was read so."""
    places = [frame.columns.get_loc(name) for name in names]
    texts = {**options.get("dtype", {}), **dict.fromkeys(names, "str")}
    return _read_csv(path, {"usecols": places, **options, "dtype": texts})[names]


def _whole_cells(texts: pd.DataFrame, name: str) -> list[int | None]:
    """The whole numbers that the texts of a column are; nothing where one is another number."""
    if name not in texts:
        return []
    column = texts[name]
    try:
        return [None if gap else int(text) for text, gap in zip(column, column.isna(), strict=True)]
    except ValueError:
        return []


def _read_numbers(path: str, options: dict[str, Any], numbers: Sequence[str]) -> pd.DataFrame:
    """A CSV some of whose columns are read as floats.

    Raises:
        StepError: kind FETCH, a cell of theirs is no number, or as `_read_csv`.
    """
    try:
        frame = _read_csv(path, options)
    except StepError:
        _require_numbers(path, options, numbers)
        raise
    # Where a column has nothing but TRUE and FALSE, pandas makes 1 and 0 of them.
    doubtful = [name for name in numbers if frame[name].dropna().isin((0.0, 1.0)).all()]
    _require_numbers(path, options, doubtful)
    return frame


def _require_numbers(path: str, options: dict[str, Any], names: Sequence[str]) -> None:
    if names:
        texts = _read_csv(path, {**options, "usecols": list(names), "dtype": "str"})
        for name in names:
            require_numbers(texts[name], name, decimal=options["decimal"])


def _read_csv(path: str, options: dict[str, Any]) -> pd.DataFrame:
    # Without an index that pandas would make of the first fields, where each line ends in a delimiter.
    options = {**options, "index_col": False}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", _FIELDS_LOST, pd.errors.ParserWarning)
            warnings.filterwarnings("error", category=pd.errors.DtypeWarning)
            # It reads in pieces, to need less memory, and each has types of its own: the 12 of one is a number
            # then, that of another a text. What was read so is let go before it reads again.
            with suppress(pd.errors.DtypeWarning):
                return _parsed(path, options)
            return _parsed(path, {**options, "low_memory": False})
    except pd.errors.EmptyDataError as error:
        raise empty_csv() from error
    except pd.errors.ParserWarning as error:
        told = "its lines have more fields than there are column names"
        raise unreadable("CSV", told, hint=names_hint(path, options.get("sep", _PLAIN.delimiter))) from error
    except (pd.errors.ParserError, *UNREADABLE) as error:
        if _OUT_OF_MEMORY in str(error):
            raise memory_error() from error
        raise unreadable("CSV", str(error), head=head_of(path, HEAD_BYTES)) from error


def _parsed(path: str, options: dict[str, Any]) -> pd.DataFrame:
    if path.lower().endswith(".zst"):
        with open_bytes(path) as file:
            return pd.DataFrame(pd.read_csv(file, **options))
    return pd.DataFrame(pd.read_csv(path, **options))


def _read_rows(path: str, table: TableOptions) -> pd.DataFrame:
    """A sheet as a whole.

    Raises:
        StepError: kind FETCH, it is no such workbook, or a cell in a column that is wanted holds an error, a
            formula without a value or a time below zero, or none could be told.
    """
    # Here, as few steps need it.
    from runner.execution.steps.sheet_errors import cell_errors

    frame, name = _read_sheet(path, table, {})
    columns = dict(enumerate(frame.columns))
    try:
        errors = list(cell_errors(path, name, lambda: _times_in(frame)))
    except ValueError as fault:
        told = f"formulas that failed cannot be told from gaps in the sheet '{name}': {fault}"
        raise unreadable("XLSX", told, hint=_SAVE_HINT) from fault
    for cell, column, error in errors:
        if not table.columns or column is None or columns.get(column) in table.columns:
            raise _failed_cell(f"{f'cell {cell}' if cell else 'a cell'} of the sheet '{name}'", error)
    return frame


def _times_in(frame: pd.DataFrame) -> set[tuple[int, int]]:
    """The cells of a sheet that are times of a day, by their rows and columns from 0 on; the first row is the
    names."""
    return {
        (row, column)
        for column in range(frame.shape[1])
        if pd.api.types.infer_dtype(frame.iloc[:, column]) in _WITH_TIMES
        for row, cell in enumerate(frame.iloc[:, column], start=1)
        if isinstance(cell, time)
    }


def _failed_cell(cell: str, error: str) -> StepError:
    if not error:
        hint = "Open the workbook in a spreadsheet program and save it, or have values written into it."
        return unreadable("XLSX", f"{cell} holds a formula that nobody has worked out", hint=hint)
    if error.startswith("-"):
        hint = "Give it the format [h]:mm:ss, in which it is a span of time, or that of a number."
        return unreadable("XLSX", f"{cell} holds the date or time {error}, which is below zero", hint=hint)
    hint = "Correct its formula; one that may fail gives a gap by IFERROR(…, NA())."
    return unreadable("XLSX", f"{cell} holds the error {error}", hint=hint)


def _sheets_asked_for(path: str, table: TableOptions) -> Sequence[str]:
    """The sheet that is asked for, or those of which the first one with rows is."""
    names = sheet_names(path)
    if names.tables and (not table.sheet or table.sheet in names.tables):
        return [table.sheet] if table.sheet else names.tables
    wrong = f"its sheet '{table.sheet}' has no rows" if table.sheet in names.others else ""
    wrong = wrong or (f"it has no sheet '{table.sheet}'" if table.sheet else "none of its sheets has rows")
    known = f"Its sheets are {', '.join(names.tables[:20])}." if names.tables else ""
    raise unreadable("XLSX", wrong, hint=f"A chart can be a sheet. {known}".strip() if names.others else known)


def _read_sheet(path: str, table: TableOptions, options: dict[str, Any]) -> tuple[pd.DataFrame, str]:
    """What `options` say of the sheet that is asked for, or of the first one with rows; and its name."""
    # Here, as few steps need it.
    import python_calamine

    from runner.execution.steps.sheet_errors import is_in_utf16, part_in_utf16, tells_errors

    frame, name = pd.DataFrame(), ""
    try:
        sheets = _sheets_asked_for(path, table)
        if not tells_errors(path):
            hint = "Save it as .xlsx: in .ods, .xls and .xlsb a failed formula cannot be told from an empty cell."
            raise unreadable("XLSX", "it is a workbook of another kind", hint=hint)
        for name in sheets:
            frame = pd.read_excel(
                path,
                sheet_name=name,
                engine="calamine",
                dtype=object,
                keep_default_na=False,
                na_values=[""],
                **options,
            )
            if not frame.columns.empty:
                break
            if is_in_utf16(path, name):
                raise unreadable("XLSX", f"its sheet '{name}' {_OTHER_TEXT}", hint=_SAVE_HINT)
    except python_calamine.WorksheetNotFound as error:
        raise unreadable("XLSX", f"it names a sheet '{name}' that is not in it", hint=_SAVE_HINT) from error
    except (python_calamine.CalamineError, *UNREADABLE) as error:
        if part := part_in_utf16(path):
            raise unreadable("XLSX", f"its part {part} {_OTHER_TEXT}", hint=_SAVE_HINT) from error
        raise unreadable("XLSX", str(error)) from error
    return frame.set_axis([str(column) for column in frame.columns], axis=1), name
