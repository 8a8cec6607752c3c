"""SQL as other databases have it → how DuckDB writes it."""

import re

_LIKE_STRFTIME = "strftime(ordered_at, '%Y-%m')"
_LIKE_STRPTIME = "strptime(day, '%d.%m.%Y')"
_LIKE_DIFFERENCE = "date_diff('day', ordered_at, shipped_at)"
_LIKE_CASE = "CASE WHEN amount > 100 THEN 'large' ELSE 'small' END"
_LIKE_QUOTIENT = "amount / nullif(pieces, 0)"
# By the names of functions that DuckDB lacks, or has with other arguments.
_FUNCTIONS = {
    "add_months": "ordered_at + INTERVAL 1 MONTH",
    "charindex": "strpos(name, 'a')",
    "convert": "CAST(amount AS VARCHAR)",
    "curdate": "current_date",
    "date_format": _LIKE_STRFTIME,
    "date_sub": "ordered_at - INTERVAL 1 DAY",
    "dateadd": "ordered_at + INTERVAL 1 DAY",
    "datediff": _LIKE_DIFFERENCE,
    "decode": _LIKE_CASE,
    "div0": _LIKE_QUOTIENT,
    "eomonth": "last_day(ordered_at)",
    "format_date": _LIKE_STRFTIME,
    "from_unixtime": "to_timestamp(seconds)",
    "getdate": "now()",
    "iif": _LIKE_CASE,
    "isnull": "coalesce(amount, 0)",
    "nvl": "coalesce(amount, 0)",
    "parse_date": _LIKE_STRPTIME,
    "safe_divide": _LIKE_QUOTIENT,
    "str_to_date": _LIKE_STRPTIME,
    "sysdate": "now()",
    "timestampdiff": _LIKE_DIFFERENCE,
    "to_char": _LIKE_STRFTIME,
    "to_date": _LIKE_STRPTIME,
    "to_number": "CAST(text AS DOUBLE)",
    "unix_timestamp": "epoch(ordered_at)",
}
# By the names of types that DuckDB lacks.
_TYPES = {
    **dict.fromkeys(("money", "number", "smallmoney"), "DECIMAL(18, 2)"),
    **dict.fromkeys(("datetime2", "smalldatetime", "timestamp_ntz"), "TIMESTAMP"),
    **dict.fromkeys(("datetimeoffset", "timestamp_ltz", "timestamp_tz"), "TIMESTAMPTZ"),
    **dict.fromkeys(("clob", "longtext", "mediumtext", "ntext", "nvarchar2", "tinytext", "varchar2"), "VARCHAR"),
    "float64": "DOUBLE",
    "mediumint": "INTEGER",
    "uniqueidentifier": "UUID",
    "unsigned": "UBIGINT",
}
_ALL_TYPES = "DuckDB has other types, such as VARCHAR, BIGINT, DOUBLE, DECIMAL(18, 2), DATE and TIMESTAMP."
_NO_TEMPLATE = (
    "A query is no template: name the table itself, such as data; facts of the run are ${run:scheduled_date} and "
    "its kin."
)
_STRAIGHT_QUOTES = "Write straight quotes: 'a text', \"a column\"."
# By what does not parse.
_FORMS = tuple(
    (re.compile(pattern, re.IGNORECASE), hint)
    for pattern, hint in (
        (r"\btop\s*\(?\s*\d+", "DuckDB has no TOP: write LIMIT 5 at the end of the query."),
        (r"\blimit\s+\d+\s*,\s*\d+", "DuckDB writes LIMIT 10 OFFSET 5, with the number of rows first."),
        (r"\bseparator\s+'", "DuckDB writes string_agg(name, ', ')."),
        (r"\b(?:rlike|regexp)\s+'", "DuckDB writes regexp_matches(name, '^a')."),
        (r"\bminus\s+select\b", "DuckDB writes EXCEPT."),
        (r"\bwith\s*\(\s*nolock\s*\)", "Leave it out: nobody else writes to the tables of a query."),
        (r"\bas\s+\[", "DuckDB has names of several words in double quotes."),
        (r"\b\d{1,4}\.\d{1,2}\.\d{1,4}\b", "DuckDB writes DATE '2026-01-31'."),
        (r"\{\{|\{%|%\}", _NO_TEMPLATE),
        (r"#[ \t]*(?:[^\W\d]\w*)?", "DuckDB begins a comment with two dashes: -- a comment."),
        (r"(?<!:):[a-z_]\w*", "A query has no parameters but facts of the run, such as ${run:scheduled_date}."),
        (r"[\u2018\u2019\u201a\u201c\u201d\u201e]", _STRAIGHT_QUOTES),
        (r",\s*(?:group|order|having|limit|qualify)\b", "Leave the comma out; conditions are joined by AND."),
        (r"\((?!\s*(?:select|from|with)\b)[^();\n]*;", "DuckDB has commas between what a function is given."),
        (r"\A\s*=\s*\w+\(", "A query is SQL, and no formula of a spreadsheet: write SELECT … FROM data."),
        (r"\A\s*result\s*=", "This looks like Python: it stands under processing_script."),
    )
)
# As far around a place a form is looked for.
_NEAR = 100


def hint_for_function(name: str) -> str:
    """How DuckDB writes what a function of another database does; empty of one that is not known."""
    form = _FUNCTIONS.get(name.casefold())
    return f"DuckDB writes it as in {form}." if form else ""


def hint_for_type(name: str) -> str:
    """The type of DuckDB that is one of another database; some of all where that is not known."""
    ours = _TYPES.get(name.casefold())
    return f"DuckDB has {ours} in its place." if ours else _ALL_TYPES


def hint_for_form(query: str, place: int) -> str:
    """How DuckDB writes what does not parse at a place of a query; empty where that is not known."""
    start = max(place - _NEAR, 0)
    near = query[start : place + _NEAR]
    for form, hint in _FORMS:
        if any(found.start() <= place - start < found.end() for found in form.finditer(near)):
            return hint
    return ""
