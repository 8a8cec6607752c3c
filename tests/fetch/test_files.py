import errno
import os
import threading
import time
from dataclasses import replace

import pytest

from runner.core.job_policy import RunBounds
from runner.core.source import DataSource, FileType, SourceType
from runner.errors import FetchError
from runner.fetch import files, places
from runner.fetch.fetching import fetch


def file_source(location):
    return DataSource(source_type=SourceType.FILE, location=str(location), format=FileType.CSV)


def test_a_relative_location_starts_at_the_project(make_context):
    context = make_context()
    (context.project_dir / "data").mkdir()
    (context.project_dir / "data" / "sales.csv").write_text("a,b\n1,2\n")
    fetched = fetch(file_source("./data/sales.csv"), context)
    assert fetched.paths[0] == context.project_dir / "data" / "sales.csv"
    assert fetched.bytes == 8
    assert fetched.description == f"{fetched.paths[0]}, 8 bytes"


def test_an_absolute_location_and_a_link_are_read_in_place(make_context, tmp_path):
    (tmp_path / "real.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert fetch(file_source(tmp_path / "link.csv"), make_context()).paths == (tmp_path / "link.csv",)


@pytest.mark.parametrize("location", ["in/*.csv", "linked.csv"])
def test_a_name_in_another_encoding_is_told_with_its_file(make_context, location):
    context = make_context()
    (context.project_dir / "in").mkdir()
    named = os.fsdecode("in/Umsätze.csv".encode("latin-1"))
    (context.project_dir / named).write_text("a\n1\n")
    (context.project_dir / "linked.csv").symlink_to(named)
    context = replace(context, bounds=RunBounds(data_roots=(".",)))
    with pytest.raises(FetchError, match=r"/in/Ums\ufffdtze\.csv, or of a folder that it is in, is not UTF-8"):
        fetch(file_source(location), context)


def test_facts_of_the_run_choose_the_file(make_context):
    context = make_context()
    (context.project_dir / "sales-2025-11-09.csv").write_text("a\n1\n")
    fetched = fetch(file_source("sales-${run:scheduled_date}.csv"), context)
    assert fetched.paths[0].name == "sales-2025-11-09.csv"


def test_a_missing_file_is_named_with_the_rule(make_context):
    context = make_context()
    with pytest.raises(FetchError) as caught:
        fetch(file_source("data/no.csv"), context)
    assert f"there is no file {context.project_dir}/data/no.csv" in caught.value.message
    assert f"relative locations start at {context.project_dir}" in caught.value.message


def test_what_is_no_regular_file_is_refused_at_once(make_context):
    context = make_context()
    os.mkfifo(context.project_dir / "pipe.csv")
    for location, word in {"pipe.csv": "no regular file", "/dev/zero": "no regular file", ".": "a folder"}.items():
        with pytest.raises(FetchError, match=word):
            fetch(file_source(location), context)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(make_context):
    context = make_context()
    (context.project_dir / "secret.csv").write_text("a\n")
    (context.project_dir / "secret.csv").chmod(0)
    with pytest.raises(FetchError, match="Permission denied"):
        fetch(file_source("secret.csv"), context)


@pytest.mark.parametrize("location", ["a\0b.csv", "x" * 5000])
def test_what_cannot_be_a_path_is_told(make_context, location):
    with pytest.raises(FetchError):
        fetch(file_source(location), make_context())


def test_secrets_in_the_location_are_masked(make_context):
    with pytest.raises(FetchError) as caught:
        fetch(file_source("${env:PLACE}/no.csv"), make_context(environ={"PLACE": "tenant-4711"}))
    assert "tenant-4711" not in caught.value.message
    assert "***/no.csv" in caught.value.message


def write(folder, *names, text="a\n1\n"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(location, context):
    return [str(path.relative_to(context.project_dir)) for path in fetch(file_source(location), context).paths]


def test_a_pattern_names_files_in_the_order_of_their_paths(make_context):
    context = make_context()
    write(context.project_dir, "in/o-2.csv", "in/o-1.csv", "in/.o-0.csv", "in/x.txt", "in/b/c/o-3.csv")
    (context.project_dir / "in" / "round").symlink_to(context.project_dir / "in")
    fetched = fetch(file_source("in/o-*.csv"), context)
    assert fetched.paths == (context.project_dir / "in" / "o-1.csv", context.project_dir / "in" / "o-2.csv")
    assert fetched.bytes == 8
    assert fetched.description == f"2 files of {context.project_dir}/in/o-*.csv, 8 bytes"
    assert found("in/**/o-?.csv", context) == ["in/b/c/o-3.csv", "in/o-1.csv", "in/o-2.csv"]
    assert found("in/b/**", context) == ["in/b/c/o-3.csv"]
    assert found("*/[b]/c/*", context) == ["in/b/c/o-3.csv"]


def test_a_name_that_is_there_is_no_pattern(make_context):
    context = make_context()
    write(context.project_dir, "report[1].csv", "report1.csv")
    assert found("report[1].csv", context) == ["report[1].csv"]


def test_a_folder_that_cannot_be_read_is_told_and_not_left_out(make_context):
    context = make_context()
    write(context.project_dir, "in/a/x.csv", "in/b/x.csv")
    (context.project_dir / "in" / "loop").symlink_to("loop")
    # A link that leads nowhere is no folder; one that is named is.
    assert found("in/*/x.csv", context) == ["in/a/x.csv", "in/b/x.csv"]
    with pytest.raises(FetchError, match=r"/in/loop cannot be looked at, .*: Too many levels"):
        fetch(file_source("in/loop/*.csv"), context)


def test_what_the_repair_of_a_disk_finds_is_no_data(make_context):
    """Each disk that is mounted on its own has such a folder, which root alone may read."""
    context = make_context()
    write(context.project_dir, "in/a/x.csv", "in/lost+found/x.csv", "in/a/lost+found")
    assert found("in/**/x.csv", context) == ["in/a/x.csv"]
    assert found("in/*/x.csv", context) == ["in/a/x.csv"]
    assert found("in/**", context) == ["in/a/x.csv"]
    assert found("in/lost+found/*.csv", context) == ["in/lost+found/x.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_told(make_context):
    context = make_context()
    write(context.project_dir, "in/a/x.csv", "in/b/x.csv")
    (context.project_dir / "in" / "b").chmod(0)
    try:
        for pattern in ("in/*/*.csv", "in/*/x.csv", "in/**/x.csv"):
            with pytest.raises(FetchError, match=r"/in/b\S* cannot be looked at, .*: Permission denied"):
                fetch(file_source(pattern), context)
    finally:
        (context.project_dir / "in" / "b").chmod(0o700)


def test_a_pattern_without_files_says_where_it_looked(make_context):
    context = make_context()
    with pytest.raises(FetchError, match="no file matches") as caught:
        fetch(file_source("in/o-*.csv"), context)
    assert f"{context.project_dir}/in/o-*.csv" in caught.value.message


def test_a_folder_among_the_matches_is_refused(make_context):
    context = make_context()
    write(context.project_dir, "in/a.csv", "in/b/c.csv")
    with pytest.raises(FetchError, match="in/b is a folder"):
        fetch(file_source("in/*"), context)


def test_a_search_ends_in_time_and_when_cancelled(make_context):
    context = make_context(timeout_seconds=0.0)
    with pytest.raises(FetchError, match="not found within 0 s"):
        fetch(file_source("**/*.csv"), context)
    context = make_context()
    context.cancelled.set()
    with pytest.raises(FetchError, match="cancelled"):
        fetch(file_source("**/*.csv"), context)


@pytest.fixture
def silent(monkeypatch):
    """A file system that gives no answer to who opens a file, until the test is over."""
    over = threading.Event()

    def wait(*_, **__):
        over.wait(5)
        raise OSError(errno.EIO, "it answers now")

    monkeypatch.setattr(places.os, "open", wait)
    yield
    over.set()


@pytest.mark.long
@pytest.mark.usefixtures("silent")
def test_a_file_system_that_does_not_answer_holds_up_no_run(make_context, monkeypatch):
    """As one on a network whose server is away: no signal wakes who waits for it."""
    monkeypatch.setattr(files, "SILENCE_SECONDS", 0.2)
    context = make_context(timeout_seconds=0.1)
    with pytest.raises(FetchError, match="gives no answer") as caught:
        fetch(file_source("sales.csv"), context)
    assert f"{context.project_dir}/sales.csv" in caught.value.message
    context = make_context()
    context.cancelled.set()
    with pytest.raises(FetchError, match="cancelled"):
        fetch(file_source("sales.csv"), context)


def test_a_root_that_does_not_answer_holds_up_no_file_of_another(make_context, mount, tmp_path):
    write(tmp_path, "project/data/in.csv", "project/linked/in.csv", "lake/a.csv", "out.csv")
    (tmp_path / "link").symlink_to("lake")
    roots = (
        str(mount.path),
        "data",
        str(tmp_path / "project" / "linked" / ".." / "linked"),
        str(tmp_path / "link"),
    )
    context = make_context(bounds=RunBounds(data_roots=roots))
    mount.goes()
    for location in ("data/in.csv", "linked/in.csv"):
        assert fetch(file_source(location), context).paths == (context.project_dir / location,)
    mount.comes_back()
    assert fetch(file_source(tmp_path / "link/a.csv"), context).paths == (tmp_path / "lake/a.csv",)
    with pytest.raises(FetchError, match="outside the data roots"):
        fetch(file_source(tmp_path / "out.csv"), context)


@pytest.mark.long
def test_a_project_that_does_not_answer_holds_up_no_file_elsewhere(make_context, mount, tmp_path):
    write(tmp_path, "elsewhere/in.csv", "elsewhere/secrets.txt")
    (mount.path / ".env").symlink_to(tmp_path / "elsewhere" / "secrets.txt")
    context = make_context(project_dir=mount.path)
    for _ in range(2):
        assert fetch(file_source(tmp_path / "elsewhere/in.csv"), context).bytes
        with pytest.raises(FetchError, match="belongs to the system or to the runner itself"):
            fetch(file_source(tmp_path / "elsewhere/secrets.txt"), context)
        mount.goes()


def test_of_a_project_that_never_answered_no_file_is_read(make_context, mount, tmp_path):
    write(tmp_path, "elsewhere/in.csv")
    mount.goes()
    with pytest.raises(FetchError, match=r"where .*/mount/\.env lies gives no answer: it was waited for 0\.3 s"):
        fetch(file_source(tmp_path / "elsewhere/in.csv"), make_context(project_dir=mount.path))


def test_where_no_thread_can_be_started_that_is_told(make_context, use_up_threads):
    use_up_threads()
    with pytest.raises(FetchError, match="no other thread can be started") as caught:
        fetch(file_source("sales.csv"), make_context())
    assert "ulimit -u" in caught.value.hint


@pytest.mark.long
def test_many_files_that_answer_slowly_are_waited_for(make_context, monkeypatch):
    monkeypatch.setattr(files, "SILENCE_SECONDS", 0.0)
    context = make_context(timeout_seconds=1.0)
    write(context.project_dir, *(f"{number}.csv" for number in range(6)))
    opened = os.open

    def slow(*arguments):
        time.sleep(0.25)
        return opened(*arguments)

    monkeypatch.setattr(places.os, "open", slow)
    assert len(fetch(file_source("*.csv"), context).paths) == 6


def test_too_many_files_and_too_many_bytes_are_refused(make_context, monkeypatch):
    context = make_context()
    write(context.project_dir, "a.csv", "b.csv", "c.csv")
    source = DataSource(source_type=SourceType.FILE, location="*.csv", format=FileType.CSV, max_bytes=11)
    with pytest.raises(FetchError, match=r"12 bytes, more than the 11 bytes that `max_bytes` allows"):
        fetch(source, context)
    monkeypatch.setattr("runner.fetch.files.LARGEST_MATCH", 2)
    with pytest.raises(FetchError, match="more than 2 files"):
        fetch(file_source("*.csv"), context)


def test_data_roots_hold_also_through_links(make_context, tmp_path):
    context = make_context(bounds=RunBounds(data_roots=("data", str(tmp_path / "lake"))))
    write(context.project_dir, "data/in.csv", "out.csv")
    write(tmp_path, "lake/a.csv.gz", "lakes/b.csv")
    links = context.project_dir / "data"
    (links / "leaves.csv").symlink_to(tmp_path / "lakes" / "b.csv")
    (links / "stays.csv.gz").symlink_to(tmp_path / "lake" / "a.csv.gz")
    (links / "up").symlink_to(tmp_path / "lakes")
    assert fetch(file_source("data/in.csv"), context).paths == (links / "in.csv",)
    # What is read is what was checked, whatever becomes of the link.
    assert fetch(file_source("data/stays.csv.gz"), context).paths == (tmp_path / "lake" / "a.csv.gz",)
    for location in ("out.csv", "data/leaves.csv", "data/up/b.csv", "data/*.csv", tmp_path / "lakes/b.csv"):
        with pytest.raises(FetchError, match="outside the data roots"):
            fetch(file_source(location), context)
    with pytest.raises(FetchError, match="outside the data roots"):
        fetch(file_source("data/in.csv"), make_context(bounds=RunBounds(data_roots=())))


def test_the_runner_s_own_files_are_never_a_source(make_context):
    project = make_context().project_dir
    run_dir = project / "data" / "runs" / "01k9m"
    context = make_context(run_dir=run_dir, environ={"JOB_STORAGE_PATH": "./data/prod.db"})
    own = (
        ".env",
        ".git/config",
        "data/prod.db",
        "data/prod.db-wal",
        "data/runner.lock",
        "data/mail/a.eml",
        "data/runs/x/r.csv",
    )
    write(project, *own, "data/orders.csv", "data/shop.db")
    os.link(project / "data/prod.db", project / "data/hard.csv")
    (project / "data/soft.csv").symlink_to(project / ".env")
    for location in (*own, "data/hard.csv", "data/soft.csv", "/proc/self/environ", f"/proc/{os.getpid()}/environ"):
        with pytest.raises(FetchError, match="belongs to the system or to the runner"):
            fetch(file_source(location), context)
    assert found("data/orders.csv", context) == ["data/orders.csv"]
    assert found("data/shop.db", context) == ["data/shop.db"]


def test_what_git_annex_keeps_in_the_folder_of_git_is_a_source(make_context):
    """A file that is committed is a link to there, as DataLad too has it."""
    context = make_context()
    kept = ".git/annex/objects/Kx/7p/MD5E-s2--ab.csv/MD5E-s2--ab.csv"
    write(context.project_dir, kept, ".git/config", "data/other.csv")
    (context.project_dir / "data/orders.csv").symlink_to(f"../{kept}")
    (context.project_dir / "data/odd.csv").symlink_to("../.git/annex/objects/../../config")
    assert found("data/orders.csv", context) == ["data/orders.csv"]
    with pytest.raises(FetchError, match="belongs to the system or to the runner"):
        fetch(file_source("data/odd.csv"), context)


@pytest.mark.parametrize("cursor", ["../../etc/passwd", "*", "a\0b", ".."])
def test_a_cursor_leads_nowhere_else(make_context, cursor):
    context = make_context()
    context = make_context(facts={**context.facts, "cursor": cursor})
    with pytest.raises(FetchError, match=r"cannot stand in data_source.location"):
        fetch(file_source("in/${run:cursor}/x.csv"), context)


def test_other_schemes_are_no_files(make_context):
    with pytest.raises(FetchError, match="begins with https://, which is no place of files"):
        fetch(file_source("https://example.com/a.csv"), make_context())


def append(path):
    with path.open("a") as file:
        file.write("2\n")


@pytest.mark.parametrize(
    ("change", "written", "rewritten"),
    [
        (lambda path: path.read_text(), False, False),
        (lambda path: path.chmod(0o600), False, False),
        (append, True, False),
        (lambda path: path.write_text("a\n3\n4\n"), True, True),
        (lambda path: path.write_text("a\n3\n"), True, True),
        (lambda path: path.write_text("a\n"), True, True),
        (lambda path: path.with_name("new").rename(path), False, False),
        (lambda path: path.unlink(), False, False),
    ],
    ids=["read", "mode", "appended to", "longer", "as long", "shorter", "another", "gone"],
)
def test_a_file_that_is_read_in_place_tells_what_was_written_to_it(
    make_context, tmp_path, change, written, rewritten
):
    path = tmp_path / "a.csv"
    for name in ("a.csv", "new"):
        (tmp_path / name).write_text("a\n1\n")
    os.utime(path, (0, 0))
    (file,) = fetch(file_source(path), make_context()).in_place
    assert not file.was_written_to()
    change(path)
    assert (file.was_written_to(), file.was_rewritten()) == (written, rewritten)
