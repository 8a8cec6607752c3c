"""Which modules a script may import: one table for the checker and for the child that runs the script.

A script turns `data` into `result` in a sandbox: no network, no other process, no code outside Python. What cannot
work there is refused by name, so that it is told in review and not in the middle of a run:

- *process*: starts another program or process, or needs a screen. seccomp refuses exec and fork.
- *network*: opens sockets. seccomp refuses every socket; asyncio cannot even make its event loop without one.
  Clients of HTTP that others make are among them by name, as everybody knows them.
- *native*: calls into C past everything that Python checks.
- *gone*: came with pandas before its release 3, and is installed by nobody now.
- *private*: modules of the standard library whose names start with `_` are doors to all of these.

Harmless parts of such packages stay: `urllib.parse`, `http.HTTPStatus`, the threads of `concurrent.futures`. The
table is about what the script itself names: what pandas imports for its own use is no matter of it.
"""

import sys
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType


class ImportRefusal(StrEnum):
    """Why a module may not be imported."""

    PROCESS = "process"
    NETWORK = "network"
    NATIVE = "native"
    GONE = "gone"
    PRIVATE = "private"
    UNKNOWN = "unknown"


# Beside the standard library: what the runner brings, and what comes with pandas.
LIBRARIES = frozenset({"numpy", "pandas", "pyarrow", "duckdb", "dateutil", "tzdata"})
_REFUSED = {
    ImportRefusal.PROCESS: (
        "subprocess", "multiprocessing", "concurrent.futures.process", "concurrent.futures.ProcessPoolExecutor",
        "concurrent.futures.interpreter", "concurrent.futures.InterpreterPoolExecutor", "concurrent.interpreters",
        "pty", "posix", "webbrowser", "antigravity", "venv", "ensurepip", "distutils",
        "tkinter", "turtle", "turtledemo", "idlelib", "curses",
    ),
    ImportRefusal.NETWORK: (
        "socket", "socketserver", "ssl", "asyncio", "asyncore", "asynchat", "http.client", "http.server",
        "http.cookiejar", "urllib.request", "urllib.robotparser", "ftplib", "smtplib", "smtpd", "poplib",
        "imaplib", "nntplib", "telnetlib", "xmlrpc", "wsgiref", "requests", "httpx", "urllib3", "aiohttp",
    ),
    ImportRefusal.NATIVE: ("ctypes",),
    ImportRefusal.GONE: ("pytz",),
}  # fmt: skip
# What to do about each. A module that is not known may be added by a policy; only the caller knows what was meant.
REFUSAL_HINTS = MappingProxyType(
    {
        ImportRefusal.PROCESS: "A script cannot start processes: work on data in Python or with pandas.",
        ImportRefusal.NETWORK: "A script has no network: declare the data under data_source or data_sources.",
        ImportRefusal.NATIVE: "A script cannot call into C by itself: use numpy or pandas.",
        ImportRefusal.GONE: "Use zoneinfo of the standard library; or add it to allowed_imports in "
        "jobs.d/_policy.yaml, if it is installed.",
        ImportRefusal.PRIVATE: "Import the public module instead.",
    }
)
_REASONS = {module: reason for reason, modules in _REFUSED.items() for module in modules}
_LONGEST_NAME = 500
_MOST_PARTS = max(module.count(".") for module in _REASONS) + 1
# Packages of which a part is refused: for these the names that are imported from them count as well.
MIXED_PACKAGES = frozenset(module.partition(".")[0] for module in _REASONS if "." in module)


def import_refusal(module: str, extra: tuple[str, ...] = ()) -> ImportRefusal | None:
    """Why a script may not import a module; None when it may.

    Args:
        module: a dotted name; for `from a import b` ask for both `a` and `a.b`.
        extra: modules that a policy adds; each stands for what is in it too.
    """
    # What is behind so many characters makes no difference, and is not remembered.
    return _refusal(module[:_LONGEST_NAME], extra)


@lru_cache(maxsize=4096)
def _refusal(module: str, extra: tuple[str, ...]) -> ImportRefusal | None:
    if any(module == added or module.startswith(f"{added}.") for added in extra):
        return None
    top = module.partition(".")[0]
    if top in LIBRARIES or top == "__future__":
        return None
    if top not in sys.stdlib_module_names:
        return _REASONS.get(top, ImportRefusal.UNKNOWN)
    if top.startswith("_"):
        return ImportRefusal.PRIVATE
    parts = module.split(".", _MOST_PARTS)
    for count in range(min(len(parts), _MOST_PARTS), 0, -1):
        reason = _REASONS.get(".".join(parts[:count]))
        if reason is not None:
            return reason
    return None


def import_allowed(module: str, extra: tuple[str, ...] = ()) -> bool:
    """Whether a script may import a module; arguments as for `import_refusal`."""
    return import_refusal(module, extra) is None
