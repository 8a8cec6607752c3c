"""The import allow-list while a script runs: what `validate` finds in the text, and what only shows when it runs.

A policy aid: it tells in plain words what a script may not use, wherever the script itself imports. It is no wall,
as code that means to get around it can. The wall is the sandbox, which refuses processes, sockets and files
whatever is imported. What libraries import for their own use is not looked at, and costs nothing more.
"""

import builtins
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from runner.core.imports import MIXED_PACKAGES, REFUSAL_HINTS, import_allowed, import_refusal

_UNKNOWN_HINT = (
    "Leave it out, or add it to allowed_imports in jobs.d/_policy.yaml, if it is installed. Files beside a script "
    "are no part of it."
)


class ImportNotAllowedError(ImportError):
    """A script imports what it may not; `hint` says what to do, as `validate` does."""

    # People see its name in their traceback, and nobody imports it.
    __module__ = "builtins"

    def __init__(self, module: str) -> None:
        super().__init__(f"scripts may not import {module}", name=module)
        refusal = import_refusal(module)
        self.hint = REFUSAL_HINTS.get(refusal, _UNKNOWN_HINT) if refusal else _UNKNOWN_HINT


@contextmanager
def guarded_imports(names: dict[str, Any], extra: tuple[str, ...]) -> Iterator[None]:
    """Bind the imports of code that runs with `names` as its globals.

    Args:
        names: its `__builtins__` are set here.
        extra: modules that are allowed beside the usual ones.
    """
    names["__builtins__"] = {**vars(builtins), "__import__": _guarded_import(extra)}
    original = importlib.import_module

    def import_module(name: str, package: str | None = None) -> ModuleType:
        # A script and pandas call the same function: which of them it is tells the caller's frame.
        if sys._getframe(1).f_globals is names:  # noqa: SLF001
            _require(name, extra)
        return original(name, package)

    importlib.import_module = import_module
    try:
        yield
    finally:
        importlib.import_module = original


def _guarded_import(extra: tuple[str, ...]) -> Callable[..., ModuleType]:
    original = builtins.__import__

    def guarded(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - as Python calls them
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        # What is written in C imports for its own use by this function too, as `strptime` does: with an empty
        # list, which no statement has.
        by_c = isinstance(fromlist, list) and not fromlist and globals is not None and globals is locals
        if not level and not by_c:
            _require_from(name, fromlist or (), extra)
        return original(name, globals, locals, fromlist or (), level)

    return guarded


def _require_from(name: str, parts: Sequence[str], extra: tuple[str, ...]) -> None:
    """As `validate` has it: a part that is allowed may be imported from a package that is not."""
    refused = [part for part in parts if not import_allowed(f"{name}.{part}", extra)]
    if not import_allowed(name, extra) and (not parts or len(refused) == len(parts)):
        raise ImportNotAllowedError(name)
    if refused and name.partition(".")[0] in MIXED_PACKAGES:
        raise ImportNotAllowedError(f"{name}.{refused[0]}")


def _require(name: str, extra: tuple[str, ...]) -> None:
    if not name.startswith(".") and not import_allowed(name, extra):
        raise ImportNotAllowedError(name)
