import pandas as pd
import pytest

from runner.core.check import Check, CheckKind, CheckTarget
from runner.core.job import AttachmentFormat, Chart, ChartKind, StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.results import ATTACHMENT_FILES

STEPS = {
    StepKind.SCRIPT: "result = data[data['n'] > run.cursor]",
    StepKind.QUERY: "SELECT n FROM data WHERE n > ${run:cursor}",
    StepKind.PASS_THROUGH: "",
}
NOTE = "The data has no records: the step was not run."
ANSWERS = [
    (FileType.JSON, "[]", None),
    (FileType.JSON, " [ ]\n", None),
    (FileType.JSON, '{"items": [], "next": null}', "items"),
    (FileType.JSON, '{"items": [], "next": "' + "x" * (2 << 20) + '"}', "items"),
    (FileType.JSON, '{"items": null}', "items"),
    (FileType.JSON, '{"data": {"items": null}}', "data.items[*].order"),
    (FileType.JSON, '{"items": null, "next": "' + "x" * (2 << 20) + '"}', "items"),
    (FileType.JSON, "null", None),
    (FileType.NDJSON, "", None),
    (FileType.NDJSON, "\n\n", None),
]


@pytest.fixture(params=STEPS, ids=str)
def run(bench, request):
    """The outcome of a step that needs a column, over data that has none."""

    def running(source="[]", kind=FileType.JSON, records_path=None, **more):
        return bench.run(
            STEPS[request.param],
            kind=request.param,
            source=source,
            kind_of_file=kind,
            records_path=records_path,
            cursor_column="n",
            cursor=7,
            **more,
        )

    running.kind = request.param
    return running


@pytest.mark.parametrize(("kind", "source", "records_path"), ANSWERS)
def test_a_step_over_no_records_is_not_run(run, bench, kind, source, records_path):
    outcome = run(source, kind, records_path)
    assert (outcome.failure, outcome.note) == (None, NOTE)
    assert (outcome.rows_in, outcome.rows_out, outcome.cursor) == (0, 0, None)
    assert (outcome.result_file, outcome.result_bytes) == ("result.csv", 0)
    assert (outcome.preview.columns, outcome.preview.rows, outcome.preview.total_rows) == ((), (), 0)
    assert (bench.folder / "run-1" / "result.csv").read_bytes() == b""


def test_its_checks_hold_but_for_the_number_of_rows(run):
    checks = [
        Check(kind=CheckKind.NOT_NULL, columns=("n",), on=target)
        for target in (CheckTarget.INPUT, CheckTarget.RESULT)
    ]
    checks.append(Check(kind=CheckKind.UNIQUE, columns=("n",)))
    checks.append(Check(kind=CheckKind.ROW_COUNT, at_least=1, blocking=False))
    checks.append(Check(kind=CheckKind.ROW_COUNT, at_least=1, blocking=False, on=CheckTarget.INPUT))
    outcome = run(checks=tuple(checks))
    assert (outcome.failure, outcome.note) == (None, NOTE)
    assert sorted(check.passed for check in outcome.checks) == [False, False, True, True, True]
    assert [check.found for check in outcome.checks if not check.passed] == ["there are 0 rows"] * 2


@pytest.mark.parametrize("target", [CheckTarget.INPUT, CheckTarget.RESULT])
def test_a_blocking_check_of_the_number_of_rows_fails_it(run, target):
    outcome = run(checks=(Check(kind=CheckKind.ROW_COUNT, at_least=1, on=target),))
    assert outcome.failure.kind is FailureKind.CHECK
    assert "there are 0 rows" in outcome.failure.message


@pytest.mark.parametrize("attachment", [AttachmentFormat.XLSX, AttachmentFormat.PARQUET])
def test_what_is_attached_is_empty_too_and_there_is_no_chart(run, bench, attachment):
    outcome = run(attachment=attachment, chart=Chart(kind=ChartKind.BAR, x="n", y=("n",)))
    assert (outcome.failure, outcome.note, outcome.chart_file) == (None, NOTE, None)
    path = bench.folder / "run-1" / ATTACHMENT_FILES[attachment]
    found = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_excel(path, engine="calamine")
    assert found.shape == (0, 0)


def test_a_step_with_other_data_beside_it_is_run(bench, tmp_path):
    empty, full = tmp_path / "empty.json", tmp_path / "full.json"
    empty.write_text("[]")
    full.write_text('[{"a": 1}]')
    inputs = tuple(StepInput(name=path.stem, paths=(str(path),), format=FileType.JSON) for path in (empty, full))
    assert bench.csv("result = full.assign(n=len(empty))", inputs=inputs) == "a,n\n1,0\n"
    query = 'SELECT a, (SELECT count(*) FROM empty) AS n FROM "full"'
    assert bench.csv(query, kind=StepKind.QUERY, inputs=inputs) == "a,n\n1,0\n"
    assert bench.run(kind=StepKind.PASS_THROUGH, inputs=inputs).note == NOTE


def test_rows_without_members_and_columns_without_rows_are_data(bench):
    more = {"kind_of_file": FileType.JSON}
    assert bench.csv("result = {'n': len(data)}", source="[{}]", **more) == "n\n1\n"
    assert bench.csv("result = data", source='{"a": [], "b": []}', **more) == "a,b\n"
    assert bench.csv("SELECT count(*) AS n FROM data", kind=StepKind.QUERY, source="[{}]", **more) == "n\n1\n"


@pytest.fixture
def quiet(tmp_path):
    """A source without a record, and one with rows."""
    orders, regions = tmp_path / "orders.json", tmp_path / "regions.csv"
    orders.write_text("[]")
    regions.write_text("region,name\nn,North\n")
    return (
        StepInput(name="orders", paths=(str(orders),), format=FileType.JSON),
        StepInput(name="regions", paths=(str(regions),), format=FileType.CSV),
    )


QUERY = "SELECT name, sum(o.amount) AS total FROM {} o RIGHT JOIN regions r USING (region) GROUP BY ALL"
NAMED = "(SELECT NULL AS region, NULL AS amount WHERE false UNION ALL BY NAME FROM orders)"


@pytest.mark.parametrize("back", [False, True], ids=["first", "last"])
@pytest.mark.parametrize(
    ("kind", "text", "failure"),
    [
        (StepKind.QUERY, QUERY.format("orders"), FailureKind.QUERY),
        (StepKind.SCRIPT, "result = orders.merge(regions)", FailureKind.SCRIPT),
        (StepKind.SCRIPT, "result = regions[regions['region'].isin(orders['region'])]", FailureKind.SCRIPT),
        (StepKind.SCRIPT, "result = orders", FailureKind.RESULT),
    ],
)
def test_a_step_that_fails_says_which_source_has_no_columns(bench, quiet, kind, text, failure, back):
    found = bench.failure(text, kind=kind, inputs=quiet[::-1] if back else quiet)
    assert found.kind is failure
    assert "The source orders has no records, and so no columns." in found.hint
    todo = 'UNION ALL BY NAME FROM "orders"' if kind is StepKind.QUERY else "if orders.empty:"
    assert todo in found.hint


def test_all_sources_without_columns_are_named_and_no_others(bench, quiet):
    orders, regions = quiet
    (bench.folder / "nothing").write_bytes(b"")
    returns = StepInput(name="returns", paths=(str(bench.folder / "nothing"),), format=FileType.NDJSON)
    inputs = (orders, regions, returns)
    hint = bench.failure("SELECT nope FROM regions", kind=StepKind.QUERY, inputs=inputs).hint
    assert "The sources orders, returns have no records" in hint
    assert "The sources orders, returns have no records" in bench.failure("regions['nope']", inputs=inputs).hint
    assert "no records" not in bench.failure("regions['nope']", inputs=(regions,)).hint


def test_what_the_hint_says_can_be_done(bench, quiet):
    text = QUERY.format(NAMED)
    assert bench.csv(text, kind=StepKind.QUERY, inputs=quiet) == "name,total\nNorth,\n"
    script = "if orders.empty: result = pd.DataFrame(columns=['a'])\nelse: result = orders[['region']]"
    assert bench.csv(script, inputs=quiet) == "a\n"


def test_a_first_source_without_records_passes_through_beside_one_that_is_checked(bench, quiet):
    checks = (Check(kind=CheckKind.NOT_NULL, columns=("name",), on=CheckTarget.INPUT, source="regions"),)
    outcome = bench.run(kind=StepKind.PASS_THROUGH, inputs=quiet, checks=checks)
    assert (outcome.failure, outcome.note) == (None, NOTE)
    assert [check.passed for check in outcome.checks] == [True]


def test_a_job_without_a_step_has_no_script_to_see_to_it(bench):
    failure = bench.failure(kind=StepKind.PASS_THROUGH, source="[]", kind_of_file=FileType.JSON, always_run=True)
    assert failure.kind is FailureKind.RESULT
    assert "script" not in failure.hint


def test_a_null_beside_errors_says_that_the_api_has_failed(run):
    failure = run('{"data": null, "errors": [{"message": "rate limited"}]}', records_path="data").failure
    assert failure.kind is FailureKind.FETCH
    assert failure.message == (
        "`records_path: data` finds nothing, no array of records; the object has data, errors; "
        'the first of its errors is {"message": "rate limited"}'
    )
    assert failure.hint.startswith("Its list `errors` says why")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"status": "error", "message": "quota exceeded"}', ': {"status": "error", "message": "quota exceeded"}'),
        ('{"error": "\\ud800"}', '"}'),
        ('{"message": "' + "x" * 200 + '"}', ""),
        ('{"rows": [{"n": 1}]}', ""),
    ],
)
def test_a_short_answer_that_has_no_records_is_told(run, answer, told):
    """Of a long one nothing: a secret that is cut in two could not be masked."""
    for path in ("items", None):
        failure = run(answer, records_path=path).failure
        assert failure.kind is FailureKind.FETCH
        assert failure.message.endswith(told)
        assert (answer[:12] in failure.message) is bool(told)
