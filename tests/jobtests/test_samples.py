from datetime import UTC, datetime

import pytest

from runner.errors import UsageError
from runner.jobtests.samples import SampleRequest, run_sample, run_samples

MOMENT = datetime(2026, 3, 1, 8, tzinfo=UTC)
GIVEN = "tests:\n  - {name: one, given: {data: [{region: north}, {region: south}]}, expect: {row_count: 1}}\n"


def place_of(path, text):
    for number, line in enumerate(path.read_text().split("\n"), start=1):
        if text in line:
            return number, line.index(text) + 1, len(line) + 1
    raise AssertionError(text)


def samples(project, *paths, folder=None):
    return run_samples(paths, project.settings, folder=folder or project.folder)


def test_a_missing_column_is_found_at_the_line_of_the_script(project):
    path = project.write(GIVEN)
    found = samples(project, "jobs.d/orders.yaml")
    (one,) = found.diagnostics
    assert (one.path, one.rule, str(one.severity)) == ("jobs.d/orders.yaml", "sample-run-failed", "error")
    assert (one.line, one.column, one.end_column) == place_of(path, 'result = data[data["amount"] > 100]')
    assert one.message == "KeyError: 'amount'"
    assert one.hint.startswith(
        "Seen on what the test 'one' gives. `data` has the columns region. No given row has "
    )
    assert found.texts == {"jobs.d/orders.yaml": path.read_text()}


def test_a_query_is_told_at_its_line(project):
    path = project.write(GIVEN, step="processing_query: |\n  SELECT region,\n    amuont\n  FROM data\n")
    (one,) = samples(project, "jobs.d/orders.yaml").diagnostics
    assert (one.line, one.column, one.end_column) == place_of(path, "amuont")
    assert 'Referenced column "amuont" not found' in one.message


def test_a_script_of_its_own_file(project):
    project.put("steps/orders.py", '\nimport json\n\nresult = data["amount"].map(json.dumps)\n')
    project.write(GIVEN, step="processing_script_file: steps/orders.py\n")
    found = samples(project, "jobs.d/orders.yaml")
    (one,) = found.diagnostics
    assert (one.path, one.line, one.column) == ("steps/orders.py", 4, 1)
    assert "import json" in found.texts["steps/orders.py"]


@pytest.mark.parametrize(
    ("step", "text", "message"),
    [
        (
            "processing_script: |\n  def f(): raise ValueError('a\\nb')\n  result = f()\n",
            "def f()",
            "ValueError: a",
        ),
        (
            "processing_script: |\n  result = data\n  globals().pop('result')\n",
            "result = data",
            "ended without a variable named `result`",
        ),
    ],
)
def test_other_failures_of_a_script(project, step, text, message):
    path = project.write(GIVEN, step=step)
    (one,) = samples(project, "jobs.d/orders.yaml").diagnostics
    assert (one.line, one.column) == place_of(path, text)[:2]
    assert message in one.message
    assert "\n" not in one.message


def test_what_cannot_be_read_is_told_at_the_test(project):
    path = project.write("tests:\n  - {name: one, given: {data: t.csv}, expect: {row_count: 1}}\n")
    project.put("t.csv", "")
    (one,) = samples(project, "jobs.d/orders.yaml").diagnostics
    assert one.line == place_of(path, "{name: one")[0]
    assert "cannot be read as CSV" in one.message


def test_jobs_that_have_nothing_to_try_are_passed_over(project):
    project.write(name="plain")
    project.write("nonsense: 1\n" + GIVEN, name="broken")
    project.write(GIVEN.replace("{row_count: 1}", "{error: KeyError}"), name="error")
    project.write(GIVEN, name="not-asked-for")
    project.write(
        GIVEN.replace("region", "amount").replace(": north", ": 1").replace(": south", ": 2"), name="good"
    )
    names = ("plain", "broken", "error", "good")
    assert samples(project, *(f"jobs.d/{name}.yaml" for name in names)).diagnostics == ()


def test_paths_are_those_of_the_working_folder(project):
    project.write(GIVEN)
    (one,) = samples(project, "orders.yaml", folder=project.jobs).diagnostics
    assert one.path == "orders.yaml"


def sample(project, rows, **more):
    request = SampleRequest(job_name="orders", rows=rows, **more)
    return run_sample(project.settings, request, folder=project.folder, clock=lambda: MOMENT)


def test_a_sample_of_rows(project):
    project.write(GIVEN.replace("region: north", "amount: 101").replace("region: south", "amount: 102"))
    report = sample(project, 1)
    assert (str(report.run.state), report.run.rows_in, report.run.rows_out) == ("succeeded", 1, 1)
    assert report.preview.rows == (("101",),)
    assert "first row that the test 'one' gives" in report.run.note
    more = sample(project, 5).run
    assert more.rows_in == 2
    assert more.note.startswith("a sample: at most the first 5 rows that the test 'one' gives of each source; ")


@pytest.mark.parametrize(
    ("content", "rows_in", "state"), [("amount\n1\n101\n102\n", 2, "succeeded"), ("", None, "failed")]
)
def test_a_sample_of_a_file(project, content, rows_in, state):
    project.write("tests:\n  - {name: one, given: {data: t.csv}, expect: {row_count: 1}}\n")
    project.put("t.csv", content)
    run = sample(project, 2).run
    assert (run.rows_in, str(run.state)) == (rows_in, state)


def test_the_time_of_a_sample_is_in_the_zone_of_the_job(project):
    project.write("timezone: Europe/Berlin\n" + GIVEN)
    report = sample(project, 1, scheduled_time=datetime(2026, 7, 1, 9))
    assert report.run.scheduled_time == datetime(2026, 7, 1, 7, tzinfo=UTC)


def test_a_sample_that_fails(project):
    project.write(GIVEN)
    report = sample(project, 1, scheduled_time=MOMENT)
    assert str(report.run.state) == "failed"
    assert report.run.failure.message.startswith("KeyError: 'amount'")
    assert report.run.scheduled_time == MOMENT
    assert not (project.folder / "data").exists(), "nothing is recorded"


def test_a_job_without_tests_has_no_sample(project):
    project.write()
    with pytest.raises(UsageError, match="orders has no tests"):
        sample(project, 1)
