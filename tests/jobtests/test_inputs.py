import os

import pytest

from runner.jobtests.inputs import InputError, project_file, read_expected, write_expected


def test_a_file_of_the_project(tmp_path):
    (tmp_path / "a.csv").write_text("a\n")
    assert project_file(tmp_path, "a.csv") == tmp_path / "a.csv"
    assert read_expected(tmp_path, "a.csv") == b"a\n"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("none.csv", "there is no file 'none.csv'"),
        ("folder", "folder is no regular file"),
        ("pipe", "pipe is no regular file"),
        ("../a.csv", "'../a.csv' is not inside the project"),
        ("/etc/passwd", "'/etc/passwd' is not inside the project"),
        ("a.csv/b.csv", "cannot be read"),
        ("x" * 300, "cannot be read"),
        ("circle.csv", "cannot be read"),
        (".env", "no part of a job: secrets may stand there"),
        ("settings.csv", "no part of a job: secrets may stand there"),
        (".git/config", "no part of a job: secrets may stand there"),
        ("data/runs/01k9m/result.csv", "what is kept of runs and mails are no part of a job"),
        ("kept.csv", "what is kept of runs and mails are no part of a job"),
    ],
)
def test_what_is_no_file_of_the_project(tmp_path, location, reason):
    (tmp_path / "a.csv").write_text("a\n")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle.csv").symlink_to("circle.csv")
    (tmp_path / ".env").write_text("a\n")
    (tmp_path / "settings.csv").symlink_to(".env")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("a\n")
    (tmp_path / "data/runs/01k9m").mkdir(parents=True)
    (tmp_path / "data/runner.lock").touch()
    (tmp_path / "data/runs/01k9m/result.csv").write_text("a\n")
    (tmp_path / "kept.csv").symlink_to("data/runs/01k9m/result.csv")
    with pytest.raises(InputError, match=reason):
        read_expected(tmp_path, location)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(InputError, match=r"large\.csv is larger than 64 MiB"):
        read_expected(tmp_path, "large.csv")


def test_an_expected_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    write_expected(tmp_path, "new/folder/a.csv", b"a\n")
    write_expected(tmp_path, "new/folder/a.csv", b"b\n")
    assert (tmp_path / "new" / "folder" / "a.csv").read_bytes() == b"b\n"
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("../a.csv", "not inside the project"),
        ("folder.csv", "cannot be written"),
        ("file/a.csv", "cannot be written"),
    ],
)
def test_what_cannot_be_written(tmp_path, location, reason):
    (tmp_path / "folder.csv" / "full").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=reason):
        write_expected(tmp_path, location, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv"]
