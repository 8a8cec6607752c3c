import hashlib
import os
import threading
import time

import pytest

from runner.jobfiles.read import MAX_BYTES, JobFile, ReadFault, ReadProblem, find_bad_character, read_job_file
from runner.jobfiles.walk import shown_path


def test_a_file_is_read_with_its_digest_and_key(write, minimal):
    path = write("jobs.d/a.yaml", minimal)
    answer = read_job_file(path, "jobs.d/a.yaml")
    status = path.stat()
    assert answer == JobFile(
        path="jobs.d/a.yaml",
        text=minimal,
        digest=hashlib.sha256(minimal.encode()).hexdigest(),
        key=(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino),
    )


def test_a_byte_order_mark_is_no_part_of_the_text(write):
    assert read_job_file(write("a.yaml", b"\xef\xbb\xbfa: 1\n"), "a.yaml").text == "a: 1\n"


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
def test_the_size_is_bounded(write, size):
    answer = read_job_file(write("a.yaml", b"#" * size), "a.yaml")
    assert isinstance(answer, JobFile) == (size == MAX_BYTES)
    if size > MAX_BYTES:
        assert answer.finding.rule == "too-large"


def test_bytes_that_are_no_utf8_are_a_finding_at_their_place(write):
    answer = read_job_file(write("a.yaml", "é: x\nü: ".encode() + b"\xff\n"), "a.yaml")
    assert isinstance(answer, ReadFault)
    assert (answer.problem, answer.finding.rule) == (ReadProblem.BAD, "not-utf8")
    assert (answer.finding.line, answer.finding.column) == (2, 4)
    assert len(answer.digest) == 64


@pytest.mark.parametrize("name", ["jobs.d/n\udcff.yaml", "jobs.d/t\udcff/a.yaml", "t\udcff/jobs.d/a.yaml"])
def test_a_name_that_is_not_utf8_is_a_finding_where_it_is_shown(write, name):
    path = write(name, "a: 1\n")
    shown = shown_path(name[name.index("jobs.d") :])
    answer = read_job_file(path, shown)
    if name.startswith("t"):
        assert isinstance(answer, JobFile), "where the project lies, folders may be called anything"
        return
    assert (answer.problem, answer.finding.rule, answer.finding.path) == (ReadProblem.BAD, "not-utf8", shown)
    assert "name" in answer.finding.message
    assert len(answer.digest) == 64


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("a: 1\n".encode("utf-16-le"), "this is UTF-16, not UTF-8", "Save the file as UTF-8."),
        ("a: 1\n".encode("utf-16-be"), "this is UTF-16, not UTF-8", "Save the file as UTF-8."),
        ("a: 1\n".encode("utf-16"), "byte 0xff is not UTF-8", "This is UTF-16: save the file as UTF-8."),
        ("a: 1\n".encode("utf-32"), "byte 0xff is not UTF-8", "This is UTF-32: save the file as UTF-8."),
        (b"\x1f\x8b\x08\x00", "byte 0x8b is not UTF-8", "This is compressed: write the text itself."),
        ("a: caf\u00e9\n".encode("latin-1"), "byte 0xe9 is not UTF-8", "Save the file as UTF-8."),
        (
            b"a: a long line with one mistake: \0\n",
            "the character U+0000 cannot stand in a job file",
            "Remove it; where text needs it, write \\u0000 in double quotes.",
        ),
    ],
)
def test_other_encodings_are_named(write, content, message, hint):
    finding = read_job_file(write("a.yaml", content), "a.yaml").finding
    assert (finding.message, finding.hint) == (message, hint)


def test_a_missing_file_is_gone(tmp_path):
    assert read_job_file(tmp_path / "a.yaml", "a.yaml").problem is ReadProblem.GONE


def test_a_pipe_without_a_writer_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    answer = read_job_file(tmp_path / "a.yaml", "a.yaml")
    assert (answer.problem, answer.finding.rule) == (ReadProblem.BAD, "not-a-file")


def test_a_pipe_that_somebody_else_has_opened_is_no_file():
    """As of `runner validate /dev/stdin`: where it leads to is a name in /proc, whose files are never read."""
    reading, writing = os.pipe()
    try:
        assert read_job_file(f"/dev/fd/{reading}", "a.yaml").finding.rule == "not-a-file"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_device_and_a_folder_are_no_files(tmp_path):
    assert read_job_file("/dev/zero", "a.yaml").finding.rule == "not-a-file"
    assert read_job_file(tmp_path, "a.yaml").finding.rule == "not-a-file"


@pytest.mark.parametrize("name", [".env", "link.yaml", ".git/config", "remote.yaml", "modules/config"])
def test_what_may_hold_secrets_is_never_read(tmp_path, name):
    (tmp_path / ".env").write_text("SMTP_PASSWORD=Correct9Horse\n")
    (tmp_path / "link.yaml").symlink_to(".env")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("url = https://bot:Correct9Horse@example.com/jobs.git\n")
    (tmp_path / "remote.yaml").symlink_to(".git/config")
    (tmp_path / "modules").symlink_to(".git")
    answer = read_job_file(tmp_path / name, name)
    assert isinstance(answer, ReadFault)
    assert (answer.finding.rule, answer.finding.path) == ("outside-project", name)
    assert "Correct9Horse" not in str(answer)


@pytest.mark.parametrize("name", ["data/mail/a.eml", "data/runs/01k9m/result.csv", "link.yaml"])
def test_what_the_runner_keeps_of_runs_and_mails_is_never_read(tmp_path, name):
    for kept in ("data/mail/a.eml", "data/runs/01k9m/result.csv", "data/runner.lock"):
        (tmp_path / kept).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / kept).write_text("salary: 100200\n")
    (tmp_path / "link.yaml").symlink_to("data/mail/a.eml")
    answer = read_job_file(tmp_path / name, name)
    assert isinstance(answer, ReadFault)
    assert (answer.finding.rule, answer.finding.path) == ("outside-project", name)
    assert "100200" not in str(answer)


def test_a_link_in_a_circle_is_a_finding(tmp_path):
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    assert read_job_file(tmp_path / "a.yaml", "a.yaml").finding.rule == "unreadable"


def test_what_is_read_while_it_is_written_is_one_state_or_none(tmp_path):
    path = tmp_path / "a.yaml"
    states = [b"a" * 100_000, b"b" * 120_000]
    path.write_bytes(states[0])
    stop = threading.Event()

    def rewrite():
        descriptor = os.open(path, os.O_WRONLY)
        turn = 0
        while not stop.is_set():
            turn += 1
            content = states[turn % 2]
            for start in range(0, len(content), 10_000):
                os.pwrite(descriptor, content[start : start + 10_000], start)
            os.ftruncate(descriptor, len(content))
        os.close(descriptor)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        ends = time.monotonic() + 0.3
        answers = []
        while time.monotonic() < ends:
            answers.append(read_job_file(path, "a.yaml"))
    finally:
        stop.set()
        writer.join()
    assert {answer.problem for answer in answers if isinstance(answer, ReadFault)} <= {ReadProblem.UNSETTLED}
    assert read_job_file(path, "a.yaml").text.encode() in states


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a\n b\0", (2, 3)),
        ("a\x7f", (1, 2)),
        ("a\u0085b", (1, 2)),
        ("a\u2029", (1, 2)),
        ("a\rb", (1, 2)),
        ("\ud800", (1, 1)),
        ("a\ufeff", (1, 2)),
    ],
)
def test_characters_that_parsers_read_differently_are_refused(text, place):
    found = find_bad_character("a.yaml", text)
    assert (found.line, found.column, found.rule) == (*place, "bad-character")


def test_other_characters_are_taken():
    assert find_bad_character("a.yaml", "tab\t crlf\r\n é 漢 \U0001f600 \xa0") is None
