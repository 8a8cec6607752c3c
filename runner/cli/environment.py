"""What every verb begins with: the settings of the working folder, and how the terminal is written to."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.settings import Settings, load_settings, read_environment

if TYPE_CHECKING:
    from rich.console import Console


def open_settings() -> tuple[Settings, Mapping[str, str]]:
    """The settings of the working folder, and the environment they were read from."""
    folder = Path.cwd()
    environ = read_environment(folder)
    return load_settings(environ, folder=folder), environ


def open_console(*, stderr: bool = False) -> "Console":
    """A rich console; plain when piped or with NO_COLOR, and then as wide as its content needs."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else 160
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def print_json(document: Any) -> None:
    """A JSON document on standard output, indented, UTF-8."""
    import json

    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
