import os
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.job_defaults import JobDefaults
from runner.jobfiles import look as look_module
from runner.jobfiles import paths, verdict_cache
from runner.jobfiles.lint.step_fault import StepFault
from runner.jobfiles.paths import check_paths
from runner.jobfiles.verdict_cache import VerdictCache, open_cache

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = 1_700_000_000


@pytest.fixture(autouse=True)
def small_folders_count(monkeypatch):
    monkeypatch.setattr(paths, "_WORTH_A_CACHE", 1)


@pytest.fixture
def checked(monkeypatch):
    """The paths that were really checked."""
    seen = []
    real = look_module.look_at

    def noticed(targets):
        seen.extend(target.shown for target in targets)
        return real(targets)

    monkeypatch.setattr(paths, "look_at", noticed)
    return seen


@pytest.fixture
def validate(project, tmp_path_factory, checked):
    home = tmp_path_factory.mktemp("home")

    def call(*, now=NOW, defaults=None, home=home):
        checked.clear()
        defaults = defaults or JobDefaults()
        return check_paths(
            (),
            jobs_dir=project / "jobs.d",
            folder=project,
            defaults=defaults,
            now=now,
            open_cache=lambda: open_cache(
                {"XDG_CACHE_HOME": str(home)},
                folder=project,
                jobs_dir=project / "jobs.d",
                defaults=defaults,
                now=now,
            ),
        )

    call.home = home
    return call


@pytest.fixture
def old(project):
    """Let files look as if they had been written long ago, as far as a program can: their change time stays."""

    def call():
        for file in project.rglob("*"):
            os.utime(file, (LONG_AGO, LONG_AGO))

    return call


def rules(validation):
    return [(found.path, found.rule) for found in validation.diagnostics]


def test_what_has_not_changed_is_not_checked_again(validate, write, minimal, checked):
    write("jobs.d/good.yaml", minimal)
    write("jobs.d/bad.yaml", minimal.replace("sales.csv", "missing.csv").replace("job_name: sales", "job_name: x"))
    first = validate()
    assert checked == ["jobs.d/bad.yaml", "jobs.d/good.yaml"]
    second = validate()
    assert checked == []
    assert (second.diagnostics, second.texts) == (first.diagnostics, first.texts)
    assert rules(second) == [("jobs.d/bad.yaml", "missing-file")]


def test_a_change_of_content_is_seen_even_with_the_same_times(validate, write, minimal, checked, old):
    write("jobs.d/a.yaml", minimal)
    old()
    assert rules(validate()) == []
    write("jobs.d/a.yaml", minimal.replace("9 * * 1-5", "9 * * 1-9"))
    old()
    assert rules(validate()) == [("jobs.d/a.yaml", "cron-syntax")]
    assert checked == ["jobs.d/a.yaml"]


def test_a_fresh_checkout_of_the_same_content_is_not_checked(validate, write, minimal, checked, project):
    path = write("jobs.d/a.yaml", minimal)
    validate()
    path.unlink()
    time.sleep(0.01)
    write("jobs.d/a.yaml", minimal)
    validate()
    assert checked == []


def test_a_data_file_that_comes_or_goes_is_seen(validate, write, minimal, checked, project):
    write("jobs.d/a.yaml", minimal)
    assert rules(validate()) == []
    (project / "sales.csv").unlink()
    assert rules(validate()) == [("jobs.d/a.yaml", "missing-file")]


def test_a_step_file_is_known_by_its_content(validate, write, minimal, checked):
    write("jobs.d/a.yaml", minimal + "processing_script_file: a.py\n")
    write("a.py", "result = data\n")
    assert rules(validate()) == []
    write("a.py", "result = data\n")
    validate()
    assert checked == []
    write("a.py", "result = data +\n")
    assert rules(validate()) == [("a.py", "script-syntax")]


def test_layers_settings_and_the_day_count(validate, write, minimal, checked):
    write("jobs.d/a.yaml", minimal)
    validate()
    write("jobs.d/_policy.yaml", "recipient_domains: [example.org]\n")
    assert rules(validate()) == [("jobs.d/a.yaml", "recipient-not-allowed")]
    validate(now=NOW + timedelta(days=1))
    assert checked == ["jobs.d/a.yaml"]
    validate(now=NOW + timedelta(days=1), defaults=replace(JobDefaults(), timezone="Asia/Tokyo"))
    assert checked == ["jobs.d/a.yaml"]


def test_what_files_say_of_each_other_is_not_remembered(validate, write, minimal, checked):
    def job(name, when):
        text = minimal.replace("job_name: sales", f"job_name: {name}")
        write(f"jobs.d/{name}.yaml", text.replace('schedule_time: "0 9 * * 1-5"', when))

    job("one", "after: [two]")
    assert rules(validate()) == [("jobs.d/one.yaml", "after-unknown-job")]
    job("two", "after: [one]")
    assert rules(validate()) == [("jobs.d/one.yaml", "after-cycle"), ("jobs.d/two.yaml", "after-cycle")]
    assert checked == ["jobs.d/two.yaml"]
    job("two", "schedule_time: '@daily'\nsuspend: true")
    assert rules(validate()) == [("jobs.d/one.yaml", "after-suspended-job")]
    assert rules(validate()) == [("jobs.d/one.yaml", "after-suspended-job")]
    assert checked == []
    write("jobs.d/_defaults.yaml", "timezone: Asia/Kolkata\n")
    job("two", "schedule_time: '@daily'")
    job("three", "schedule_time: '0 0 * * *'\ntimezone: UTC")
    job("one", "after: [two, three]")
    assert rules(validate()) == rules(validate()) == [("jobs.d/one.yaml", "after-never-meets")]


def test_duplicate_names_are_found_between_known_files(validate, write, minimal, checked):
    write("jobs.d/a.yaml", minimal)
    validate()
    write("jobs.d/b.yaml", minimal)
    assert rules(validate()) == [("jobs.d/a.yaml", "duplicate-job-name"), ("jobs.d/b.yaml", "duplicate-job-name")]
    assert checked == ["jobs.d/b.yaml"]


@pytest.mark.parametrize("content", [b"", b"\xff\xff", b"\x92\xa1x\x80", b"\x91" * 5000])
def test_a_damaged_cache_is_none(validate, write, minimal, checked, content):
    write("jobs.d/a.yaml", minimal)
    validate()
    (file,) = (validate.home / "gitops-runner/verdicts").iterdir()
    file.write_bytes(content)
    assert rules(validate()) == []
    assert checked == ["jobs.d/a.yaml"]
    validate()
    assert checked == []


def test_a_cache_that_cannot_be_written_is_no_fault(validate, write, minimal, tmp_path):
    write("jobs.d/a.yaml", minimal)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    assert rules(validate(home=blocked)) == []
    assert blocked.read_text() == "a file where a folder should be"


def test_only_the_user_can_read_it(validate, write, minimal):
    write("jobs.d/a.yaml", minimal)
    validate()
    folder = validate.home / "gitops-runner/verdicts"
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


def test_no_text_of_a_file_is_kept(validate, write, minimal, checked):
    planted = "password = 'planted4711'\n"
    write("jobs.d/a.yaml", f"{minimal}processing_script_file: a.py\n# {planted}")
    write("jobs.d/b.yaml", f"{minimal.replace('name: sales', 'name: b')}processing_script: |\n  {planted}")
    write("a.py", planted)
    first, second = validate(), validate()
    assert checked == []
    assert first.texts.keys() == {"jobs.d/a.yaml", "jobs.d/b.yaml", "a.py"}
    assert (second.diagnostics, second.texts) == (first.diagnostics, first.texts)
    (file,) = (validate.home / "gitops-runner/verdicts").iterdir()
    assert b"planted" not in file.read_bytes()


def test_a_file_that_changes_right_after_it_was_known_is_checked(validate, write, minimal, checked, monkeypatch):
    write("jobs.d/a.yaml", minimal + "processing_script_file: a.py\n")
    path = write("a.py", "result = data +\n")
    validate()
    real = verdict_cache.read_job_file

    def read(file, shown):
        path.write_text("result = data\n")
        return real(file, shown)

    monkeypatch.setattr(verdict_cache, "read_job_file", read)
    assert rules(validate()) == []


def test_without_a_home_there_is_no_cache(project):
    facts = {"folder": project, "jobs_dir": project / "jobs.d", "defaults": JobDefaults(), "now": NOW}
    assert open_cache({}, **facts) is None
    assert open_cache({"XDG_CACHE_HOME": "relative"}, **facts) is None


def test_what_could_not_be_looked_at_is_not_remembered(project, context, write, minimal, tmp_path):
    def no_answer(text, tables):
        return (StepFault(rule="query-syntax", message="no answer", passing=True),)

    write("jobs.d/a.yaml", f"{minimal}processing_query: SELECT 1\n")
    target = look_module.Target(
        str(project / "jobs.d/a.yaml"), "jobs.d/a.yaml", replace(context, query_fault=no_answer)
    )
    (looked,) = look_module.look_at([target])
    assert not looked.verdict.good
    cache = VerdictCache(tmp_path / "verdicts", "stamp")
    cache.keep(target, looked)
    cache.save()
    assert VerdictCache(tmp_path / "verdicts", "stamp").find(target) is None


def test_two_writers_leave_a_whole_file(project, context, write, minimal, tmp_path):
    write("jobs.d/a.yaml", minimal)
    target = look_module.Target(str(project / "jobs.d/a.yaml"), "jobs.d/a.yaml", context)
    (looked,) = look_module.look_at([target])
    file = tmp_path / "cache" / "verdicts"

    def write_often():
        for _ in range(50):
            cache = VerdictCache(file, "stamp")
            cache.keep(target, looked)
            cache.save()

    threads = [threading.Thread(target=write_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if file.exists():
            assert VerdictCache(file, "stamp").find(target) == looked.verdict
    assert [one.name for one in file.parent.iterdir()] == ["verdicts"]


def test_silence_is_remembered_as_long_as_it_lasts(validate, checked, write, minimal, mount):
    write("mount/sales.csv", "n\n1\n")
    write("jobs.d/a.yaml", minimal.replace("sales.csv", "mount/sales.csv"))
    mount.goes()
    for _ in range(2):
        assert [found.rule for found in validate().diagnostics] == ["no-answer"]
    mount.comes_back()
    assert not validate().diagnostics
    assert checked == ["jobs.d/a.yaml"]
