"""Columns whose types a job names: their texts → values, for a DataFrame and in SQL, by the same rules.

- `string`: the very text, so `00123` and `NA` stay what they are.
- `integer`: digits and a sign; nullable. `number`: a float.
- `boolean`: true or false, t or f, yes or no, y or n, 1 or 0, in any case; nullable.
- `date` and `timestamp`: ISO 8601 (`2025-01-31`, `20250131`, `2025-01-31T10:00:00Z`), or with dots, which put the
  day first (`31.01.2025 10:00`). `01/02/2025` means one day here and another one there: it is refused, as is what
  libraries take a part of alone (`10:00 PM`, `10:00 EST`, `1.1.25`, `2025`). A date is midnight in
  a DataFrame and DATE in SQL. Times with an offset are moments in the zone of the job, others have no zone; a
  column has either. SQL has `infinity` and `-infinity` too, as databases write them.

Spaces around a value do not count. Only an empty cell is a gap: in a DataFrame as well, where pandas would take NA
and null for gaps of a column without a type.
"""

import re
from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from runner.core.run import FailureKind
from runner.core.source import TableOptions
from runner.execution.steps.faults import StepError
from runner.execution.steps.quoting import quote_name, quote_text

STRING, INTEGER, NUMBER, BOOLEAN, DATE, TIMESTAMP = "string", "integer", "number", "boolean", "date", "timestamp"
REFUSED = "the data cannot be read as the job says"
# What the C parser of pandas takes for a number, but for the truth values.
_FLOAT = r"(?i)\s*[+-]?(?:inf(?:inity)?|(?:[0-9]+{0}?[0-9]*|{0}[0-9]+)(?:e[+-]?[0-9]+)?)\s*"
# What a whole number looks like, for SQL, which would round another one.
_WHOLE = r"\s*[+-]?[0-9]+\s*"
_WORDS = {
    INTEGER: "integer",
    NUMBER: "number",
    BOOLEAN: "boolean",
    DATE: "date such as 2025-01-31",
    TIMESTAMP: "time such as 2025-01-31T10:00:00",
}
_NO_NUMBERS = (f"which is no {_WORDS[NUMBER]}", f"which is no {_WORDS[INTEGER]}")
# What is said of a cell in a column of floats, or of whole numbers.
_NO_NUMBER_IN = re.compile(r"column '(?P<name>.*)' has '(?P<cell>.*)', which is no (?:number|integer)")
_HINT = "Correct the data, or read the column as `string` (`dtypes` in the job file) and convert it in the step."
# A number with a sign for thousands, of which its other sign, if any, parts the decimals. Behind a 0 alone there
# are no thousands: 0,125 has decimals.
_GROUPED = re.compile(
    r"[+-]?[1-9][0-9]{0,2}(?P<sign>[.,' \xa0\u202f\u2019])[0-9]{3}(?:(?P=sign)[0-9]{3})*(?:[.,][0-9]*)?"
)
_GROUPED_HINT = (
    "A number has no sign for thousands here. Read the column as `string` (`dtypes` in the job file), and take it "
    'out: in a script by .str.replace("{sign}", ""){point}.astype(float), in a query by CAST({cell} AS DOUBLE).'
)
# What is said of decimals that a query would make floats of, see `wide_decimals`.
DIGITS_LOST = "of which a query and a job without a step keep some 16"
_DIGITS_HINT = (
    "Let a script read the column, which has every digit, or have it written as decimals of at most 38 digits; a "
    "query may leave it out."
)
_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_DOTTED = ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S")
_OFFSET = r"\d:\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_HAS_OFFSET = re.compile(_OFFSET)
# By whether the times before it have one.
_OTHER_OFFSET = {
    True: "which has no offset, unlike those before it",
    False: "which has an offset, unlike those before it",
}
# What a time looks like: to one library or the other `now`, `epoch` and `2025-01-31 (BC)` are times too, and so is
# a part of `10:00 PM`.
_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
# What DuckDB says of a cell that is none of the floats it is to read.
_NO_FLOAT = re.compile(
    r"CSV Error on Line: (?P<line>[0-9]+).*Error when converting column \"(?P<name>.*)\"\. "
    r"Could not convert string \"(?P<cell>.*)\" to 'DOUBLE'",
    re.DOTALL,
)
_BASIC = "[0-9]{8}"
_ZONE = "Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
_ISO = rf"[0-9]{{4,}}[-/][0-9]{{1,2}}[-/][0-9]{{1,2}}(?:[T ]{_CLOCK}(?: ?(?:{_ZONE}))?)?"
_DOTS = rf"[0-9]{{1,2}}\.[0-9]{{1,2}}\.[0-9]{{4}}(?: {_CLOCK})?"
_MOMENT = rf"^(?:{_ISO}|{_BASIC}|{_DOTS})$"
# What DuckDB reads by itself while it reads a CSV.
_SQL_TYPES = {STRING: "VARCHAR", NUMBER: "DOUBLE"}


def types_of(table: TableOptions) -> dict[str, str]:
    """The types that a job names, by column."""
    return {**dict.fromkeys(table.parse_dates, TIMESTAMP), **dict(table.dtypes)}


def convert(frame: pd.DataFrame, types: Mapping[str, str], *, timezone: str) -> pd.DataFrame:
    """The frame with the columns that are in `types`, which are texts, converted.

    Raises:
        StepError: kind FETCH, a cell is no such value.
    """
    for name, kind in types.items():
        if name in frame.columns and kind != STRING:
            frame[name] = _converted(frame[name], str(name), kind, timezone)
    return frame


def require_numbers(texts: pd.Series, name: str, *, decimal: str) -> None:
    """Look at the texts of a column of floats; `decimal` is its decimal sign.

    Raises:
        StepError: kind FETCH, one is no number.
    """
    number = re.compile(_FLOAT.format(re.escape(decimal)))
    for text in texts.dropna():
        if not number.fullmatch(text):
            raise _wrong(text, name, NUMBER)


def sql_types(types: Mapping[str, str]) -> dict[str, str]:
    """As what DuckDB reads each column of a CSV; those that `sql_cell` converts are texts first."""
    return {name: _SQL_TYPES.get(kind, "VARCHAR") for name, kind in types.items()}


def is_moment(kind: str) -> bool:
    """Whether a column of this type may have times with an offset."""
    return kind == TIMESTAMP


def has_offset(text: str) -> bool:
    """Whether a time names its offset from UTC."""
    return bool(_HAS_OFFSET.search(text.strip()))


def sql_cell(name: str, kind: str | None, *, aware: bool) -> str:
    """SQL for the cells of a column that is read as `sql_types` says. `aware`: its times have an offset."""
    column = quote_name(name)
    if kind == NUMBER:
        # DuckDB takes the text `nan` for a float, and of that all sums are `nan`.
        wrong = _sql_error(name, f"which is no {_WORDS[kind]}", f"CAST({column} AS VARCHAR)")
        return f"CASE WHEN isnan({column}) THEN CAST({wrong} AS DOUBLE) ELSE {column} END AS {column}"
    if kind not in {INTEGER, BOOLEAN, DATE, TIMESTAMP}:
        return column
    if kind == INTEGER:
        parsed = f"CASE WHEN regexp_full_match({column}, '{_WHOLE}') THEN TRY_CAST({column} AS BIGINT) END"
    elif kind == BOOLEAN:
        parsed = _sql_truth(f"lower(trim({column}))")
    else:
        parsed = _sql_moment(name, kind, aware=aware)
    return checked_cell(name, parsed, f"which is no {_WORDS[kind]}")


def _sql_truth(text: str) -> str:
    cases = (f"WHEN {quote_text(word)} THEN {truth}" for word, truth in _TRUTHS.items())
    return f"CASE {text} {' '.join(cases)} END"


def _sql_moment(name: str, kind: str, *, aware: bool) -> str:
    text = f"nullif(trim({quote_name(name)}), '')"
    target = "DATE" if kind == DATE else "TIMESTAMPTZ" if aware else "TIMESTAMP"
    formats = ", ".join(map(quote_text, _DOTTED))
    # DuckDB reads no blank before an offset.
    closed = f"replace(replace(replace({text}, ' +', '+'), ' -', '-'), ' Z', 'Z')"
    cases = [
        f"WHEN {text} IN ('infinity', '-infinity') THEN CAST({text} AS {target})",
        f"WHEN regexp_full_match({text}, '{_ISO}') THEN TRY_CAST({closed} AS {target})",
        f"WHEN regexp_full_match({text}, '{_BASIC}') THEN CAST(try_strptime({text}, '%Y%m%d') AS {target})",
        f"WHEN regexp_full_match({text}, '{_DOTS}') THEN CAST(try_strptime({text}, [{formats}]) AS {target})",
    ]
    if kind == TIMESTAMP:
        other = _sql_error(name, _OTHER_OFFSET[aware])
        cases.insert(1, f"WHEN regexp_matches({text}, '{_OFFSET}') <> {aware} THEN CAST({other} AS {target})")
    return f"CASE {' '.join(cases)} END"


def checked_cell(name: str, parsed: str, said: str, *, usual: str = "") -> str:
    """SQL for the cells of a column of texts: what `parsed` makes of them. Each text of which that is nothing is
    refused, and `said` of it; spaces alone are a gap.

    Args:
        usual: `WHEN … THEN …` for the cells of which all else need not be asked. Where these are all, DuckDB hands
            them on as they are.
    """
    column = quote_name(name)
    wrong = f"CASE WHEN trim({column}) <> '' THEN {_sql_error(name, said)} END"
    checked = f"coalesce({parsed}, {wrong})"
    return f"CASE {usual} ELSE {checked} END AS {column}" if usual else f"{checked} AS {column}"


def _sql_error(name: str, said: str, text: str = "") -> str:
    text = text or quote_name(name)
    before, behind = quote_text(f"{REFUSED}: column '{name}' has '"), quote_text(f"', {said}")
    # Trimmed in another way than where it is looked at: what stands twice in a query DuckDB works out for each
    # row, whether it is needed or not.
    return f"error({before} || ltrim(rtrim({text})) || {behind})"


def _converted(series: pd.Series, name: str, kind: str, timezone: str) -> pd.Series:
    texts = pc.utf8_trim_whitespace(pa.array(series, type=pa.string(), from_pandas=True))
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    texts = pc.if_else(pc.equal(texts, ""), None, texts)
    if kind == BOOLEAN:
        return _booleans(texts, name)
    if kind in {DATE, TIMESTAMP}:
        return _moments(texts.to_pandas().astype("str"), name, kind, timezone)
    target = pa.int64() if kind == INTEGER else pa.float64()
    if kind == INTEGER:
        texts = _plain_digits(texts, name)
    try:
        return _series(texts.cast(target))
    except pa.ArrowInvalid:
        raise _wrong(_first_wrong(texts, target), name, kind) from None


def _plain_digits(texts: pa.Array, name: str) -> pa.Array:
    """Texts of whole numbers as Arrow reads them: it takes no `+`, and takes `0x1A` for one too."""
    based = texts.filter(pc.match_substring(texts, "x", ignore_case=True))
    if len(based):
        raise _wrong(based[0].as_py(), name, INTEGER)
    return pc.replace_substring_regex(texts, r"^\+([0-9])", r"\1")


def _series(values: pa.Array) -> pd.Series:
    """The values in a column that can have gaps."""
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    return pd.Series(values.to_pandas(types_mapper=nullable.get))


def _first_wrong(texts: pa.Array, target: pa.DataType) -> str:
    for text in pc.unique(texts).to_pylist():
        try:
            pa.array([text], pa.string()).cast(target)
        except pa.ArrowInvalid:
            return str(text)
    return ""


def _booleans(texts: pa.Array, name: str) -> pd.Series:
    lowered = pc.utf8_lower(texts)
    for text in pc.unique(lowered).to_pylist():
        if text is not None and text not in _TRUTHS:
            raise _wrong(text, name, BOOLEAN)
    truths = pa.array([text for text, truth in _TRUTHS.items() if truth])
    found = pc.if_else(pc.is_null(lowered), None, pc.is_in(lowered, value_set=truths))
    return _series(found)


def _moments(texts: pd.Series, name: str, kind: str, timezone: str) -> pd.Series:
    known = texts.where(texts.str.contains(_MOMENT, regex=True, na=False))
    if kind == DATE:
        known = known.str.replace(r"[T ][0-9].*$", "", regex=True)
    aware = kind == TIMESTAMP and _is_aware(texts, name)
    dotted = known.str.slice(0, 3).str.contains(".", regex=False, na=False)
    found = pd.to_datetime(known.where(~dotted), format="ISO8601", errors="coerce", utc=aware)
    if aware:
        found = found.dt.tz_convert(timezone)
    for form in _DOTTED if dotted.any() else ():
        found = found.fillna(pd.to_datetime(known.where(dotted & found.isna()), format=form, errors="coerce"))
    wrong = found.isna() & texts.notna()
    if wrong.any():
        raise _wrong(str(texts[wrong].iloc[0]), name, kind)
    return found


def _is_aware(texts: pd.Series, name: str) -> bool:
    """Whether times have an offset: as the first one has.

    Raises:
        StepError: kind FETCH, another one has not, or has where the first has none.
    """
    known = texts.dropna()
    has = known.str.contains(_OFFSET, regex=True)
    aware = bool(len(has)) and bool(has.iloc[0])
    others = known[has != aware]
    if len(others):
        raise _refused(str(others.iloc[0]), name, _OTHER_OFFSET[aware])
    return aware


def _wrong(cell: str, name: str, kind: str) -> StepError:
    return _refused(cell, name, f"which is no {_WORDS[kind]}")


def _refused(cell: str, name: str, said: str) -> StepError:
    hint = grouped_hint(cell, name) if said.startswith(_NO_NUMBERS) else ""
    return StepError(FailureKind.FETCH, f"{REFUSED}: column '{name}' has '{cell}', {said}", hint=hint or _HINT)


def grouped_hint(cell: str, name: str) -> str:
    """How a step makes numbers of a column with such cells as `1.234,50`; empty where this is none."""
    found = _GROUPED.fullmatch(cell.strip())
    if found is None:
        return ""
    sign = found["sign"]
    point, column = "", f"replace({quote_name(name)}, {quote_text(sign)}, '')"
    if "," in cell.replace(sign, ""):
        point, column = '.str.replace(",", ".")', f"replace({column}, ',', '.')"
    return _GROUPED_HINT.format(sign=sign, point=point, cell=column)


def refusal_in(message: str) -> StepError | None:
    """The failure that a message of DuckDB tells of, where it is about a cell of the data."""
    found = re.search(rf"{re.escape(REFUSED)}: [^\n]*", message)
    if found is None:
        return None
    if DIGITS_LOST in found[0]:
        return StepError(FailureKind.FETCH, found[0], hint=_DIGITS_HINT)
    cell = _NO_NUMBER_IN.search(found[0])
    hint = grouped_hint(cell["cell"], cell["name"]) if cell is not None else ""
    return StepError(FailureKind.FETCH, found[0], hint=hint or _HINT)


def no_number_in(message: str, tables: Sequence[TableOptions]) -> StepError | None:
    """The failure that a message of DuckDB tells of, where it is about a cell in a column that a job names a type
    of; `tables` are those that it may be about."""
    found = _NO_FLOAT.search(message)
    if found is None or all(types_of(table).get(found["name"]) != NUMBER for table in tables):
        return None
    return _refused(found["cell"], found["name"], f"which is no {_WORDS[NUMBER]} (line {found['line']})")
