"""Starting another Python that imports what this one imports, and is shut off from everything else."""

import json
import os
import sys
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
