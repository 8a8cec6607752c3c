"""What every verb begins with."""

import os

import pytest

from runner.cli.environment import is_watched, open_console


def test_a_coloured_pipe_is_no_terminal_to_a_spinner(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = open_console(stderr=True)
    assert console.is_terminal
    assert not is_watched(console)


def test_a_terminal_is_watched_but_not_a_dumb_one(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = os.openpty()
    try:
        with open(follower, "w", closefd=False) as terminal:
            monkeypatch.setattr("sys.stderr", terminal)
            assert is_watched(open_console(stderr=True))
            monkeypatch.setenv("TERM", "dumb")
            assert not is_watched(open_console(stderr=True))
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.parametrize("columns", ["0", "00", ""])
def test_no_columns_are_no_width(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", columns)
    open_console().print("told")
    assert capsys.readouterr().out == "told\n"
    assert open_console().width == 160


def test_no_columns_of_a_terminal_are_no_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    leader, follower = os.openpty()
    try:
        with open(follower, "w", closefd=False) as terminal:
            monkeypatch.setattr("sys.stdout", terminal)
            assert open_console().width == 80
    finally:
        os.close(leader)
        os.close(follower)
