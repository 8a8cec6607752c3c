import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.core.catalog import Catalog, SyncState, advance
from runner.core.job_defaults import JobDefaults
from runner.core.job_policy import RunBounds
from runner.errors import ThreadError
from runner.jobfiles.data_looks import DataLooks
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.lint.query_process import QueryProcess
from runner.jobfiles.load import JobFolder
from runner.jobfiles.walk import FolderGoneError, list_job_files

NOBODY = 65534


@pytest.fixture
def folder(project):
    return JobFolder(project / "jobs.d", project, JobDefaults())


@pytest.fixture
def job(minimal):
    return lambda name: minimal.replace("sales\n", f"{name}\n", 1)


def names(files):
    return {file.path: file.job.job_name if file.job else None for file in files}


def test_job_files_are_found_at_any_depth(folder, write, job):
    for path in (
        "a.yaml",
        "b.yml",
        "team/x/c.yaml",
        "_old/d.yaml",
        "_notes.yaml",
        ".e.yaml",
        ".hidden/f.yaml",
        "g.json",
        "h.YAML",
    ):
        write(f"jobs.d/{path}", job(path.replace("/", "-").split(".")[0].replace("_", "") or "x"))
    assert names(folder.scan()) == {
        "jobs.d/_old/d.yaml": "old-d",
        "jobs.d/a.yaml": "a",
        "jobs.d/b.yml": "b",
        "jobs.d/team/x/c.yaml": "team-x-c",
    }


def test_a_changed_file_is_checked_again_and_others_are_not(folder, write, job):
    write("jobs.d/a.yaml", job("a"))
    write("jobs.d/b.yaml", job("b"))
    first = folder.scan()
    write("jobs.d/b.yaml", job("c"))
    second = folder.scan()
    assert names(second) == {"jobs.d/a.yaml": "a", "jobs.d/b.yaml": "c"}
    assert second[0] is first[0]


def test_a_change_that_keeps_size_and_times_is_seen(folder, write, job):
    path = write("jobs.d/a.yaml", job("a"))
    folder.scan()
    times = path.stat()
    write("jobs.d/a.yaml", job("b"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert names(folder.scan()) == {"jobs.d/a.yaml": "b"}


def test_a_settled_file_is_not_read_again(project, write, job):
    path = write("jobs.d/a.yaml", job("a"))
    later = path.stat().st_ctime_ns + 10_000_000_000
    folder = JobFolder(project / "jobs.d", project, JobDefaults(), clock=lambda: later)
    (first,) = folder.scan()
    os.utime(path, ns=(0, path.stat().st_mtime_ns))  # moves ctime: read once more, and found to be the same
    assert folder.scan()[0] is first
    path.chmod(0o600)
    assert folder.scan()[0] is first


@pytest.mark.parametrize("in_file", [True, False])
def test_a_query_that_could_not_be_checked_is_checked_again_without_a_change(
    project, write, job, monkeypatch, in_file
):
    write("jobs.d/q.sql", "SELECT 1")
    step = "processing_query_file: jobs.d/q.sql\n" if in_file else "processing_query: SELECT 1\n"
    path = write("jobs.d/a.yaml", job("a") + step)
    later = path.stat().st_ctime_ns + 10_000_000_000
    queries = QueryProcess()
    folder = JobFolder(
        project / "jobs.d", project, JobDefaults(), clock=lambda: later, query_fault=queries.find_faults
    )
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    for _ in range(2):
        (file,) = folder.scan()
        queries.close()
        assert (file.job, [found.rule for found in file.diagnostics]) == (None, ["query-syntax"])
    monkeypatch.undo()
    (file,) = folder.scan()
    queries.close()
    assert (file.job.job_name, file.diagnostics) == ("a", ())
    assert folder.scan()[0] is file


def test_removed_files_are_gone_at_once(folder, write, job):
    path = write("jobs.d/a.yaml", job("a"))
    assert len(folder.scan()) == 1
    path.unlink()
    assert folder.scan() == ()


def test_a_folder_that_is_gone_is_told_apart_from_an_empty_one(folder, project, write, job):
    write("jobs.d/a.yaml", job("a"))
    before = folder.scan()
    (project / "jobs.d").rename(project / "away")
    with pytest.raises(FolderGoneError, match=r"jobs\.d"):
        folder.scan()
    (project / "away").rename(project / "jobs.d")
    assert folder.scan() == before


def test_a_changed_step_file_changes_its_job(folder, write, minimal):
    write("steps/a.py", "result = data\n")
    write("jobs.d/a.yaml", minimal + "processing_script_file: steps/a.py\n")
    (first,) = folder.scan()
    write("steps/a.py", "result = list\n")
    (second,) = folder.scan()
    assert (first.job.step.text, second.job.step.text) == ("result = data\n", "result = list\n")
    assert first.digest != second.digest
    write("steps/a.py", "x = data\n")
    assert folder.scan()[0].job is None


def test_a_data_file_that_comes_later_takes_its_warning_away(folder, project, write, minimal):
    (project / "sales.csv").unlink()
    write("jobs.d/a.yaml", minimal)
    assert [found.rule for found in folder.scan()[0].diagnostics] == ["missing-file"]
    write("sales.csv", "a\n1\n")
    (second,) = folder.scan()
    assert second.diagnostics == ()
    write("sales.csv", "a\n1\n2\n")
    assert folder.scan()[0] is second


def test_a_bad_file_stops_no_other(folder, write, job):
    write("jobs.d/a.yaml", b"\xff")
    write("jobs.d/b.yaml", "[" * 50_000)
    os.mkfifo(write("jobs.d/c.txt", "").with_name("c.yaml"))
    write("jobs.d/d.yaml", job("d"))
    files = folder.scan()
    assert names(files) == {
        "jobs.d/a.yaml": None,
        "jobs.d/b.yaml": None,
        "jobs.d/c.yaml": None,
        "jobs.d/d.yaml": "d",
    }
    assert [file.diagnostics[0].rule for file in files[:3]] == ["not-utf8", "too-deep", "not-a-file"]
    assert folder.scan() == files


def test_the_layout_of_a_config_map(project, write, job):
    real = project / "jobs.d"
    for version in ("..1", "..2"):
        write(f"jobs.d/{version}/a.yaml", job(f"v{version[2:]}"))
    (real / "..data").symlink_to("..1")
    (real / "a.yaml").symlink_to("..data/a.yaml")
    folder = JobFolder(real, project, JobDefaults())
    assert names(folder.scan()) == {"jobs.d/a.yaml": "v1"}
    (real / "new").symlink_to("..2")
    (real / "new").rename(real / "..data")
    assert names(folder.scan()) == {"jobs.d/a.yaml": "v2"}


def test_a_link_that_is_turned_to_another_checkout(tmp_path, minimal):
    for version in ("one", "two"):
        place = tmp_path / version / "jobs.d"
        place.mkdir(parents=True)
        (place / "a.yaml").write_text(minimal.replace("sales\n", f"{version}\n", 1))
    (tmp_path / "current").symlink_to("one")
    folder = JobFolder(tmp_path / "current/jobs.d", tmp_path / "current", JobDefaults())
    assert names(folder.scan()) == {"jobs.d/a.yaml": "one"}
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "current")
    assert names(folder.scan()) == {"jobs.d/a.yaml": "two"}


def test_links_are_followed_and_circles_are_not(project, write, job):
    write("jobs.d/team/a.yaml", job("a"))
    write("shared/b.yaml", job("b"))
    (project / "jobs.d/team/up").symlink_to("..")
    (project / "jobs.d/again").symlink_to("team")
    (project / "jobs.d/shared").symlink_to("../shared")
    assert list_job_files(project / "jobs.d").files == ("shared/b.yaml", "team/a.yaml")


def test_names_that_are_no_utf8_can_be_shown_and_are_not_in_force(folder, project, job):
    for name in (b"caf\xe9.yaml", b"caf\xff.yaml"):
        (project / "jobs.d" / os.fsdecode(name)).write_text(job("a"))
    (file,) = folder.scan()
    assert (file.path, file.job) == ("jobs.d/caf\ufffd.yaml", None)
    assert [found.rule for found in file.diagnostics] == ["not-utf8"]


def git(project, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-C", project, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_jobs_carry_their_revision(folder, project, write, job):
    write("jobs.d/a.yaml", job("a"))
    write("jobs.d/b.yaml", job("b"))
    assert folder.scan()[0].job.revision == ""
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    commit = git(project, "rev-parse", "HEAD")
    assert [file.job.revision for file in folder.scan()] == [commit, commit]
    write("jobs.d/b.yaml", job("c"))
    assert [file.job.revision for file in folder.scan()] == [commit, f"{commit}+dirty"]
    git(project, "commit", "-qam", "two")
    second = git(project, "rev-parse", "HEAD")
    assert {file.job.revision for file in folder.scan()} == {second}


@pytest.mark.long
def test_a_thousand_files_are_scanned_soon(lines_run, folder, write, job):
    for number in range(1000):
        write(
            f"jobs.d/job{number}.yaml",
            job(f"job{number}") + f"processing_script: |\n  x = {number}\n  result = data\n",
        )
    files, lines = lines_run(folder.scan)
    assert sum(file.job is not None for file in files) == 1000
    assert lines < 2_500 * len(files), "no file is held against the others"


def test_a_change_of_the_policy_reaches_the_bounds_of_jobs_whose_files_do_not_change(folder, write, job):
    write("jobs.d/a.yaml", job("a"))
    policy = write("jobs.d/_policy.yaml", "private_hosts: [localhost]\nallowed_imports: [scipy]\n")
    catalog, _ = advance(Catalog(), folder.scan())
    before = catalog.jobs["a"]
    assert before.bounds == RunBounds(private_hosts=("localhost",), allowed_imports=("scipy",))
    policy.write_text("data_roots: [.]\nallowed_hosts: [api.example.com]\n")
    catalog, change = advance(catalog, folder.scan())
    after = catalog.jobs["a"]
    assert after.bounds == RunBounds(allowed_hosts=("api.example.com",), data_roots=(".",))
    assert (change.changed, after.digest) == (("a",), before.digest)
    policy.unlink()
    folder.scan()  # what is gone must be seen gone twice
    catalog, change = advance(catalog, folder.scan())
    assert (catalog.jobs["a"].bounds, change.changed) == (RunBounds(), ("a",))


def test_a_job_that_a_tightened_policy_refuses_goes_on_under_the_new_bounds(folder, write):
    source = "{source_type: api, location: 'http://127.0.0.1/a'}"
    write(
        "jobs.d/a.yaml",
        f"job_name: a\nschedule_time: '@daily'\ndata_source: {source}\nconsumer_emails: [a@example.com]\n",
    )
    policy = write("jobs.d/_policy.yaml", "private_hosts: [127.0.0.1]\n")
    catalog, _ = advance(Catalog(), folder.scan())
    assert catalog.jobs["a"].bounds.allows_private("127.0.0.1")
    policy.write_text("private_hosts: []\n")
    catalog, _ = advance(catalog, folder.scan())
    assert catalog.entries[0].sync is SyncState.INVALID
    assert not catalog.jobs["a"].bounds.allows_private("127.0.0.1")
    policy.write_text("private_hosts: oops\n")
    catalog, _ = advance(catalog, folder.scan())
    assert not catalog.jobs["a"].bounds.allows_private("127.0.0.1"), "nothing is known of a broken policy"


def test_a_job_whose_recipients_a_tightened_policy_refuses_goes_on_without_them(folder, write, job):
    write("jobs.d/a.yaml", job("a"))
    catalog, _ = advance(Catalog(), folder.scan())
    (recipient,) = catalog.jobs["a"].consumer_emails
    write("jobs.d/_policy.yaml", "recipient_domains: [other.example]\n")
    catalog, _ = advance(catalog, folder.scan())
    assert catalog.entries[0].sync is SyncState.INVALID
    assert not catalog.jobs["a"].bounds.allows_recipient(recipient)


@pytest.fixture
def mounted(write, job, mount):
    """A job whose data file is on the mount."""
    write("mount/sales.csv", "n\n1\n")
    write("jobs.d/a.yaml", job("a").replace("sales.csv", "mount/sales.csv"))
    return mount


def rules(files):
    return {file.path: [found.rule for found in file.diagnostics] for file in files}


def test_where_no_data_file_answers_the_folder_is_followed(folder, write, job, mounted):
    mounted.goes()
    first = folder.scan()
    assert names(first) == {"jobs.d/a.yaml": "a"}
    assert rules(first) == {"jobs.d/a.yaml": ["no-answer"]}
    held = len(mounted.held)
    write("jobs.d/b.yaml", job("b"))
    second = folder.scan()
    assert names(second) == {"jobs.d/a.yaml": "a", "jobs.d/b.yaml": "b"}
    assert folder.scan() is second
    assert len(mounted.held) == held, "what is known to be silent is not waited for"
    mounted.comes_back()
    assert rules(folder.scan()) == {"jobs.d/a.yaml": [], "jobs.d/b.yaml": []}


def test_a_mount_that_goes_away_later_changes_no_job(folder, mounted):
    (first,) = folder.scan()
    mounted.goes()
    (second,) = folder.scan()
    assert (second.job, second.digest) == (first.job, first.digest)
    assert [str(found.severity) for found in second.diagnostics] == ["warning"]


@pytest.mark.parametrize(
    ("root", "inside"),
    [
        ("{project}", ["here.csv", "data/c.csv"]),
        (".", ["here.csv", "data/c.csv"]),
        ("{project}/..", ["here.csv", "data/c.csv", "../beside.csv", "../project2/d.csv"]),
        ("..", ["here.csv", "data/c.csv", "../beside.csv", "../project2/d.csv"]),
        ("/", ["here.csv", "data/c.csv", "../beside.csv", "../project2/d.csv", "/far.csv"]),
        ("data", ["data/c.csv"]),
        ("{project}/../project2", ["../project2/d.csv"]),
        ("../project", ["here.csv", "data/c.csv"]),
    ],
)
def test_a_root_may_be_the_folder_of_the_project_or_one_above_it(tmp_path, job, root, inside):
    jobs = tmp_path / "up" / "project" / "jobs.d"
    jobs.mkdir(parents=True)
    project = str(jobs.parent)
    (jobs / "_policy.yaml").write_text(f"data_roots: ['{root.format(project=project)}']\n")
    locations = ["here.csv", "data/c.csv", "../beside.csv", "../project2/d.csv", "/far.csv"]
    for number, location in enumerate(locations):
        (jobs / f"job-{number}.yaml").write_text(job(f"job-{number}").replace("sales.csv", location))
    found = rules(JobFolder(jobs, jobs.parent, JobDefaults()).scan())
    allowed = [
        location
        for number, location in enumerate(locations)
        if "outside-data-roots" not in found[f"jobs.d/job-{number}.yaml"]
    ]
    assert allowed == inside


def test_data_files_of_new_jobs_are_asked_for_by_the_batch(folder, write, job, monkeypatch):
    asked = []
    ask = DataLooks.ask
    monkeypatch.setattr(
        DataLooks, "ask", lambda self, look, *paths: asked.append(paths) or ask(self, look, *paths)
    )
    write("jobs.d/_policy.yaml", "data_roots: [data]\n")
    for number in range(30):
        write(f"jobs.d/job-{number}.yaml", job(f"job-{number}").replace("sales.csv", f"data/{number}.csv"))
    found = rules(folder.scan())
    assert all(found[f"jobs.d/job-{number}.yaml"] == ["missing-file"] for number in range(30))
    # A warning is told by the full check, which is one file's after the other: from what is known by then.
    together = [paths for paths in asked if len(paths) >= 30]
    assert len(together) == 2
    assert not [paths for paths in asked if len(paths) == 1]


def test_a_path_that_no_file_can_have_is_looked_at_with_others(project, write):
    """As one with letters that the encoding of the system's names lacks: here, half a character."""
    write("data/a.csv", "n\n1\n")
    odd = "data/\ud800.csv"
    source = WorkingFiles(project)
    assert (source.look(odd), source.real_path(odd)) == (None, odd)
    source.look_ahead([odd, "data/a.csv"], resolved=[odd, "data/a.csv"])
    assert source.look(odd) is None
    assert source.look("data/a.csv") is not None
    assert [source.real_path(one) for one in (odd, "data/a.csv")] == [odd, "data/a.csv"]


@contextmanager
def as_nobody():
    """As a user whom permissions hold: they hold root from nothing."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_what_may_not_be_looked_at_is_told(job):
    with tempfile.TemporaryDirectory() as place:
        project = Path(place)
        project.chmod(0o755)
        (project / "jobs.d").mkdir()
        (project / "in" / "deep").mkdir(parents=True)
        (project / "in" / "a.csv").write_text("n\n1\n")
        for name, location in (("a", "in/*.csv"), ("b", "in/a.csv"), ("c", "in/deep/*.csv")):
            (project / "jobs.d" / f"{name}.yaml").write_text(job(name).replace("sales.csv", location))
        folder = JobFolder(project / "jobs.d", project, JobDefaults())
        assert rules(folder.scan()) == {f"jobs.d/{name}.yaml": [] for name in "abc"}
        (project / "in").chmod(0o600 if os.geteuid() == 0 else 0)
        with as_nobody():
            found = folder.scan()
        assert rules(found) == {f"jobs.d/{name}.yaml": ["missing-file"] for name in "abc"}
        assert [file.diagnostics[0].message for file in found] == [
            f"{location!r} may not be looked at by this user" for location in ("in", "in/a.csv", "in/deep")
        ]
        assert all(file.job is not None for file in found)
        (project / "in").chmod(0o755)
        assert rules(folder.scan()) == {f"jobs.d/{name}.yaml": [] for name in "abc"}


def test_data_roots_where_nothing_answers_are_left_to_the_run(folder, write, job, mounted):
    write("jobs.d/_policy.yaml", "data_roots: [mount, data]\n")
    write("jobs.d/b.yaml", job("b"))
    write("jobs.d/c.yaml", job("c").replace("sales.csv", "data/c.csv"))
    write("data/c.csv", "n\n1\n")
    mounted.goes()
    assert rules(folder.scan()) == {
        "jobs.d/a.yaml": ["no-answer"],
        # It may be that the root leads there.
        "jobs.d/b.yaml": ["no-answer"],
        "jobs.d/c.yaml": [],
    }
    mounted.comes_back()
    assert rules(folder.scan()) == {
        "jobs.d/a.yaml": [],
        "jobs.d/b.yaml": ["outside-data-roots"],
        "jobs.d/c.yaml": [],
    }


def test_without_a_thread_to_look_at_data_files_no_job_is_lost(folder, write, job, use_up_threads):
    write("jobs.d/a.yaml", job("a"))
    with pytest.MonkeyPatch.context() as patch:
        use_up_threads(patch)
        with pytest.raises(ThreadError):
            folder.scan()
    (first,) = folder.scan()
    folder.scan()
    with pytest.MonkeyPatch.context() as patch:
        use_up_threads(patch)
        with pytest.raises(ThreadError):
            folder.scan()
    assert folder.scan()[0] is first
