"""What is easier shown alone than in the cases of tests/acceptance/jobfiles: times, names of sources, whose line it is."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.jobfiles.lint.job_tests import is_inside_project, parse_scheduled_time, source_names


@pytest.mark.parametrize("text", ["2026-01-31T09:00:00Z", "2026-01-31T10:00:00+01:00", "2026-01-31T04:00-05:00"])
def test_times_with_an_offset(text):
    assert parse_scheduled_time(text) == datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-01-31", "2026-01-31T09:00:00", "2026-02-30T09:00:00Z", "9001-01-01T00:00:00Z"]
)
def test_what_is_no_such_time(text):
    assert parse_scheduled_time(text) is None


def test_the_offset_is_kept():
    assert parse_scheduled_time("2026-01-31T10:00:00+01:00").utcoffset() == timedelta(hours=1)


def test_names_of_sources():
    assert source_names({"data_source": {}}) == ("data",)
    assert source_names({"data_sources": {"orders": {}, "rates": {}}}) == ("orders", "rates")


@pytest.mark.parametrize(
    ("location", "inside"),
    [("tests/a.csv", True), ("a..b.csv", True), ("/etc/passwd", False), ("tests/../../a", False), ("a\0b", False)],
)
def test_what_is_inside_the_project(location, inside):
    assert is_inside_project(location) is inside
