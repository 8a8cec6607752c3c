"""Starting another Python that imports what this one imports, and is shut off from everything else."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

# `-I` keeps the environment, the user's folder and the working directory out of the search path. What this process
# imports from comes behind the standard library; its own code before all other packages, so that a checkout beside
# an installed runner never makes one of both. A main module without a file is to DuckDB a session of somebody who
# looks on: it would draw its progress into what a script prints.
_BOOT = """
import importlib, json, sys
__file__ = "<runner>"
own, *others = json.loads(sys.argv.pop())
place = next((n for n, path in enumerate(sys.path) if path.endswith("-packages")), len(sys.path))
sys.path.insert(place, own)
sys.path.extend(path for path in others if path not in sys.path)
importlib.import_module(sys.argv.pop(1)).main()
"""


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs `main()` of a module in a new process; `arguments` are its `sys.argv[1:]`."""
    own = str(Path(__file__).resolve().parent.parent)
    others = [os.path.abspath(path) for path in sys.path if os.path.isdir(path)]  # noqa: PTH100, PTH112
    return [sys.executable, "-I", "-c", _BOOT, module, *arguments, json.dumps([own, *others])]


def stay_out_of_cores() -> None:
    """No memory of this process, nor of those that it forks from now on, is in a core (core(5)).

    A limit of 0 on cores does not bound one that is handed to a program, as `core_pattern` says on most machines.
    """
    with suppress(OSError):
        kinds = os.open("/proc/self/coredump_filter", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(kinds, b"0")
        finally:
            os.close(kinds)
