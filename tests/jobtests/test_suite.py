"""Tests of jobs as they are written, run in real children."""

import time
from functools import partial
from types import SimpleNamespace

import pytest

from runner.jobtests.bench import given_sources, open_bench
from runner.jobtests.inputs import InputError
from runner.jobtests.values import Given

ROWS = """\
tests:
  - name: keeps large orders
    given:
      data:
        - {region: north, amount: 120}
        - {region: south, amount: 80}
    expect:
      rows: [{region: north, amount: %s}]
"""
FILE = """\
tests:
  - name: from a file
    given: {data: tests/orders.csv}
    expect: {file: tests/expected.csv}
"""
SCRIPT_OF_ALL = "processing_script: result = data\n"
ORDERS = "region,amount\nnorth,120\nsouth,80\n"


def results(report):
    return [(result.name, str(result.outcome)) for result in report.results]


def only(report):
    (result,) = report.results
    return result


def test_a_test_that_passes_and_one_that_fails(project):
    project.write(ROWS % 120, name="good")
    project.write(ROWS % 121, name="wrong")
    project.write(name="plain")
    report = project.run()
    assert results(report) == [("keeps large orders", "passed"), ("keeps large orders", "failed")]
    assert report.untested == ("plain",)
    wrong = report.results[1]
    assert (wrong.job_name, wrong.path, wrong.message) == ("wrong", "jobs.d/wrong.yaml", "1 cell differs")
    line = (project.jobs / "wrong.yaml").read_text().split("\n").index("  - name: keeps large orders") + 1
    assert wrong.line == line
    (cell,) = wrong.differences
    assert (cell.row, cell.column, cell.expected, cell.got) == (1, "amount", "121", "120")
    assert wrong.output == "rows: 2\n"
    assert not (project.folder / "data").exists(), "nothing is recorded"


def test_texts_are_compared_as_the_step_returned_them(project):
    project.write(
        "tests:\n  - name: formulas\n    given: {data: [{region: '=1+1', amount: 120}]}\n"
        "    expect: {rows: [{region: '=1+1', amount: 120}]}\n"
    )
    assert results(project.run()) == [("formulas", "passed")]


def test_a_script_that_fails_is_told_with_its_line_in_the_job_file(project):
    path = project.write("tests:\n  - {name: none, given: {data: [{region: north}]}, expect: {row_count: 1}}\n")
    result = only(project.run())
    line = path.read_text().split("\n").index('  result = data[data["amount"] > 100]') + 1
    assert result.message == f"KeyError: 'amount' (jobs.d/orders.yaml, line {line})"
    assert f'File "jobs.d/orders.yaml", line {line}' in result.traceback
    assert "`data` has the columns region" in result.hint


ERRORS = """\
tests:
  - {name: as expected, given: {data: [{region: north}]}, expect: {error: KeyError}}
  - {name: another, given: {data: [{region: north}]}, expect: {error: ValueError}}
  - {name: no error, given: {data: [{amount: 101}]}, expect: {error: KeyError}}
"""


def test_errors_can_be_expected(project):
    project.write(ERRORS)
    report = project.run()
    assert [str(one.outcome) for one in report.results] == ["passed", "failed", "failed"]
    assert "but not with 'ValueError'" in report.results[1].message
    assert report.results[2].message == "the step gave 1 row, but must fail with 'KeyError'"


def test_a_file_is_read_as_the_source_declares(project):
    step = "processing_script: result = data\n"
    source = "  records_path: data.items\n"
    path = project.write(FILE.replace("orders.csv", "orders.json"), step=step, kind="json")
    path.write_text(path.read_text().replace("consumer_emails", f"{source}consumer_emails"))
    project.put("tests/orders.json", '{"data": {"items": [{"a": 1}, {"a": null}]}}')
    project.put("tests/expected.csv", 'a\n""\n1\n')
    assert results(project.run()) == [("from a file", "passed")]


def test_rows_reach_the_step_with_their_types(project):
    step = 'processing_script: |\n  result = pd.DataFrame({"kinds": [str(kind) for kind in data.dtypes]})\n'
    tests = """\
tests:
  - name: types
    given: {data: [{a: "00123", b: 5, c: 1.5, d: true, e: "2026-01-31", f: 5}, {a: x, b: 6, c: 2, d: false, e: x}]}
    expect:
      rows: [{kinds: str}, {kinds: int64}, {kinds: float64}, {kinds: bool}, {kinds: str}, {kinds: float64}]
      row_order: true
"""
    project.write(tests, step=step)
    assert results(project.run()) == [("types", "passed")]


DECLARED = """\
  parse_dates: [day]
  dtypes: {code: string, count: integer, share: number, sure: boolean, due: date, at: timestamp}
"""
GIVEN_TYPES = """\
tests:
  - name: types
    given:
      data:
        - {id: 1, day: "2026-01-05", code: "2026-01-05T10:00", count: "1", share: 2, sure: "yes", due: 31.01.2026, at: "2026-01-05T10:00Z", free: "7"}
        - {id: 2, day: null, code: 7, count: null, share: "0.5", sure: false, due: "2026-02-01", at: "", free: "8"}
    expect:
      rows:
"""
FRAME_TYPES = """\
        - {month: 1, id: int64, code: "2026-01-05T10:00", count: Int64, share: float64, sure: boolean, due: 31, at: 11, free: str}
        - {month: null, id: int64, code: 7, count: Int64, share: float64, sure: boolean, due: 1, at: null, free: str}
"""
QUERY_TYPES = """\
        - {month: 1, id: BIGINT, code: "2026-01-05T10:00", count: BIGINT, share: DOUBLE, sure: BOOLEAN, due: 31, at: 11, free: VARCHAR}
        - {month: null, id: BIGINT, code: 7, count: BIGINT, share: DOUBLE, sure: BOOLEAN, due: 1, at: null, free: VARCHAR}
"""
FRAME_STEP = """\
processing_script: |
  kinds = {name: str(data[name].dtype) for name in ("id", "count", "share", "sure", "free")}
  result = data.assign(month=data.day.dt.month, due=data.due.dt.day, at=data["at"].dt.hour, **kinds).drop(columns="day")
"""
QUERY_STEP = """\
processing_query: |
  SELECT month(day) AS month, typeof(id) AS id, code, typeof(count) AS count, typeof(share) AS share,
    typeof(sure) AS sure, day(due) AS due, hour("at") AS "at", typeof(free) AS free FROM data
"""


def declare(path, options):
    """Add options to the source of a job."""
    path.write_text(path.read_text().replace("consumer_emails", f"{options}consumer_emails"))


@pytest.mark.parametrize(
    "step",
    [
        "processing_script: 'result = data.assign(share=data.share * 2)'\n",
        "processing_query: 'SELECT share * 2 AS share FROM data'\n",
    ],
    ids=["script", "query"],
)
def test_a_number_of_a_row_has_the_decimal_sign_of_the_source(project, step):
    tests = """\
tests:
  - name: sign
    given: {data: [{share: "7,5"}, {share: 2.5}]}
    expect:
      rows: [{share: 15.0}, {share: 5.0}]
"""
    declare(project.write(tests, step=step), '  decimal: ","\n  delimiter: ";"\n  dtypes: {share: number}\n')
    result = only(project.run())
    assert (str(result.outcome), result.message, result.differences) == ("passed", "", ())


@pytest.mark.parametrize(
    ("step", "rows"), [(FRAME_STEP, FRAME_TYPES), (QUERY_STEP, QUERY_TYPES)], ids=["script", "query"]
)
def test_rows_have_the_types_that_the_source_declares(project, step, rows):
    declare(project.write("timezone: Europe/Berlin\n" + GIVEN_TYPES + rows, step=step), DECLARED)
    result = only(project.run())
    assert (str(result.outcome), result.message, result.differences) == ("passed", "", ())


@pytest.mark.parametrize(
    "step",
    [
        "processing_script: 'result = data.assign(month=data.day.dt.month)'\n",
        "processing_query: 'SELECT *, month(day) AS month FROM data'\n",
    ],
)
def test_no_rows_have_the_columns_that_the_source_declares(project, step):
    tests = "tests:\n  - {name: none, given: {data: []}, expect: {row_count: 0, columns: [%s]}}\n"
    declare(project.write(tests % "day, month", step=step, name="some"), "  parse_dates: [day]\n")
    all_columns = '  columns: ["a,b", day]\n  parse_dates: [day]\n'
    declare(project.write(tests % '"a,b", day, month', step=step, name="all"), all_columns)
    assert [(one.message, str(one.outcome)) for one in project.run().results] == [("", "passed")] * 2


@pytest.mark.parametrize("step", [SCRIPT_OF_ALL, "processing_query: FROM data\n"])
def test_a_row_that_is_not_what_the_source_declares_is_told(project, step):
    tests = "tests:\n  - {name: wrong, given: {data: [{day: soon}]}, expect: {row_count: 1}}\n"
    declare(project.write(tests, step=step), "  parse_dates: [day]\n")
    assert "column 'day' has 'soon', which is no time such as" in only(project.run()).message


LEFT_OUT = "tests: [{name: a, given: {data: [{region: north}]}, expect: {row_count: 1}}]\n"
STEPS_OVER_AMOUNT = {
    "query": "processing_query: SELECT region, sum(amount) AS s FROM data GROUP BY region\n",
    "alias": "processing_query: SELECT t.region, t.amount AS s FROM data t\n",
    "script": "processing_script: 'result = data[data[\"amount\"].isna()]'\n",
}


@pytest.mark.parametrize("step", STEPS_OVER_AMOUNT)
def test_a_column_that_every_row_leaves_out_is_empty_where_the_source_declares_it(project, step):
    path = project.write(LEFT_OUT, step=STEPS_OVER_AMOUNT[step])
    told = only(project.run())
    assert str(told.outcome) == "failed"
    assert told.hint.endswith(
        "No given row has 'amount': if it is a column of the data, write `amount: null` in a row."
    )
    text = path.read_text()
    path.write_text(
        text.replace("  response_format: csv\n", "  response_format: csv\n  dtypes: {amount: number}\n")
    )
    assert results(project.run()) == [("a", "passed")]
    path.write_text(text.replace("{region: north}]}, expect", "{region: north, amount: null}]}, expect"))
    assert results(project.run()) == [("a", "passed")]


@pytest.mark.parametrize("step", [SCRIPT_OF_ALL, "processing_query: SELECT * FROM data\n", ""])
@pytest.mark.parametrize("first", ["{amount: 1}", "{amount: 1, region: north}"])
def test_given_rows_have_the_columns_in_the_order_in_which_the_source_is_read(project, step, first):
    tests = (
        f"tests: [{{name: a, given: {{data: [{first}, {{region: a}}]}}, expect: {{columns: [region, amount]}}}}]\n"
    )
    path = project.write(tests, step=step)
    text = path.read_text().replace(
        "  response_format: csv\n", "  response_format: csv\n  columns: [region, amount]\n"
    )
    path.write_text(text)
    assert results(project.run()) == [("a", "passed")]


def test_rows_for_a_query_and_for_no_step(project):
    query = "processing_query: SELECT region, sum(amount) AS total FROM data GROUP BY region\n"
    given = "    given: {data: [{region: north, amount: 0.1}, {region: north, amount: 0.2}, {region: null, amount: 1}]}\n"
    sums = "tests:\n  - name: sums\n" + given
    sums += (
        "    expect: {rows: [{region: null, total: 1}, {region: north, total: 0.3}], columns: [region, total]}\n"
    )
    project.write(sums, name="query", step=query)
    project.write("tests:\n  - name: all\n" + given + "    expect: {row_count: 3}\n", name="through", step="")
    assert results(project.run()) == [("sums", "passed"), ("all", "passed")]


def test_the_time_of_a_test_is_fixed_unless_it_says_another(project):
    step = 'processing_script: |\n  result = pd.DataFrame({"day": [str(run.scheduled_date)]})\n'
    tests = """\
tests:
  - {name: fixed, given: {data: []}, expect: {rows: [{day: "2026-01-01"}]}}
  - name: said
    scheduled_time: "2026-01-31T23:30:00+00:00"
    given: {data: []}
    expect: {rows: [{day: "2026-02-01"}]}
"""
    project.write("timezone: Europe/Berlin\n" + tests, step=step)
    assert results(project.run()) == [("fixed", "passed"), ("said", "passed")]


@pytest.mark.parametrize(("kind", "outcome"), [("json", "passed"), ("ndjson", "passed"), ("csv", "failed")])
def test_a_step_over_nothing_is_run_where_a_run_has_columns(project, kind, outcome):
    project.write("tests:\n  - {name: none, given: {data: []}, expect: {row_count: 0}}\n", kind=kind)
    result = only(project.run())
    assert str(result.outcome) == outcome
    assert result.message.startswith("KeyError: 'amount'" if kind == "csv" else "")


@pytest.mark.long
def test_bounds_of_the_job_hold(project):
    step = "timeout_seconds: 1\nprocessing_script: |\n  while len(data) >= 0: pass\n  result = data\n"
    project.write("tests:\n  - {name: slow, given: {data: []}, expect: {row_count: 0}}\n", step=step)
    result = only(project.run())
    assert (str(result.outcome), result.message) == ("failed", "the step took longer than 1 s and was ended")


@pytest.mark.parametrize(
    ("tests", "content", "message"),
    [
        (FILE, ORDERS, "there is no file 'tests/expected.csv'"),
        (FILE.replace("expected.csv", "folder"), ORDERS, "tests/folder is no regular file"),
        (FILE.replace("expected.csv", "ragged.csv"), ORDERS, "tests/ragged.csv cannot be read as CSV: line 2"),
        (FILE.replace("expected.csv", "text.csv"), "", "the data cannot be read as CSV: it is empty"),
    ],
)
def test_files_that_are_not_what_they_should_be(project, tests, content, message):
    project.write(tests)
    project.put("tests/orders.csv", content)
    project.put("tests/ragged.csv", "a,b\n1\n")
    (project.folder / "tests" / "folder").mkdir()
    result = only(project.run())
    assert str(result.outcome) == ("failed" if not content else "error")
    assert message in result.message


def test_expected_files_are_written_when_that_is_asked_for(project):
    project.write(FILE)
    project.put("tests/orders.csv", ORDERS)
    assert str(only(project.run()).outcome) == "error"
    written = only(project.run(update=True))
    assert (str(written.outcome), written.updated) == ("passed", "tests/expected.csv")
    expected = project.folder / "tests" / "expected.csv"
    assert expected.read_text() == "region,amount\nnorth,120\n"
    expected.write_text("amount,region\n120.0,north\n")
    same = only(project.run(update=True))
    assert (str(same.outcome), same.updated) == ("passed", ""), "what fits is left as it is"
    expected.write_text("region,amount\nnorth,121\n")
    assert str(only(project.run()).outcome) == "failed"
    assert only(project.run(update=True)).updated == "tests/expected.csv"
    assert sorted(path.name for path in expected.parent.iterdir()) == ["expected.csv", "orders.csv"]


def read_from_file(job_file, location):
    source = "api\n  location: https://api.example.com/orders\n  response_format: csv\n"
    text = job_file.read_text()
    assert source in text
    job_file.write_text(text.replace(source, f"file\n  location: {location}\n  file_type: csv\n"))


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("jobs.d/orders.yaml", "an expected file is a CSV"),
        (".git/config", "no part of a job: secrets may stand there"),
        (".git/hooks/a.csv", "no part of a job: secrets may stand there"),
        ("out/expected.csv", "a link that leads out of the project"),
        ("tests/orders.csv", "it is the data that the job or its test reads"),
        ("tests/../tests/orders.csv", "is not inside the project"),
        ("tests/link.csv", "it is the data that the job or its test reads"),
        ("data/orders.csv", "it is the data that the job or its test reads"),
    ],
)
def test_only_a_csv_of_the_project_that_is_no_data_is_written(project, tmp_path_factory, location, message):
    outside = tmp_path_factory.mktemp("outside")
    (project.folder / "out").symlink_to(outside)
    project.put("tests/orders.csv", ORDERS)
    project.put("data/orders.csv", ORDERS)
    project.put(".git/config", "[core]\n")
    (project.folder / "tests" / "link.csv").symlink_to("orders.csv")
    read_from_file(project.write(FILE.replace("tests/expected.csv", location)), "data/orders.csv")
    before = {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    result = only(project.run(update=True))
    assert (str(result.outcome), message in result.message) == ("error", True), result.message
    assert {path: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()} == before
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("location", ["tests/link.csv", "out/secret.csv"])
@pytest.mark.parametrize("place", ["tests/orders.csv", "tests/expected.csv"])
def test_a_link_leads_no_test_out_of_the_project(project, tmp_path_factory, location, place):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.csv").write_text("region,amount\ns3cret,500\n")
    (project.folder / "out").symlink_to(outside)
    project.put("tests/orders.csv", ORDERS)
    (project.folder / "tests" / "link.csv").symlink_to(outside / "secret.csv")
    project.write(FILE.replace(place, location))
    result = only(project.run())
    assert (str(result.outcome), "leads out of the project" in result.message) == ("error", True)
    assert "s3cret" not in str(result)


@pytest.mark.parametrize("pattern", ["data/2025/01/day-*.csv", "data/**/day-[0-9].csv", "data/**"])
def test_data_that_a_pattern_finds_is_not_written(project, pattern):
    read_from_file(project.write(FILE.replace("tests/expected.csv", "data/2025/01/day-2.csv")), pattern)
    project.put("tests/orders.csv", ORDERS)
    kept = project.put("data/2025/01/day-2.csv", "region,amount\n")
    assert "it is the data that the job or its test reads" in only(project.run(update=True)).message
    assert kept.read_text() == "region,amount\n"


def test_two_results_cannot_be_written_to_one_file(project):
    tests = FILE + FILE.removeprefix("tests:\n").replace("from a file", "other").replace(
        "tests/orders.csv", "[{region: x, amount: 500}]"
    )
    project.write(tests)
    project.put("tests/orders.csv", ORDERS)
    report = project.run(update=True)
    assert sorted(str(one.outcome) for one in report.results) == ["error", "passed"]
    assert "just written from another test" in next(one.message for one in report.results if one.message)


def test_a_failed_step_writes_nothing(project):
    project.write(FILE)
    project.put("tests/orders.csv", "region\nnorth\n")
    assert str(only(project.run(update=True)).outcome) == "failed"
    assert not (project.folder / "tests" / "expected.csv").exists()


def test_steps_have_no_way_out(project):
    secret = project.put("secret.txt", "s3cret")
    step = f"processing_script: |\n  open({str(secret)!r}).read()\n  result = data\n"
    project.write("tests:\n  - {name: out, given: {data: []}, expect: {error: PermissionError}}\n", step=step)
    assert results(project.run()) == [("out", "passed")]


@pytest.mark.long
def test_ctrl_c_ends_the_tests_that_run(project):
    step = "processing_script: |\n  while len(data) >= 0: pass\n"
    project.write(
        "tests:\n  - {name: slow, given: {data: []}, expect: {error: x}}\n", step=step + "  result = data\n"
    )
    (job,) = project.select().jobs
    with open_bench(project.settings, workers=2) as bench:

        def interrupt():
            time.sleep(0.2)
            raise KeyboardInterrupt

        slow = partial(bench.run, job.job, job.tests[0])
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            bench.in_parallel([slow, interrupt, slow, slow], workers=2)
        assert time.monotonic() - started < 10
        assert bench.run(job.job, job.tests[0]).outcome.failure.kind == "cancelled"


SEVERAL = """\
job_name: joined
schedule_time: "0 9 * * *"
consumer_emails: [analyst@example.com]
data_sources:
  orders:
    source_type: database
    location: ${env:DB_URL}
    query: SELECT * FROM orders WHERE number > ${run:cursor}
  prices:
    source_type: file
    location: prices/*.csv
    file_type: csv
    delimiter: ";"
    decimal: ","
    dtypes: {sku: string}
incremental: {cursor: number, initial_value: 1}
"""
JOIN = """\
processing_query: |
  SELECT orders.number, prices.price FROM data AS orders JOIN prices USING (sku)
  WHERE orders.number > ${run:cursor} ORDER BY ALL
"""
GIVEN = """\
tests:
  - name: joins
    given:
      orders: [{number: 1, sku: "007"}, {number: 2, sku: "007"}]
      prices: tests/prices.csv
    expect:
      rows: [{number: 2, price: 1.5}]
"""


def put_several(project, step, tests=GIVEN, more=""):
    project.put("prices/a.csv", "sku;price\n")
    project.put("tests/prices.csv", "sku;price\n007;1,5\n")
    project.put("jobs.d/joined.yaml", SEVERAL + step + more + tests)


def test_each_source_is_read_as_the_job_says_and_the_cursor_is_where_a_first_run_starts(project):
    put_several(project, JOIN)
    assert results(project.run()) == [("joins", "passed")]
    script = (
        "processing_script: |\n  assert run.data_interval_start.hour == 9 and run.data_interval_start.day == 1\n"
        "  result = data[data.number > run.cursor].merge(prices, on='sku')[['number', 'price']]\n"
    )
    put_several(project, script)
    report = project.run()
    assert results(report) == [("joins", "passed")], only(report)


def test_the_rows_of_a_database_may_be_in_any_file(project):
    project.put("tests/orders.ndjson", '{"number": 2, "sku": "007"}\n')
    rows = '[{number: 1, sku: "007"}, {number: 2, sku: "007"}]'
    put_several(project, JOIN, GIVEN.replace(rows, "tests/orders.ndjson"))
    assert results(project.run()) == [("joins", "passed")]


def test_checks_hold_in_a_test_as_in_a_run(project):
    checks = "checks:\n  - {max: {column: price, value: 1}%s}\n  - {unique: sku, on: input, source: prices}\n"
    put_several(project, JOIN, more=checks % ", blocking: false")
    assert results(project.run()) == [("joins", "passed")]
    put_several(project, JOIN, more=checks % "")
    result = only(project.run())
    assert (str(result.outcome), "price is at most 1" in result.message) == ("failed", True)
    expecting = GIVEN.replace("rows: [{number: 2, price: 1.5}]", "error: price is at most 1")
    put_several(project, JOIN, expecting, more=checks % "")
    assert results(project.run()) == [("joins", "passed")]


def test_the_few_rows_of_a_test_are_not_counted_and_nothing_is_said_to_be_kept(project):
    counts = "checks:\n  - row_count: {min: 100}\n  - {row_count: {min: 100}, on: input}\n"
    put_several(project, JOIN, more=counts)
    assert results(project.run()) == [("joins", "passed")]
    put_several(project, JOIN, more=f"{counts}  - max: {{column: price, value: 1}}\n")
    result = only(project.run())
    assert result.message == "1 check failed: price is at most 1 (1 row)"
    assert result.hint == "Look at the rows that fail. Correct the step or its data, or change the check."


def test_what_is_given_must_be_for_each_source_and_no_other():
    job = SimpleNamespace(data_sources=(SimpleNamespace(name="orders"), SimpleNamespace(name="prices")))
    one = Given(source="orders")
    with pytest.raises(InputError, match="the test gives nothing for prices"):
        given_sources(job, SimpleNamespace(given=(one,)))
    with pytest.raises(InputError, match="the job has no source 'stock'") as raised:
        given_sources(job, SimpleNamespace(given=(one, Given(source="stock"))))
    assert raised.value.hint == "Its sources are orders, prices."
