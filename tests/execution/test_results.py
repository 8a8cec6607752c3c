import os

import pytest

from runner.errors import ExecutionError
from runner.execution.results import RESULT_FILE, read_result, result_size


def test_the_result_is_read_up_to_its_cap(tmp_path):
    (tmp_path / RESULT_FILE).write_bytes(b"a\n1\n")
    assert read_result(tmp_path, max_bytes=4) == b"a\n1\n"
    with pytest.raises(ExecutionError, match="larger than 3 bytes"):
        read_result(tmp_path, max_bytes=3)
    (tmp_path / "result.xlsx").write_bytes(b"PK")
    assert read_result(tmp_path, "result.xlsx", max_bytes=4) == b"PK"
    assert result_size(tmp_path, "result.xlsx") == 2


@pytest.mark.parametrize("trick", ["missing", "link", "hard link", "pipe", "folder"])
def test_only_a_plain_file_is_a_result(tmp_path, trick):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = tmp_path / RESULT_FILE
    {
        "missing": lambda: None,
        "link": lambda: path.symlink_to(secret),
        "hard link": lambda: path.hardlink_to(secret),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[trick]()
    with pytest.raises(ExecutionError) as caught:
        read_result(tmp_path, max_bytes=100)
    told = "The next run of the job makes it anew." if trick == "missing" else "leave the name result.csv to the"
    assert told in caught.value.hint
