"""What every verb begins with: the settings of the working folder, and how the terminal is written to."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError
from runner.settings import Settings, load_settings, read_environment

if TYPE_CHECKING:
    from rich.console import Console


# What JSON may hold raw, but a terminal would obey or UTF-8 cannot carry: written as \u escapes.
_UNFIT = re.compile(r"[\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


def working_folder() -> Path:
    """The working folder.

    Raises:
        RunnerError: it has been removed.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise RunnerError(
            f"the working folder cannot be used: {error.strerror}", hint="It may have been removed: cd to another."
        ) from error


def open_settings() -> tuple[Settings, Mapping[str, str]]:
    """The settings of the working folder, and the environment they were read from."""
    folder = working_folder()
    environ = read_environment(folder)
    return load_settings(environ, folder=folder), environ


def open_console(*, stderr: bool = False) -> "Console":
    """A rich console; plain when piped or with NO_COLOR, and then as wide as its content needs."""
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    columns = os.environ.get("COLUMNS", "")
    width = None if terminal or columns else 160
    # What a terminal without a size is said to have: in no column, rich prints nothing.
    if columns and not columns.strip("0"):
        width = 80 if terminal else 160
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def is_watched(console: "Console") -> bool:
    """Whether somebody sees it as it changes. A pipe that FORCE_COLOR makes coloured is no terminal to a spinner,
    which would fill the log of a CI job."""
    return console.file.isatty() and not console.is_dumb_terminal


def teller(console: "Console") -> Callable[[str], None]:
    """What prints sentences to a console, above a spinner or a bar that it shows."""
    return partial(console.print, markup=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """A JSON document on standard output, indented, UTF-8."""
    import json

    from runner.core.log_commands import disarm_json

    text = disarm_json(json.dumps(document, indent=2, ensure_ascii=False))
    sys.stdout.write(_UNFIT.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")
