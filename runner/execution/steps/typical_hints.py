"""What pandas and Python say of the mistakes that scripts have most often → the way to do it."""

import re

_ZONES = (
    "Times with a zone and times without one do not go together, and those of `run` have one: pd.to_datetime(…, "
    "utc=True) gives one to texts, and .dt.tz_localize(…) to times."
)
_DATES = "Compare times with times: pd.Timestamp(…) makes one of a date."
_MANY = (
    'Choose rows as in data[data["amount"] > 100], and join conditions by & and |, each in its brackets. Whether '
    "there are rows at all is told by data.empty."
)
_NUMBERS = (
    'Texts are no numbers: pd.to_numeric(data["amount"], errors="coerce") makes numbers of a column, and gaps of '
    "what is none."
)
_OF_NUMBERS = (
    'Texts are no numbers: choose the columns of numbers, as in data.groupby("region")[["amount"]].mean(), or '
    'make numbers of texts by pd.to_numeric(data["amount"], errors="coerce").'
)
_GAPS = (
    "Texts and numbers have no order among them, and a gap among texts is a number, NaN: .dropna() leaves gaps "
    'out, and pd.to_numeric(…, errors="coerce") makes numbers of texts.'
)
_TIMES = "Name the column under `parse_dates` of its source, or make times of it with pd.to_datetime(…)."
_KEYS = "Give both columns one type: by `dtypes` of their sources, or with .astype(…)."
_ONE_STEP = (
    'To write to a part of a table changes a copy alone. In one step it is data.loc[data["amount"] > 100, "size"] '
    '= "large", and in place of `inplace=True` data["amount"] = data["amount"].fillna(0).'
)
_SAME_KEYS = 'Several rows have the same keys: data.pivot_table(…, aggfunc="sum") makes one of them.'
_NO_WHOLE = 'A gap is no whole number: .astype("Int64") keeps it, and .fillna(0) fills it.'
_NO_TIME = (
    'pd.to_datetime(…, errors="coerce") makes gaps of what is no time. Days written otherwise are read by '
    'format="%d.%m.%Y", and several ways of writing by format="mixed".'
)
_NAMES = 'Give each column its name, or change some: data = data.rename(columns={"old": "new"}).'
# What pandas had once, and scripts of then have still → what it has now.
_GONE = {
    "append": "pd.concat([data, more])",
    "applymap": ".map(…)",
    "as_matrix": ".to_numpy()",
    "backfill": ".bfill()",
    "iteritems": ".items()",
    "ix": ".loc[…] by name, or .iloc[…] by number",
    "lookup": ".loc[…] or .at[…]",
    "mad": "(x - x.mean()).abs().mean()",
    "pad": ".ffill()",
    "swapaxes": ".T",
}
_GONE_OF_TIMES = dict.fromkeys(("week", "weekofyear"), ".dt.isocalendar().week")
_OLD_NAME = re.compile(r"'(DataFrame|Series|DatetimeProperties)' object has no attribute '(\w+)'")
# How Python shows types: of what is a time, a number, a text.
_A_TIME = r"'(?:datetime\.\w+|Timestamp|Timedelta|(?:Datetime|Timedelta)Array|numpy\.(?:datetime|timedelta)64)'"
_A_NUMBER = r"'(?:int|float|bool|decimal\.Decimal|numpy\.\w+)'"
_A_TEXT = r"'str'"
_TWO = r"(?:unsupported operand type\(s\) for|not supported between instances of) ?.*"
_ORDER = r"not supported between instances of "
_TYPICAL = (
    (r"tz-naive and tz-aware|offset-naive and offset-aware", _ZONES),
    (r"Invalid comparison between dtype=datetime64.* and (Timestamp|datetime)\b", _ZONES),
    (r"Invalid comparison between dtype=datetime64.* and date\b", _DATES),
    (r"Invalid comparison between dtype=(str|object) and (date|datetime|Timestamp|DatetimeArray)\b", _TIMES),
    (r"Invalid comparison between dtype=(str|object) and (int|float|bool|ndarray|Decimal)", _NUMBERS),
    (r"(Cannot perform|operation) 'r?(and|or)_'|unsupported operand type\(s\) for [&|]: ", _MANY),
    (r"[Tt]he truth value of an? \w+", _MANY),
    (rf"{_TWO}(?:{_A_TEXT} and {_A_TIME}|{_A_TIME} and {_A_TEXT})", _TIMES),
    (r"not supported for dtype 'str' with (dtype '(datetime|timedelta)64|.*'(pandas|datetime)\.)", _TIMES),
    (rf"{_ORDER}(?:{_A_TEXT} and 'float'|'float' and {_A_TEXT})", _GAPS),
    (rf"{_TWO}(?:{_A_TEXT} and {_A_NUMBER}|{_A_NUMBER} and {_A_TEXT}|{_A_TEXT} and {_A_TEXT})", _NUMBERS),
    (r"dtype 'str' does not support|reduction '\w+' with string dtype|No numeric types to aggregate", _OF_NUMBERS),
    (r"not supported for dtype 'str'|with string dtype", _NUMBERS),
    (r"[Cc]ould not convert string .*to (float|numeric)|invalid literal for int\(\)", _NUMBERS),
    (r"Can only use \.dt accessor", _TIMES),
    (r"trying to merge on", _KEYS),
    (r"ChainedAssignmentError", _ONE_STEP),
    (r"Length mismatch: Expected axis has", _NAMES),
    (r"duplicate entries, cannot reshape", _SAME_KEYS),
    (r"Cannot convert non-finite values .*to integer", _NO_WHOLE),
    (r"DateParseError|time data .* doesn't match format", _NO_TIME),
    (r"fillna\(\) got an unexpected keyword argument 'method'", "It is .ffill() or .bfill() in this pandas."),
)


def gone_hint(summary: str) -> str:
    """One sentence where a script asks for what pandas had once; empty for any other error."""
    found = _OLD_NAME.search(summary)
    if found is None:
        return ""
    gone = _GONE_OF_TIMES if found[1] == "DatetimeProperties" else _GONE
    return f"It is {gone[found[2]]} in this pandas." if found[2] in gone else ""


def typical_hint(summary: str) -> str:
    """One sentence for an error in one text; empty for any other."""
    return next((hint for words, hint in _TYPICAL if re.search(words, summary)), "")
