import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runner.core.diagnostic import Severity
from runner.core.job_defaults import JobDefaults
from runner.errors import UsageError
from runner.jobfiles import paths
from runner.jobfiles.paths import check_paths
from runner.jobfiles.walk import FolderGoneError, SilentFolderError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def run(project):
    def call(*paths, folder=project):
        return check_paths(
            [folder / path for path in paths],
            jobs_dir=project / "jobs.d",
            folder=folder,
            defaults=JobDefaults(),
            now=NOW,
        )

    return call


def rules(validation):
    return [(found.path, found.rule) for found in validation.diagnostics]


def test_no_path_is_the_folder_of_jobs(run, write, minimal):
    write("jobs.d/team/a.yaml", minimal)
    assert [file.path for file in run().files] == ["jobs.d/team/a.yaml"]


def test_a_missing_folder_of_jobs_is_no_empty_one(run, project):
    assert run().files == ()
    (project / "jobs.d").rmdir()
    with pytest.raises(FolderGoneError):
        run()


def test_files_and_folders_are_checked_once(run, write, minimal):
    write("jobs.d/a.yaml", minimal)
    assert len(run("jobs.d", "jobs.d/a.yaml", "jobs.d/../jobs.d/a.yaml").files) == 1


def test_a_path_that_is_not_there_is_wrong_usage(run):
    with pytest.raises(UsageError, match="nothing"):
        run("nothing.yaml")


def test_names_are_compared_within_a_project(run, write, project, minimal):
    for path in ("jobs.d/a.yaml", "jobs.d/b.yaml", "other/jobs.d/a.yaml"):
        write(path, minimal)
    write("other/sales.csv", "a\n")
    assert rules(run("jobs.d", "other")) == [
        ("jobs.d/a.yaml", "duplicate-job-name"),
        ("jobs.d/b.yaml", "duplicate-job-name"),
    ]


def test_locations_belong_to_the_nearest_folder_of_jobs(run, write, minimal):
    write("other/jobs.d/deep/a.yaml", minimal)
    assert rules(run("other/jobs.d/deep/a.yaml")) == [("other/jobs.d/deep/a.yaml", "missing-file")]
    write("other/sales.csv", "a\n")
    assert rules(run("other/jobs.d/deep/a.yaml")) == []
    write("loose.yaml", minimal)
    assert rules(run("loose.yaml")) == []


def test_paths_outside_the_working_folder_are_shown_in_full(run, write, project, minimal, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a.yaml"
    elsewhere.write_text(minimal)
    (file,) = run(elsewhere).files
    assert file.path == str(elsewhere)


def test_files_that_are_no_jobs_are_passed_over(run, write):
    write("jobs.d/_defaults.yaml", "x")
    assert run("jobs.d/_defaults.yaml", "jobs.d").files == ()


def test_a_job_file_whose_name_ends_in_capitals_is_told(run, write, minimal):
    for name in ("Sales.YAML", "team/b.Yml", "_c.YAML", ".d.YAML", "e.YAML.bak"):
        write(f"jobs.d/{name}", minimal)
    validation = run()
    assert (validation.files, rules(validation)) == (
        (),
        [("jobs.d/Sales.YAML", "job-file-name"), ("jobs.d/team/b.Yml", "job-file-name")],
    )
    first = validation.diagnostics[0]
    assert first.severity is Severity.WARNING
    assert first.hint == "Rename it to Sales.yaml, or give it a _ in front if it is none."
    given = run("jobs.d/Sales.YAML")
    assert (len(given.files), rules(given)) == (1, [("jobs.d/Sales.YAML", "job-file-name")])


def test_the_files_around_jobs_are_looked_at_when_they_are_given(run, write):
    write("jobs.d/team/_defaults.yaml", "time_zone: UTC\n")
    write("jobs.d/_policy.yaml", "max_timeout: 5\n")
    write("jobs.d/_other.yaml", "x")
    policy, team = ("jobs.d/_policy.yaml", "unknown-key"), ("jobs.d/team/_defaults.yaml", "unknown-key")
    assert rules(run("jobs.d/_policy.yaml")) == [policy]
    assert rules(run("jobs.d/team/_defaults.yaml")) == [policy, team]
    assert rules(run("jobs.d/_other.yaml")) == []
    write("jobs.d/_policy.yaml", "max_timeout_seconds: 5\n")
    good = run("jobs.d/_policy.yaml", "jobs.d/_other.yaml")
    assert (good.files, good.layer_files, rules(good)) == ((), ("jobs.d/_policy.yaml",), [])
    assert run("jobs.d").layer_files == ()


def test_a_link_that_leads_nowhere_is_a_finding(run, project):
    (project / "jobs.d/a.yaml").symlink_to("gone.yaml")
    assert rules(run("jobs.d")) == [("jobs.d/a.yaml", "missing-file")]
    assert rules(run("jobs.d/a.yaml")) == [("jobs.d/a.yaml", "missing-file")]


def test_a_pipe_is_a_finding(run, project):
    os.mkfifo(project / "jobs.d/a.yaml")
    assert rules(run()) == [("jobs.d/a.yaml", "not-a-file")]


@pytest.fixture
def job(write, minimal):
    """`job(name, "a, b")` → writes a job that comes after a and b; without names, one of a schedule."""

    def call(name, after="", *, path=None):
        when = f"after: [{after}]" if after else 'schedule_time: "0 9 * * 1-5"'
        text = minimal.replace("job_name: sales", f"job_name: {name}")
        write(path or f"jobs.d/{name}.yaml", text.replace('schedule_time: "0 9 * * 1-5"', when))

    return call


def test_the_jobs_before_one_are_looked_for_in_its_whole_tree(run, job, write):
    job("orders", path="jobs.d/load/orders.yaml")
    job("report", "orders, ordrs", path="jobs.d/team/report.yaml")
    write("jobs.d/load/_defaults.yaml", "timezone: Moon\n")
    write("jobs.d/broken.yaml", "job_name: [\n")
    found = run("jobs.d/team/report.yaml")
    assert rules(found) == [("jobs.d/team/report.yaml", "after-unknown-job")]
    assert [file.path for file in found.files] == ["jobs.d/team/report.yaml"]
    assert not found.files[0].good
    assert rules(run("jobs.d/team")) == rules(found)
    write("jobs.d/load/_defaults.yaml", "timezone: UTC\n")
    job("ordrs", "report")
    assert rules(run("jobs.d/ordrs.yaml")) == [("jobs.d/ordrs.yaml", "after-cycle")]
    assert rules(run("jobs.d/load/orders.yaml")) == []


def test_what_only_a_look_at_all_files_shows_comes_with_the_text_it_points_into(run, job):
    job("report", "ordrs")
    job("orders")
    job("orders", path="jobs.d/again.yaml")
    found = run()
    for finding in found.diagnostics:
        line = found.texts[finding.path].splitlines()[finding.line - 1]
        assert line[finding.column - 1 : finding.end_column - 1] in {"ordrs", "orders"}
    assert {finding.path for finding in found.diagnostics} == set(found.texts)


def test_a_job_of_another_project_is_not_there(run, job, write):
    job("report", "orders")
    job("orders", path="other/jobs.d/orders.yaml")
    write("other/sales.csv", "a\n")
    assert rules(run("jobs.d", "other")) == [("jobs.d/report.yaml", "after-unknown-job")]


def test_of_a_file_on_its_own_nobody_knows_the_other_jobs(run, job):
    job("report", "orders", path="drafts/report.yaml")
    assert rules(run("drafts/report.yaml")) == []
    assert rules(run("drafts")) == [("drafts/report.yaml", "after-unknown-job")]


def test_where_a_folder_cannot_be_listed_the_other_jobs_are_not_known(run, job, monkeypatch):
    job("report", "orders")
    real = paths.list_job_files
    monkeypatch.setattr(
        paths, "list_job_files", lambda place: replace(real(place), unreadable=(("x", OSError("no")),))
    )
    assert rules(run("jobs.d/report.yaml")) == []


def test_texts_are_kept_for_snippets(run, write, minimal):
    write("steps/a.py", "x = (\n")
    write("jobs.d/a.yaml", minimal + "processing_script_file: steps/a.py\n")
    validation = run()
    assert rules(validation) == [("steps/a.py", "script-syntax")]
    assert validation.texts["steps/a.py"] == "x = (\n"


def test_a_folder_that_may_not_be_read_is_not_to_be_made():
    closed = FolderGoneError("jobs.d", PermissionError(13, "Permission denied"))
    assert (closed.message, closed.hint) == (
        "the folder jobs.d cannot be listed: Permission denied",
        "Let the user of this process read it.",
    )
    assert FolderGoneError("jobs.d", FileNotFoundError(2, "No such file or directory")).hint.startswith("Make it")


def test_a_folder_below_that_may_not_be_read_is_a_finding_and_not_to_be_made_either(run, job, write, monkeypatch):
    job("report", "orders")
    job("orders", path="jobs.d/closed/orders.yaml")
    write("jobs.d/b.yaml", "x: 1\n")
    scandir = os.scandir

    def refuse(folder):
        if folder.endswith("/closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr("runner.jobfiles.walk.os.scandir", refuse)
    # Nor is it known that there is no job `orders`.
    found, *rest = [one for one in run().diagnostics if one.path != "jobs.d/b.yaml"]
    assert (found.path, found.rule, rest) == ("jobs.d/closed", "unreadable", [])
    assert found.message == "the folder cannot be listed: Permission denied"
    assert found.hint == "Let the user of this process read it."
    assert {"jobs.d/b.yaml", "jobs.d/closed"} == {one.path for one in run("jobs.d/b.yaml", "jobs.d").diagnostics}


def test_a_folder_that_does_not_answer_is_told(mount):
    mount.goes()
    with pytest.raises(SilentFolderError, match="does not answer: it was waited for"):
        check_paths((), jobs_dir=mount.path, folder=mount.path.parent, defaults=JobDefaults(), now=NOW)
