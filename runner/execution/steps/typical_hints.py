"""What pandas and Python say of the mistakes that scripts have most often → the way to do it."""

import re

_ZONES = (
    "Times with a zone and times without one do not go together, and those of `run` have one: pd.to_datetime(…, "
    "utc=True) gives one to texts, and .dt.tz_localize(…) to times."
)
_DATES = "Compare times with times: pd.Timestamp(…) makes one of a date."
_MANY = 'Choose rows as in data[data["amount"] > 100], and join conditions by & and |, each in its brackets.'
_NUMBERS = (
    'Texts are no numbers: pd.to_numeric(data["amount"], errors="coerce") makes numbers of a column, and gaps of '
    "what is none."
)
_TIMES = "Name the column under `parse_dates` of its source, or make times of it with pd.to_datetime(…)."
_KEYS = "Give both columns one type: by `dtypes` of their sources, or with .astype(…)."
_TYPICAL = (
    (r"tz-naive and tz-aware|offset-naive and offset-aware", _ZONES),
    (r"Invalid comparison between dtype=datetime64.* and (Timestamp|datetime)\b", _ZONES),
    (r"Invalid comparison between dtype=datetime64.* and date\b", _DATES),
    (r"Invalid comparison between dtype=(str|object) and (date|datetime|Timestamp)\b", _TIMES),
    (r"Invalid comparison between dtype=(str|object) and", _NUMBERS),
    (r"not supported between instances of 'str' and 'datetime.date'", _TIMES),
    (r"'r?(and|or)_'", _MANY),
    (r"[Tt]he truth value of an? \w+", _MANY),
    (
        r"not supported for dtype 'str'|with string dtype|[Cc]ould not convert string .*to (float|numeric)",
        _NUMBERS,
    ),
    (r"unsupported operand type.*'str'|not supported between instances of .*'str'", _NUMBERS),
    (r"Can only use \.dt accessor", _TIMES),
    (r"trying to merge on", _KEYS),
)


def typical_hint(summary: str) -> str:
    """One sentence for an error in one text; empty for any other."""
    return next((hint for words, hint in _TYPICAL if re.search(words, summary)), "")
