"""Stored jobs become files: written once, never over another file, and checked."""

import json
import resource
from datetime import UTC, datetime

import pytest

from runner.core.job_defaults import JobDefaults
from runner.errors import RunnerError
from runner.jobfiles.predecessor.importing import ImportState, import_jobs
from runner.jobfiles.predecessor.stored_jobs import StoredJobsError

JOB = {
    "job_name": "daily_sales",
    "schedule_time": "0 9 * * 1-5",
    "data_source": {"source_type": "file", "location": "sales.csv", "file_type": "csv"},
    "processing_script": "result = data",
    "consumer_emails": ["analyst@example.com"],
}


@pytest.fixture
def run_import(project):
    """`run_import(output)` → what becomes of the jobs of the project's `jobs.json`."""

    def call(output="jobs.d"):
        return import_jobs(
            project / "jobs.json",
            output_dir=project / output,
            folder=project,
            defaults=JobDefaults(),
            now=datetime(2026, 11, 23, 12, tzinfo=UTC),
        )

    return call


@pytest.fixture
def imports(project, run_import):
    """`imports(job, …)` → what becomes of these jobs, in the project's `jobs.d`."""

    def call(*jobs, output="jobs.d"):
        (project / "jobs.json").write_text(json.dumps(jobs))
        return run_import(output)

    return call


def test_a_good_job_needs_no_attention(imports, project):
    (job,) = imports(JOB)
    assert (job.state, job.path, job.needs_attention) == (ImportState.WRITTEN, "jobs.d/daily_sales.yaml", False)
    assert (project / job.path).read_text().startswith("job_name: daily_sales\n")


def test_a_new_folder_is_made(imports, project):
    (job,) = imports(JOB, output="new/jobs.d")
    assert (project / job.path).is_file()


def test_a_file_that_is_there_stays_whatever_its_suffix(imports, write):
    path = write("jobs.d/daily_sales.yml", "mine")
    (job,) = imports(JOB)
    assert (job.state, job.path, job.needs_attention) == (ImportState.KEPT, "jobs.d/daily_sales.yml", True)
    assert path.read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_written_through(imports, project):
    (project / "jobs.d/daily_sales.yaml").symlink_to(project / "outside.yaml")
    (job,) = imports(JOB)
    assert job.state is ImportState.KEPT
    assert not (project / "outside.yaml").exists()


def test_findings_are_those_of_the_job_itself(imports, write):
    write("jobs.d/old.yaml", "job_name: 3\n")
    bad, good = imports({**JOB, "schedule_time": "61 * * * *", "job_name": "bad"}, JOB)
    assert [found.path for found in bad.findings] == ["jobs.d/bad.yaml"]
    assert bad.needs_attention
    assert good.findings == ()


def test_what_is_missing_is_told_by_the_check(imports):
    (job,) = imports({"job_name": "a", "data_source": {"source_type": "file", "location": "sales"}})
    assert {found.rule for found in job.findings} == {"missing-key", "missing-file"}
    assert job.needs_attention


def test_a_job_that_no_file_can_hold_is_left_out(imports):
    (job,) = imports({**JOB, "description": "\ud800"})
    assert (job.state, job.path, job.needs_attention) == (ImportState.LEFT_OUT, "", True)


def test_no_room_leaves_no_half_a_file(imports, project, run_import):
    imports({**JOB, "schedule_time": "@daily"}, output="other")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(RunnerError) as caught:
            run_import("jobs.d")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.message.startswith("jobs.d/daily_sales.yaml cannot be written: ")
    assert list((project / "jobs.d").iterdir()) == []


def test_a_folder_that_cannot_be_made_stops_the_import(imports, write):
    write("file", "")
    with pytest.raises(RunnerError) as caught:
        imports(JOB, output="file/jobs.d")
    assert caught.value.message.startswith("file/jobs.d/daily_sales.yaml cannot be written: ")


def test_a_file_that_is_not_there_stops_the_import(run_import):
    with pytest.raises(StoredJobsError):
        run_import()


def test_files_name_the_schema_where_the_project_has_it(imports, project):
    (project / "schemas").mkdir()
    (project / "schemas/job.schema.json").write_text("{}")
    (job,) = imports({**JOB, "job_name": "Daily Sales"})
    assert (project / job.path).read_text().splitlines()[:3] == [
        "# yaml-language-server: $schema=../schemas/job.schema.json",
        '# The REST service called this job "Daily Sales".',
        "job_name: daily_sales",
    ]
