"""What a script logs: to the output of its run, from INFO on."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FORMAT = "%(levelname)s %(name)s: %(message)s"


class _OutputHandler(logging.Handler):
    """Writes to what standard error is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, at once."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a record that cannot be shown ends no script
            self.handleError(record)


@contextmanager
def script_logs() -> Iterator[None]:
    """Keep what is logged while the script runs, as lines `LEVEL name: message`.

    A script that calls `logging.basicConfig` has its own way: ours steps back.
    """
    root, original = logging.getLogger(), logging.basicConfig
    handler, level = _OutputHandler(), root.level
    handler.setFormatter(logging.Formatter(_FORMAT))

    def basic_config(**options: Any) -> None:
        root.removeHandler(handler)
        original(**options)

    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.basicConfig = basic_config
    try:
        yield
    finally:
        logging.basicConfig = original
        root.removeHandler(handler)
        root.setLevel(level)
