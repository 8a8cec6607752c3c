"""What every verb begins with."""

import os

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
