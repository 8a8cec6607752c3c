import os
import signal

import pytest

from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.query_process import QueryProcess

DATA = ("data",)


@pytest.fixture
def process():
    made = QueryProcess()
    yield made
    made.close()


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


def test_close_ends_the_process(process):
    process.find_faults("SELECT 1", DATA)
    pid = process._process.pid
    process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
