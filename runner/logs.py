"""Log lines: one format for the terminal and the file, the job's name in brackets on every line of its run."""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from runner.core.log_commands import disarm_json
from runner.errors import SettingsError
from runner.settings import LogSettings

log = logging.getLogger(__name__)

_job_name: ContextVar[str] = ContextVar("job_name", default="")
_run_id: ContextVar[str] = ContextVar("run_id", default="")

TEXT_FORMAT = "%(asctime)s - %(name)s - %(levelname)s - [%(filename)s:%(lineno)d] - %(job)s%(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
# Line ends, what a terminal obeys, what turns the direction of text, and what UTF-8 cannot carry; tabs may stay.
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
_COLOURS = {"DEBUG": "36", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


@contextmanager
def run_context(job_name: str, run_id: str = "") -> Iterator[None]:
    """Every line logged inside carries the job's name."""
    name, run = _job_name.set(job_name), _run_id.set(run_id)
    try:
        yield
    finally:
        _job_name.reset(name)
        _run_id.reset(run)


class _AddRun(logging.Filter):
    """Puts the run of the current context on the record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.job_name = _job_name.get()
        record.run_id = _run_id.get()
        record.job = f"[{_job_name.get()}] " if _job_name.get() else ""
        return True


class _TextFormatter(logging.Formatter):
    """One line for a message, whatever stands in it; below it the traceback where there is one."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__(TEXT_FORMAT, DATE_FORMAT)
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if not self._coloured:
            return line
        return f"\x1b[{_COLOURS.get(record.levelname, '0')}m{line}\x1b[0m"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging names it so
        # A message may hold what a script or a server said: it must neither forge a line nor steer a terminal.
        record.message = _UNFIT.sub(_escape, record.message.rstrip("\n"))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging names it so
        return "\n".join(_UNFIT.sub(_escape, line) for line in super().formatException(ei).split("\n"))


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        document = {
            "time": f"{moment.isoformat(timespec='milliseconds')}Z",
            "level": record.levelname,
            "logger": record.name,
            "file": record.filename,
            "line": record.lineno,
            "message": record.getMessage(),
            "job_name": getattr(record, "job_name", "") or None,
            "run_id": getattr(record, "run_id", "") or None,
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        text = json.dumps(document, ensure_ascii=False)
        return disarm_json(_UNFIT.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


class _LogFile(WatchedFileHandler):
    """Reopened when it is moved away, so that logrotate works without a signal.

    Where it cannot be written later on, nothing ends: it is said once, on the other handlers, and lines are in the
    file again as soon as they can be.
    """

    _failed = _told = False

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        try:
            super().emit(record)
        except OSError:
            # Of the reopening, which would otherwise be raised where something was logged.
            self.handleError(record)
        self._told = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging names it so
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failed = True
        if not self._told:
            self._told = True
            log.error("LOG_FILE=%s cannot be written: %s", self.baseFilename, error.strerror)


def configure_logging(settings: LogSettings, *, no_color: bool = False, console: bool = True) -> None:
    """Send the lines of `runner` and of warnings to standard error and, where set, to the log file.

    Args:
        console: False for a verb that shows its progress in another way.

    Raises:
        SettingsError: the log file cannot be opened.
    """
    coloured = sys.stderr.isatty() and not no_color
    handlers: list[logging.Handler] = [logging.StreamHandler()] if console else []
    formatters: list[logging.Formatter] = [_TextFormatter(coloured=coloured)] if console else []
    if settings.file is not None:
        try:
            handlers.append(_LogFile(settings.file, encoding="utf-8"))
        except OSError as error:
            raise SettingsError(
                f"LOG_FILE={settings.file} cannot be written: {error.strerror}",
                hint="Use a writable path, or none.",
            ) from error
        formatters.append(_TextFormatter(coloured=False))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    for handler, formatter in zip(handlers, formatters, strict=True):
        handler.setFormatter(_JsonFormatter() if settings.format == "json" else formatter)
        handler.addFilter(_AddRun())
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("runner").setLevel(settings.level)
    logging.captureWarnings(capture=True)
