"""Documents of JSON: read, and the records in them found."""

import json
import re
from typing import Any

import jmespath
import pandas as pd
from jmespath.visitor import TreeInterpreter

from runner.core.null_records import ERRORS_HINT, errors_of, leads_to_null
from runner.core.run import FailureKind
from runner.core.words import kind_words
from runner.execution.orders import cut
from runner.execution.steps.faults import JSON_HINT, StepError, unreadable
from runner.execution.steps.packed import UNREADABLE, open_text
from runner.execution.steps.whole_numbers import keep_whole_numbers

# So many characters of a text are shown on each side of what is wrong in it.
_SHOWN = 20
_PATHS_SHOWN = 10
_SHOWN_OF_AN_ERROR = 200
# What Python says where a second document stands behind the first.
_MORE = "Extra data"
_LINES_HINT = "Where each line is a record of its own, it is `ndjson`, and so `data_source` has to say."
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load_json(path: str) -> Any:
    """The document in a file.

    Raises:
        StepError: kind FETCH, it is no JSON.
    """
    try:
        with open_text(path) as file:
            return json.load(file)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
        lines = error.msg == _MORE and error.lineno > 1 and error.colno == 1
        raise unreadable("JSON", reason, hint=_LINES_HINT if lines else "") from error
    except (*UNREADABLE, RecursionError) as error:
        raise unreadable("JSON", str(error)) from error


def load_ndjson(path: str) -> list[Any]:
    """The documents in a file that has one on each line; empty lines are passed over.

    Raises:
        StepError: kind FETCH, a line is no JSON.
    """
    records = []
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        records.append(json.loads(line))
                    except json.JSONDecodeError as error:
                        raise unreadable("NDJSON", f"line {number}: {error.msg}") from error
    except (*UNREADABLE, RecursionError) as error:
        raise unreadable("NDJSON", str(error)) from error
    return records


def select_records(document: Any, records_path: str | None) -> Any:
    """The array of records in a document, or, where it is written by columns, the columns.

    `records_path` is JMESPath. Without it the document must be an array, an object of columns that are equally
    long arrays, or what `DataFrame.to_json` writes: an object of objects with the same members. A null in the
    place of an array is one without records.

    Raises:
        StepError: kind FETCH, there are none there.
    """
    if records_path is not None:
        return _follow(document, records_path)
    if isinstance(document, list) or (isinstance(document, dict) and _is_by_columns(document)):
        return document
    if document is None:
        return []
    if not isinstance(document, dict):
        raise unreadable("JSON", f"it holds {kind_words(document)}, no array of records")
    arrays = [f"`records_path: {path}`" for path in _paths_of_arrays(document)]
    raise unreadable(
        "JSON",
        f"it holds an object, and the job does not say where in it the records are{_as_answer(document)}",
        hint=f"Add {' or '.join(arrays[:3])} to `data_source`."
        if arrays
        else "Add `records_path:` to `data_source`: a JMESPath to the array of records.",
    )


def frame_of(records: Any, *, exact: bool = False) -> pd.DataFrame:
    """A DataFrame of records, or of columns, as `select_records` gives them.

    Args:
        exact: whether whole numbers beside gaps stay what they are, small ones too.

    Raises:
        StepError: kind FETCH, they are no objects, or have a text that is none.
    """
    try:
        return _frame_of(records, exact=exact)
    except UnicodeEncodeError as error:
        raise _half_character(error) from error


def _frame_of(records: Any, *, exact: bool) -> pd.DataFrame:
    if isinstance(records, dict):
        frame = pd.DataFrame(records)
        keep_whole_numbers(frame, lambda name: _cells(records[name]), exact=exact)
        return frame if _has_lists(records) else frame.set_axis(range(len(frame)), axis=0)
    wrong = next((place for place, record in enumerate(records) if not isinstance(record, dict)), None)
    if wrong is not None:
        raise no_object(wrong + 1, records[wrong])
    frame = pd.DataFrame(records)
    keep_whole_numbers(frame, lambda name: [record.get(name) for record in records], exact=exact)
    return frame


def _cells(column: Any) -> list[Any]:
    return list(column.values() if isinstance(column, dict) else column)


def no_object(place: int, record: object) -> StepError:
    """A record is no object; the first one is at place 1."""
    return unreadable(
        "JSON",
        f"record {place} is {kind_words(record)}, not an object",
        hint='Records are objects: [{"name": "a", "amount": 1}, …].',
    )


def no_name(place: int) -> StepError:
    """A record has a key of no letters, of which a query can make no column; the first record is at place 1."""
    return unreadable(
        "JSON",
        f'record {place} has the key "", which can be no column of a query',
        hint="Name it where it is written, or use a script: data.rename(columns={'': 'name'}) names it there.",
    )


def _half_character(error: UnicodeEncodeError) -> StepError:
    text = error.object[max(error.start - _SHOWN, 0) : error.end + _SHOWN]
    shown = text.encode(errors="backslashreplace").decode()
    return unreadable(
        "JSON",
        f"the text '{shown}' cannot be kept: it has a half of a surrogate pair, which is no character",
        hint="Have it corrected where it is written: likely a text is cut there in the middle of an emoji.",
    )


def _follow(document: Any, records_path: str) -> list[Any]:
    try:
        path = jmespath.compile(records_path)
        found = path.search(document)
    except jmespath.exceptions.JMESPathError as error:
        raise StepError(
            FailureKind.FETCH,
            f"`records_path: {records_path}` cannot be followed: {error}",
            hint="It is a JMESPath such as `items` or `response.rows`.",
        ) from error
    if isinstance(found, list):
        return found
    if found is None and leads_to_null(path.parsed, document, TreeInterpreter().visit):
        return []
    members = f"; the object has {', '.join(map(str, list(document)[:10]))}" if isinstance(document, dict) else ""
    errors = errors_of(document)
    told = f"; the first of its errors is {_excerpt(errors[0])}" if errors else _as_answer(document)
    raise StepError(
        FailureKind.FETCH,
        f"`records_path: {records_path}` finds {kind_words(found)}, no array of records{members}{told}",
        hint=ERRORS_HINT if errors else _other_path_hint(document),
    )


def _as_answer(document: object) -> str:
    """A short object without an array, word by word: so many an API says with HTTP 200 that it has failed. Of a
    long one nothing: half a secret could not be masked."""
    if not isinstance(document, dict) or _paths_of_arrays(document):
        return ""
    text = json.dumps(document, ensure_ascii=False)
    return f": {text}" if len(text) <= _SHOWN_OF_AN_ERROR else ""


def _excerpt(value: object) -> str:
    return cut(json.dumps(value, ensure_ascii=False), _SHOWN_OF_AN_ERROR)


def _other_path_hint(document: Any) -> str:
    """Where in a document the records may be instead."""
    if isinstance(document, list):
        return "Remove `records_path`: the document is the array itself."
    paths = _paths_of_arrays(document) if isinstance(document, dict) else []
    if len(paths) < 2:
        return f"Set `records_path: {paths[0]}`." if paths else JSON_HINT
    more = ", …" if len(paths) > _PATHS_SHOWN else ""
    return f"Set `records_path` to one of: {', '.join(paths[:_PATHS_SHOWN])}{more}."


def _paths_of_arrays(document: dict[str, Any]) -> list[str]:
    """JMESPaths to the arrays in a document, and in the objects that it has; those of objects first."""
    found: list[tuple[bool, str]] = []
    for name, value in document.items():
        inner = value.items() if isinstance(value, dict) else ()
        for path, array in (
            (member(name), value),
            *((f"{member(name)}.{member(key)}", one) for key, one in inner),
        ):
            if isinstance(array, list):
                found.append((bool(array) and not isinstance(array[0], dict), path))
    # In YAML a text that holds quotes stands in others.
    return [f"'{path}'" if '"' in path else path for _, path in sorted(found, key=lambda one: one[0])]


def member(name: str) -> str:
    """A member in JMESPath."""
    return name if _PLAIN_KEY.fullmatch(name) else json.dumps(name)


def _is_by_columns(document: dict[str, Any]) -> bool:
    if _has_lists(document):
        return len({len(column) for column in document.values()}) == 1 and not any(
            isinstance(cell, dict) for column in document.values() for cell in column
        )
    columns = list(document.values())
    return bool(columns) and all(
        isinstance(column, dict) and column and list(column) == [str(place) for place in range(len(column))]
        for column in columns
    )


def _has_lists(document: dict[str, Any]) -> bool:
    return bool(document) and all(isinstance(column, list) for column in document.values())
