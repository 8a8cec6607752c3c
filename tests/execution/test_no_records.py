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
