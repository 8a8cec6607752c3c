from datetime import UTC, datetime

from runner.jobfiles.parse import parse
from runner.jobtests.build import build_tests
from runner.jobtests.values import DEFAULT_TIME, Expectation, Given, JobTest, Rows

TEXT = """\
job_name: orders
tests:
  - name: first
    given: {data: [{region: north, amount: 120}, {amount: 1.5, ok: null}]}
    expect:
      rows: [{region: north}, {amount: 2}]
      tolerance: 1
  -
    name: second
    scheduled_time: "2026-01-31T09:00:00+01:00"
    given: {data: tests/orders.csv}
    expect: {file: tests/expected.csv, columns: [a, b], row_count: 5.0, row_order: true}
  - {name: third, given: {data: []}, expect: {error: KeyError}}
"""


def test_the_tests_of_a_document():
    document, findings = parse("a.yaml", TEXT)
    assert findings == ()
    first, second, third = build_tests(document)
    assert first == JobTest(
        name="first",
        line=3,
        given=(
            Given(source="data", rows=((("region", "north"), ("amount", 120)), (("amount", 1.5), ("ok", None)))),
        ),
        expect=Expectation(
            rows=Rows(columns=("region", "amount"), cells=(("north", None), (None, 2))), tolerance=1.0
        ),
        scheduled_time=DEFAULT_TIME,
    )
    assert (second.line, second.scheduled_time) == (9, datetime(2026, 1, 31, 8, tzinfo=UTC))
    assert second.given == (Given(source="data", file="tests/orders.csv"),)
    assert second.expect == Expectation(file="tests/expected.csv", columns=("a", "b"), row_count=5, row_order=True)
    assert (third.line, third.given, third.expect) == (13, (Given(source="data"),), Expectation(error="KeyError"))


def test_a_job_without_tests():
    document, _ = parse("a.yaml", "job_name: orders\n")
    assert build_tests(document) == ()
