import os
import resource
import signal
import sys
import time

import pytest

from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.query_process import QueryProcess

DATA = ("data",)


@pytest.fixture
def process():
    made = QueryProcess()
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "SELEC 1",
        "SELECT 'ünï\n' AS \"a b\"",
        "DROP TABLE data",
        "SELECT ${env:X}",
        "SELECT ${run:scheduled_date}",
        "SELECT * FROM sales, 'x.csv', read_csv('y')",
    ],
)
def test_it_answers_as_the_check_in_this_process(process, query):
    assert process.find_faults(query, DATA) == find_query_faults(query, DATA)


def test_a_process_that_was_ended_from_outside_is_started_again(process):
    assert process.find_faults("SELECT 1", DATA) == ()
    os.kill(process._process.pid, signal.SIGKILL)
    assert process.find_faults("SELECT 1", DATA) == ()


def test_a_parser_that_dies_of_a_query_is_a_finding_and_the_next_query_is_answered(process, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    (fault,) = process.find_faults("SELECT 1", DATA)
    assert fault.rule == "query-syntax"
    assert "gave no answer" in fault.message
    monkeypatch.undo()
    assert process.find_faults("SELECT 1", DATA) == ()


@pytest.fixture
def many_open_files():
    """So many that the next one has a number of 1024 or more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1024)]
    yield
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_service_with_a_thousand_open_files_checks_queries_too(process, many_open_files):
    assert process.find_faults("SELECT 1", DATA) == ()


@pytest.fixture
def instead(tmp_path, monkeypatch):
    """Lets the process be a program of the test."""

    def use(text):
        program = tmp_path / "program"
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(program))

    return use


def test_a_crash_on_a_query_is_a_fault_of_the_query(process, instead):
    instead("#!/bin/sh\necho\nread line\nkill -SEGV $$\n")
    (fault,) = process.find_faults("SELECT 1", DATA)
    assert (fault.rule, fault.passing) == ("query-syntax", False)


@pytest.mark.long
def test_a_parser_that_hangs_on_a_query_is_a_fault_of_the_query(process, instead):
    hang = "import runner.jobfiles.lint.query_process as p; p._PARSER_SECONDS = 0; p.find_query_faults = hang"
    text = f"def hang(text, tables):\n    while True: pass\n{hang}\np.serve()\n"
    instead(f"#!{sys.executable}\n{text}")
    (fault,) = process.find_faults("SELECT 1", DATA)
    assert (fault.rule, fault.passing) == ("query-syntax", False)


def test_a_process_that_does_not_start_is_no_fault_of_the_query(process, instead, monkeypatch):
    instead("#!/bin/sh\nexit 1\n")
    (fault,) = process.find_faults("SELECT 1", DATA)
    assert fault.passing
    assert "does not start" in fault.message
    monkeypatch.undo()
    assert process.find_faults("SELECT 1", DATA) == ()


def test_a_system_that_lets_no_process_start_is_no_fault_of_the_query(process, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    (fault,) = process.find_faults("SELECT 1", DATA)
    assert fault.passing


@pytest.mark.long
def test_an_answer_that_takes_too_long_is_no_fault_of_the_query_and_is_waited_for_once(
    process, instead, monkeypatch
):
    monkeypatch.setattr("runner.jobfiles.lint.query_process._ANSWER_SECONDS", 0.5)
    instead("#!/bin/sh\necho\nexec sleep 60\n")
    began = time.monotonic()
    for query in ("SELECT 1", "SELECT 2", "SELECT 3"):
        (fault,) = process.find_faults(query, DATA)
        assert fault.passing
    assert time.monotonic() - began < 1.4
    monkeypatch.undo()
    process.close()
    assert process.find_faults("SELECT 1", DATA) == ()


def test_close_ends_the_process(process):
    process.find_faults("SELECT 1", DATA)
    pid = process._process.pid
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
