import os

import pytest

from runner.core.source import DataSource, FileType, SourceType
from runner.errors import FetchError
from runner.fetch.fetching import fetch


def file_source(location):
    return DataSource(source_type=SourceType.FILE, location=str(location), format=FileType.CSV)


def test_a_relative_location_starts_at_the_project(make_context):
    context = make_context()
    (context.project_dir / "data").mkdir()
    (context.project_dir / "data" / "sales.csv").write_text("a,b\n1,2\n")
    fetched = fetch(file_source("./data/sales.csv"), context)
    assert fetched.paths[0] == context.project_dir / "data" / "sales.csv"
    assert (fetched.bytes, fetched.in_place) == (8, True)
    assert fetched.description == f"{fetched.paths[0]}, 8 bytes"


def test_an_absolute_location_and_a_link_are_read_in_place(make_context, tmp_path):
    (tmp_path / "real.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert fetch(file_source(tmp_path / "link.csv"), make_context()).paths == (tmp_path / "link.csv",)


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
