import json
import logging
import re

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
