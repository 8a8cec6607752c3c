"""Files are brought into canonical form one by one; what goes wrong with one is told of, and leaves it as it was."""

import os

import pytest

from runner.errors import UsageError
from runner.jobfiles.canonical.formatting import format_bytes, format_paths
from runner.jobfiles.walk import FolderGoneError

LOOSE = "tags: ['a']\njob_name: a\n"
TIDY = "job_name: a\ntags: [a]\n"


@pytest.fixture
def fmt(project):
    """`fmt(*paths)` → the results of formatting them in the project."""

    def call(*paths, write=True):
        return format_paths(
            [project / path for path in paths], jobs_dir=project / "jobs.d", folder=project, write=write
        )

    return call


def test_a_folder_is_formatted_with_its_settings(fmt, write):
    files = ["jobs.d/_policy.yaml", "jobs.d/deep/_defaults.yaml", "jobs.d/deep/er/a.yaml", "jobs.d/b.yml"]
    texts = ["require_owner: true\nallowed_hosts: []\n", "timeout_seconds: 1\nowner: 'a'\n", LOOSE, TIDY]
    paths = [write(file, text) for file, text in zip(files, texts, strict=True)]
    write("jobs.d/_other.yaml", LOOSE)
    results = fmt()
    assert [(result.path, result.changed) for result in results] == [
        ("jobs.d/_policy.yaml", True),
        ("jobs.d/b.yml", False),
        ("jobs.d/deep/_defaults.yaml", True),
        ("jobs.d/deep/er/a.yaml", True),
    ]
    assert [path.read_text().splitlines()[0] for path in paths] == [
        "allowed_hosts: []",
        "owner: a",
        "job_name: a",
        "job_name: a",
    ]
    assert not any(result.changed for result in fmt())


def test_without_write_nothing_is_written(fmt, write):
    path = write("jobs.d/a.yaml", LOOSE)
    (result,) = fmt("jobs.d/a.yaml", write=False)
    assert (result.before, result.after, result.changed) == (LOOSE, TIDY, True)
    assert path.read_text() == LOOSE


def test_a_byte_order_mark_and_line_ends_count_as_a_change(fmt, write):
    path = write("jobs.d/a.yaml", b"\xef\xbb\xbf" + TIDY.encode())
    (result,) = fmt("jobs.d/a.yaml")
    assert (result.before, result.changed) == ("\ufeff" + TIDY, True)
    assert path.read_bytes() == TIDY.encode()
    write("jobs.d/a.yaml", TIDY.replace("\n", "\r\n"))
    assert fmt("jobs.d/a.yaml")[0].changed


def test_a_file_that_is_named_twice_is_formatted_once(fmt, write, project):
    write("jobs.d/a.yaml", LOOSE)
    (project / "jobs.d/link.yaml").symlink_to("a.yaml")
    assert [result.path for result in fmt("jobs.d", "jobs.d/a.yaml")] == ["jobs.d/a.yaml"]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"a: [", "yaml-syntax"),
        (b"\xff", "not-utf8"),
        (b"a" * 300_000, "too-large"),
        (b"\x00", "bad-character"),
        (b"", "empty-file"),
    ],
)
def test_what_cannot_be_formatted_is_told_of_and_left(fmt, write, content, rule):
    path = write("jobs.d/a.yaml", content)
    (result,) = fmt("jobs.d/a.yaml")
    assert ([found.rule for found in result.findings], result.after, result.changed) == ([rule], None, False)
    assert path.read_bytes() == content
    assert [found.rule for found in format_bytes(content, "<stdin>").findings] == [rule]


def test_a_file_that_cannot_be_written_is_told_of_and_left(fmt, write, monkeypatch, project):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    path = write("jobs.d/a.yaml", LOOSE)
    monkeypatch.setattr(os, "fsync", full)
    (result,) = fmt("jobs.d/a.yaml")
    assert [(found.rule, found.path) for found in result.findings] == [("unwritable", "jobs.d/a.yaml")]
    assert "No space left" in result.findings[0].message
    assert not result.changed
    assert [file.name for file in (project / "jobs.d").iterdir()] == ["a.yaml"]
    assert path.read_text() == LOOSE


def test_a_file_that_changes_meanwhile_is_left_as_it_is_now(fmt, write, monkeypatch, project):
    path = write("jobs.d/a.yaml", LOOSE)
    monkeypatch.setattr(os, "fsync", lambda descriptor: path.write_text("job_name: other\n"))
    (result,) = fmt("jobs.d/a.yaml")
    assert "changed meanwhile" in result.findings[0].message
    assert path.read_text() == "job_name: other\n"
    assert [file.name for file in (project / "jobs.d").iterdir()] == ["a.yaml"]


def test_paths_that_are_not_there_stop_all(fmt, project):
    with pytest.raises(UsageError):
        fmt("jobs.d/none.yaml")
    (project / "jobs.d").rmdir()
    with pytest.raises(FolderGoneError):
        fmt()
