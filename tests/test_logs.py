import json
import logging
import re
from pathlib import Path

import pytest

from runner.logs import configure_logging, run_context
from runner.settings import LogSettings


@pytest.fixture(autouse=True)
def _restore_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_lines_have_the_known_form_and_the_job_in_brackets(tmp_path):
    path = tmp_path / "logs" / "runner.log"
    configure_logging(LogSettings(file=path))
    log = logging.getLogger("runner.execution.child")
    with run_context("daily_report", "r1"):
        log.info("Starting %s", "now")
    log.info("Outside")
    first, second = path.read_text().splitlines()
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - runner\.execution\.child - INFO - \[test_logs\.py:\d+\] - "
    assert re.fullmatch(form + r"\[daily_report\] Starting now", first)
    assert re.fullmatch(form + "Outside", second)


def test_json_lines_carry_job_run_and_exception(tmp_path):
    path = tmp_path / "runner.log"
    configure_logging(LogSettings(file=path, format="json"))
    log = logging.getLogger("runner.x")
    with run_context("daily_report", "r1"):
        try:
            raise ValueError("bad")
        except ValueError:
            log.exception("It broke")
    line = json.loads(path.read_text())
    assert (line["job_name"], line["run_id"], line["level"], line["message"]) == (
        "daily_report",
        "r1",
        "ERROR",
        "It broke",
    )
    assert "ValueError: bad" in line["exception"]


def test_level_holds_for_runner_and_others_are_quiet(tmp_path):
    path = tmp_path / "runner.log"
    configure_logging(LogSettings(file=path, level="ERROR"))
    logging.getLogger("runner.y").warning("no")
    logging.getLogger("urllib3").info("no")
    logging.getLogger("runner.y").error("yes")
    assert path.read_text().count("\n") == 1


def test_a_log_file_moved_away_is_made_anew(tmp_path):
    path = tmp_path / "runner.log"
    configure_logging(LogSettings(file=path))
    logging.getLogger("runner.z").info("one")
    path.rename(tmp_path / "runner.log.1")
    logging.getLogger("runner.z").info("two")
    assert "two" in path.read_text()


def test_a_message_stays_one_line_and_steers_no_terminal(tmp_path):
    path = tmp_path / "runner.log"
    configure_logging(LogSettings(file=path))
    forged = "bad\n2026-01-01 00:00:00 - runner - INFO - fine\r\x1b[2J\x9b\u2028\u202e\udc80\ttab ü"
    logging.getLogger("runner.x").error("It said: %s", forged)
    (line,) = path.read_text().splitlines()
    assert line.endswith(
        "It said: bad\\n2026-01-01 00:00:00 - runner - INFO - fine\\r\\x1b[2J\\x9b\\u2028\\u202e\\udc80\ttab ü"
    )


def test_a_traceback_keeps_its_lines_but_not_its_escapes(tmp_path):
    path = tmp_path / "runner.log"
    configure_logging(LogSettings(file=path))
    try:
        raise ValueError("bad \x1b[2J\nsecond line")
    except ValueError:
        logging.getLogger("runner.x").exception("It broke")
    lines = path.read_text().splitlines()
    assert lines[0].endswith("It broke")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-2:] == ["ValueError: bad \\x1b[2J", "second line"]


def test_a_json_line_is_one_line_of_plain_characters_in_utc(tmp_path):
    path = tmp_path / "runner.log"
    configure_logging(LogSettings(file=path, format="json"))
    said = "a\n\x1b\x9b\u2028\udc80 ü"
    logging.getLogger("runner.x").error("%s", said)
    (line,) = path.read_text().splitlines()
    assert line.isprintable()
    assert "ü" in line
    assert json.loads(line)["message"] == said
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", json.loads(line)["time"])


def test_a_log_folder_that_is_removed_is_made_again(tmp_path):
    path = tmp_path / "logs" / "runner.log"
    configure_logging(LogSettings(file=path))
    log = logging.getLogger("runner.z")
    log.info("before")
    path.unlink()
    path.parent.rmdir()
    log.info("after")
    assert path.read_text().endswith(" after\n")


def test_a_log_file_that_can_be_written_no_more_ends_nothing_and_is_told_once(tmp_path, capsys):
    path = tmp_path / "logs" / "runner.log"
    configure_logging(LogSettings(file=path))
    log = logging.getLogger("runner.z")
    path.unlink()
    path.parent.rmdir()
    # As a file that logrotate has made for another user: it cannot be opened.
    path.parent.touch()
    for number in range(3):
        log.info("line %d", number)
    told = capsys.readouterr().err
    assert told.count(f"LOG_FILE={path} cannot be written: ") == 1
    assert [f"line {number}\n" in told for number in range(3)] == [True] * 3
    assert "Traceback" not in told
    path.parent.unlink()
    log.info("again")
    assert path.read_text().endswith(" again\n")
    path.unlink()
    path.mkdir()
    log.info("lost")
    assert capsys.readouterr().err.count("cannot be written") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_log_file_is_told_once(capsys):
    configure_logging(LogSettings(file=Path("/dev/full")))
    log = logging.getLogger("runner.z")
    for number in range(3):
        log.info("line %d", number)
    told = capsys.readouterr().err
    assert told.count("LOG_FILE=/dev/full cannot be written: No space left on device") == 1
    assert "Traceback" not in told
    # What is left in its buffer cannot be written either.
    with pytest.raises(OSError, match="No space left"):
        logging.getLogger().handlers[-1].close()
