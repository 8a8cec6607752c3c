"""What a team does at a review: the whole folder checked, a job shown as it takes effect, its step tried."""

import json
import os
import re

import pytest

JOB = """\
job_name: {name}
schedule_time: "0 9 * * 1-5"
data_source:
  source_type: file
  location: data.csv
  file_type: csv
processing_script: |
  result = data.groupby("region")[["amount"]].sum()
consumer_emails:
  - analyst@example.com
"""
TESTS = """\
tests:
  - name: sums
    given:
      data:
        - {region: north, total: 1}
    expect:
      row_count: 1
"""


def after(name, names):
    return JOB.format(name=name).replace('schedule_time: "0 9 * * 1-5"', f"after: [{names}]")


@pytest.fixture
def runner(tmp_path, commands):
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "data.csv").write_text("region,amount\nnorth,1\n")

    def call(*arguments, **environ):
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "LANG"}}
        return commands(*arguments, cwd=tmp_path, env={**kept, "HOME": str(tmp_path / "home"), **environ})

    return call


@pytest.fixture
def put(tmp_path):
    def call(name, text):
        path = tmp_path / "jobs.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return call


@pytest.mark.long
def test_a_large_folder_is_checked_by_several_processes_and_remembered(runner, put, tmp_path):
    for number in range(450):
        put(f"job_{number:03d}.yaml", JOB.format(name=f"job_{number:03d}"))
    put("job_100.yaml", JOB.format(name="job_099"))
    put("job_200.yaml", "schedule_time: [\n")
    put("job_300.yaml", after("job_300", "job_301, job_200, job_999"))
    put("job_301.yaml", after("job_301", "job_002"))
    first = runner("validate", "--format", "json")
    document = json.loads(first.stdout)
    assert (first.returncode, first.stderr, document["files"], document["errors"]) == (1, "", 450, 4)
    found = {one["path"]: one["rule"] for one in document["diagnostics"]}
    assert found == {
        "jobs.d/job_099.yaml": "duplicate-job-name",
        "jobs.d/job_100.yaml": "duplicate-job-name",
        "jobs.d/job_200.yaml": "yaml-syntax",
        "jobs.d/job_300.yaml": "after-unknown-job",
    }
    assert json.loads(runner("validate", "--format", "json").stdout) == document
    (cache,) = (tmp_path / "home/.cache/gitops-runner/verdicts").iterdir()
    cache.unlink()
    assert json.loads(runner("validate", "--format", "json", "--no-cache").stdout) == document
    assert not cache.exists()


@pytest.mark.long
def test_a_policy_that_is_good_by_itself_is_a_file_that_was_checked(runner, put):
    put("_policy.yaml", "max_timeout_seconds: 60\n")
    done = runner("validate", "jobs.d/_policy.yaml")
    assert done.returncode == 0
    assert re.fullmatch(r"1 file checked in [0-9.]+ s: all good\n", done.stdout)


@pytest.mark.long
def test_a_job_is_shown_as_it_takes_effect(runner, put):
    put("sales.yaml", JOB.format(name="sales"))
    put("_defaults.yaml", "timezone: Europe/Berlin\nresources: {memory_mb: 256}\n")
    put("_policy.yaml", "max_timeout_seconds: 60\n")
    done = runner("show", "sales", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["job_name"], document["path"]) == (0, "sales", "jobs.d/sales.yaml")
    values = {one["key"]: (one["value"], one["origin"], one["source"], one["line"]) for one in document["values"]}
    assert values["job_name"] == ("sales", "file", "jobs.d/sales.yaml", 1)
    assert values["timezone"] == ("Europe/Berlin", "defaults", "jobs.d/_defaults.yaml", 1)
    assert values["resources.memory_mb"] == (256, "defaults", "jobs.d/_defaults.yaml", 2)
    assert values["timeout_seconds"] == (60, "policy", "jobs.d/_policy.yaml", None)
    assert values["on_missed"] == ("run_once", "built_in", None, None)
    table = runner("show", "jobs.d/sales.yaml", COLUMNS="120").stdout
    assert "Europe/Berlin" in table
    assert "jobs.d/_defaults.yaml:1" in table
    assert "max_timeout" not in table


@pytest.mark.long
def test_one_file_is_checked_against_the_jobs_it_comes_after(runner, put):
    put("orders.yaml", JOB.format(name="orders"))
    put("report.yaml", after("report", "orders, ordres"))
    done = runner("validate", "jobs.d/report.yaml", "--format", "gnu")
    assert done.stdout == (
        "jobs.d/report.yaml:2.17-2.22: error: report comes after ordres, and there is no such job."
        " Did you mean orders? [after-unknown-job]\n"
    )
    assert done.returncode == 1
    put("report.yaml", after("report", "orders"))
    shown = json.loads(runner("show", "report", "--json").stdout)["values"]
    values = {one["key"]: one["value"] for one in shown}
    assert (values["after"], values["retry.limit"], values["delivery.attachment"]) == (["orders"], 0, "csv")
    assert {"schedule_time", "on_missed"}.isdisjoint(values)


@pytest.mark.long
def test_an_unknown_job_is_not_shown(runner, put):
    put("sales.yaml", JOB.format(name="sales"))
    done = runner("show", "sale")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'sales'?" in done.stderr


@pytest.mark.long
def test_broken_defaults_are_one_finding_and_no_job_is_good(runner, put):
    put("team/a.yaml", JOB.format(name="a"))
    put("team/b.yaml", JOB.format(name="b"))
    put("_defaults.yaml", "timezone: Moon\n")
    done = runner("validate", "--format", "json")
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert (done.returncode, found["path"], found["rule"]) == (1, "jobs.d/_defaults.yaml", "unknown-timezone")
    assert runner("show", "a").returncode == 3


@pytest.mark.long
def test_samples_find_a_missing_column_at_its_line(runner, put):
    put("sales.yaml", JOB.format(name="sales") + TESTS)
    assert runner("validate").returncode == 0
    done = runner("validate", "--run-samples", "--format", "json")
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert (done.returncode, found["rule"], found["line"]) == (1, "sample-run-failed", 8)
    assert "amount" in found["message"]
    assert "total" in found["hint"]


@pytest.mark.parametrize(("kind", "title"), [("job", "Job file"), ("defaults", "Defaults"), ("policy", "Policy")])
def test_each_schema_is_printed(runner, kind, title):
    done = runner("schema", kind)
    assert json.loads(done.stdout)["title"].startswith(title)
