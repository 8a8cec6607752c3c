"""Each hint is held against what pandas and Python really raise."""

from datetime import date, datetime

import pandas as pd
import pytest

from runner.execution.steps.typical_hints import typical_hint

DATA = pd.DataFrame({"day": ["2026-01-01", "2026-01-02"], "region": ["north", None], "amount": [1, 2]})
NAMES = {"data": DATA, "day": DATA["day"], "moment": pd.to_datetime(DATA["day"]), "pd": pd}
NAMES |= {"now": datetime(2026, 3, 2, 12), "today": date(2026, 3, 2)}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("'2026-01-01' < pd.Timestamp(now)", "`parse_dates` of its source"),
        ("today > '2026-01-01'", "`parse_dates` of its source"),
        ("now - '2026-01-01'", "`parse_dates` of its source"),
        ("day - pd.Timestamp(now)", "`parse_dates` of its source"),
        ("moment - day", "`parse_dates` of its source"),
        ("day + pd.Timedelta(days=1)", "`parse_dates` of its source"),
        ("day.astype(object) > now", "`parse_dates` of its source"),
        ("data.set_axis(['a'], axis=1)", "data.rename(columns="),
        ("sorted(data['region'].unique())", ".dropna() leaves gaps out"),
        ("max(data['region'])", ".dropna() leaves gaps out"),
        ("day.astype(object) > 5", "pd.to_numeric("),
        ("data.groupby('region').mean()", "pd.to_numeric("),
        ("'a' - 'b'", "pd.to_numeric("),
        ("'a' & 1", "join conditions by & and |"),
        ("1 if data else 0", "data.empty"),
    ],
)
def test_what_is_raised_has_the_hint_that_fits(text, hint):
    assert hint in typical_hint(_raised(text))


@pytest.mark.parametrize(
    "text",
    ["None + 'a'", "None < 'a'", "[1] < 'a'", "{} - 'a'", "sorted(['a', {}])", "{}['and_']", "moment > 'no time'"],
)
def test_what_may_be_anything_has_none(text):
    assert not typical_hint(_raised(text))


def _raised(text):
    with pytest.raises(Exception) as caught:
        eval(text, NAMES)
    return f"{caught.type.__name__}: {caught.value}"
