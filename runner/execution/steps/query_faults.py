"""What DuckDB says of a query, as the failure of its step: where it stands in the job file, and what to do now."""

import re
from collections.abc import Collection

import duckdb

from runner.core.dialects import hint_for_function, hint_for_type
from runner.core.job import Step
from runner.core.run import FailureKind
from runner.core.source import THE_SOURCE
from runner.execution.steps.faults import StepError, delimiter_hint

_SOURCES_HINT = (
    "A query reads the tables of its sources alone: declare a file or an address under `data_source` or "
    "`data_sources`."
)
# DuckDB's own words say to install one, or to set what is locked.
_EXTENSION = re.compile(r"exists in the \w+ extension|external extensions|/extensions/")
_EXTENSION_HINT = (
    "A query has what DuckDB brings itself, and a step loads no extension: declare the data under `data_source` "
    "or `data_sources`, or let a script do the work."
)
# How DuckDB says that a table or a view of the query's own is called like a source.
_TAKEN = re.compile(
    r'View with name "(?P<made>.+)" already exists|Existing object "(?P<replaced>.+)" is of type View'
    r'|attempting to recursively bind view "(?P<bound>.+)"'
)
_TAKEN_HINT = "A source has that name: give the query's own table another one, and read from that."
_LOCKED = "the configuration has been locked"
_LOCKED_HINT = (
    "Leave the setting out: the time zone is `timezone` and the memory `resources.memory_mb` of the job file."
)
_COMPARED = re.compile(r"Cannot compare values of type .*VARCHAR")
# What DuckDB says where no function takes what it is given. All functions that there are stand behind it.
_NO_FUNCTION = re.compile(
    r"No function matches the given name and argument types '(?P<given>.*)'\. You"
    r'|Could not choose a best candidate function for the function call "(?P<tried>.*)"\. In'
)
# A function, or what Oracle has as one, that there is not; and one that takes something else.
_LACKING = re.compile(
    r'Function with name (?P<name>\w+) does not exist|Referenced column "(?P<word>sysdate)"', re.IGNORECASE
)
_CALLED = re.compile(r"(?:argument types '|function call \")(?P<name>\w+)\(")
_NO_TYPE = re.compile(r"Type with name (?P<name>\w+) does not exist")
# Texts that are joined as SQL Server does, and LIKE of what is no text.
_JOINED = re.compile(
    r"(?:argument types '|function call \")\+\((?:VARCHAR|STRING_LITERAL), (?:VARCHAR|STRING_LITERAL)\)"
)
_JOINED_HINT = "DuckDB joins texts by ||, as in name || ', ' || city; + takes numbers."
_LIKE = re.compile(r"argument types '!?~~\*?\(")
_LIKE_HINT = (
    "LIKE takes texts alone: write CAST(ordered_at AS VARCHAR) LIKE '2026-01-%', or compare the values, "
    "as in ordered_at >= '2026-01-01'."
)
# A time that is written as in Germany, which a query compares with one of the data.
_DOTTED = re.compile(r'invalid (?:date|timestamp) field format: "\d{1,2}\.\d{1,2}\.\d{4}')
_DOTTED_HINT = "A date is written '2026-01-31' here; strptime(day, '%d.%m.%Y') makes dates of such texts."
_A_TEXT = re.compile(r"\b(?:VARCHAR|STRING_LITERAL)\b")
_CANDIDATES = re.compile(r"\s*Candidate functions:.*", re.DOTALL)
_TEXTS_HINT = (
    "Texts are no numbers or times: TRY_CAST(amount AS DOUBLE) makes those of a column, and gaps of what is none."
)
_CAST_HINT = "TRY_CAST(… AS …) makes a gap of what cannot be converted."
_NO_COLUMN = re.compile(r'Referenced column "(?P<name>.*?)" not found')
# A column that is not there, called as the query calls what it makes of it: `sum(amount) AS amount`.
_OWN_NAME = re.compile(r'Column "(?P<name>.*?)" referenced that exists in the SELECT clause')
_OWN_NAME_HINT = "No table here has a column '{}': it is only what the query calls what it makes."
_BINDINGS = re.compile(r'Candidate bindings: (?P<names>".*")')
_QUOTES_HINT = "If it is a text and no column, it stands in single quotes: '{}'."
_PLACE = re.compile(r"\n\s*LINE (?P<line>\d+): (?P<text>.*)\n(?P<caret>\s*\^+)", re.MULTILINE)


def query_failure(error: duckdb.Error, step: Step, sources: Collection[str]) -> StepError:
    """DuckDB's own words; the place, where it names one in the user's text, as one in the job file.

    Args:
        sources: the names of the views that the query reads.
    """
    text = str(error)
    hint = _hint(error, text, step.text, sources)
    found = _PLACE.search(text)
    if found is None:
        return StepError(FailureKind.QUERY, " ".join(text.split()), hint=hint)
    message = " ".join(_CANDIDATES.sub("", text[: found.start()]).split())
    line = int(found["line"])
    lines = step.text.split("\n")
    if not 0 <= line - step.first_line < len(lines):
        # The place is in the COPY around the query.
        return StepError(FailureKind.QUERY, message, hint=hint)
    mine = lines[line - step.first_line]
    place = f'File "{step.path}", line {line}\n    {mine}'
    column = _column(found, mine)
    if column is not None:
        place += f"\n    {' ' * column}{'^' * found['caret'].count('^')}"
    return StepError(FailureKind.QUERY, f"{message} ({step.path}, line {line})", hint=hint, traceback=place)


def _hint(error: duckdb.Error, text: str, query: str, sources: Collection[str]) -> str:
    if _EXTENSION.search(text):
        return _EXTENSION_HINT
    taken = _TAKEN.search(text)
    if taken is not None:
        # The query may have views of its own. One that is bound is told with the schema that it is in.
        names = {name.casefold() for name in (THE_SOURCE, *sources)}
        return _TAKEN_HINT if _last_name(taken).casefold() in names else ""
    if _LOCKED in text:
        return _LOCKED_HINT
    dialect = _dialect_hint(text)
    if dialect is not None:
        return dialect
    if isinstance(error, duckdb.ConversionException):
        return _DOTTED_HINT if _DOTTED.search(text) else _CAST_HINT
    missing = _NO_COLUMN.search(text)
    if missing is not None:
        return _column_hint(missing["name"], text, query)
    own = _OWN_NAME.search(text)
    if own is not None:
        return _OWN_NAME_HINT.format(own["name"])
    return _SOURCES_HINT if isinstance(error, duckdb.PermissionException) else ""


def _dialect_hint(text: str) -> str | None:
    """What to write in place of a function, type or operator that DuckDB lacks, or has for others; None where
    it is no matter of these."""
    lacking = _LACKING.search(text)
    if lacking is not None:
        return hint_for_function(lacking["name"] or lacking["word"])
    strange = _NO_TYPE.search(text)
    if strange is not None:
        return hint_for_type(strange["name"])
    if _JOINED.search(text):
        return _JOINED_HINT
    if _LIKE.search(text):
        return _LIKE_HINT
    if _COMPARED.search(text) or _has_text_too_many(text):
        return _TEXTS_HINT
    called = _CALLED.search(text)
    return hint_for_function(called["name"]) if called is not None else None


def _last_name(taken: re.Match[str]) -> str:
    found = taken["made"] or taken["replaced"] or taken["bound"]
    return found.replace('"', "").rpartition(".")[2]


def _has_text_too_many(text: str) -> bool:
    """Whether a function is given more texts than any of its forms takes; some take one first, and a time then."""
    found = _NO_FUNCTION.search(text)
    if found is None:
        return False
    forms = [form.partition(" -> ")[0] for form in text[found.end() :].split("\n\t")[1:]]
    given = found["given"] or found["tried"]
    return len(_A_TEXT.findall(given)) > max((len(_A_TEXT.findall(form)) for form in forms), default=0)


def _column_hint(name: str, text: str, query: str) -> str:
    """What a name may mean that is no column: a text, or part of a line whose delimiter is another one."""
    known = _BINDINGS.search(text)
    advice = delimiter_hint(known["names"].strip('"').split('", "')) if known is not None else ""
    return advice or (_QUOTES_HINT.format(name) if f'"{name}"' in query else "")


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
