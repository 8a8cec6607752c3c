"""What a script raised → what its author can do about it."""

import errno
import linecache
import os
import socket
import traceback
from collections.abc import Iterator, Mapping

from runner.execution.limits import LARGEST_FILE
from runner.execution.namespaces import SCRATCH_FILES, SCRATCH_MB
from runner.execution.steps.column_hints import columns_hint, last_frames
from runner.execution.steps.faults import OPEN_FILES_HINT, is_out_of_descriptors
from runner.execution.steps.imports import ImportNotAllowedError
from runner.execution.steps.typical_hints import gone_hint, typical_hint

_NETWORK_HINT = "A script has no network: declare the address under `data_source` or `data_sources`."
_ASYNC_HINT = (
    "An event loop has a socket of its own, which a script cannot have: concurrent.futures.ThreadPoolExecutor "
    "does things side by side."
)
_FOLDER_HINT = (
    "A script works in a folder of its own: declare a file that it reads under `data_source` or `data_sources`."
)
_CLOSED_HINT = (
    "A script reads its input and writes in its own folder; "
    "all other files, other processes and the network are closed."
)
_MEMORY_HINT = (
    "Memory of a script is its own, in pages of the usual size: "
    "mmap.mmap(-1, n, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)."
)
_SYNC_HINT = (
    "What a script writes goes with its folder after the run, and need not be on the disk: "
    "open it without O_SYNC and O_DSYNC."
)
# What the kernel refuses whatever file it is about: a word of the line that asked for it, and whether the error
# names a file.
_REFUSED_HINTS = (("mmap", False, _MEMORY_HINT), ("SYNC", True, _SYNC_HINT))
_ENVIRONMENT_HINT = (
    "A script has nothing of the service's environment: ${env:…} stands in `data_source`, where it is never shown."
)
_LIBRARY_HINT = (
    "A script has the standard library, numpy, pandas, pyarrow, duckdb, and what is installed beside the "
    "runner. Files beside a script are no part of it."
)
# What libraries write that do not raise an error of Python's own.
_NETWORK_WORDS = (
    "AWS Error NETWORK_CONNECTION",
    "install the required extension 'httpfs",
    "Failed to download extension",
)
# What a library that is written in Rust says as it gives up: polars, where it needs watches of `epoll`.
_PANIC_WORDS = 'code: 1, kind: PermissionDenied, message: "Operation not permitted"'
_PANIC_HINT = (
    "A library needs of the system what a step may not have, as polars does for grouping: use pandas, or "
    "duckdb.sql over pandas tables, for this."
)
_FILE_WORDS = ("No files found that match the pattern",)
_NO_FOLDER_WORDS = "Cannot save file into a non-existent directory"
_NO_THREAD = "can't start new thread"
_LONGEST_CHAIN = 20


def hint_of(error: BaseException, summary: str, sources: Mapping[str, tuple[str, ...]]) -> str:
    """One sentence; empty where the error says all there is to say.

    Args:
        summary: the error in one text.
        sources: the columns of each input by its name.
    """
    if isinstance(error, SystemExit):
        return "Let the script run to its end: `result` is read after its last line."
    of_names = gone_hint(summary) or columns_hint(error, sources)
    if of_names:
        return of_names
    if isinstance(error, KeyError) and any(
        frame.f_locals.get("self") is os.environ for frame in last_frames(error, "os")
    ):
        return _ENVIRONMENT_HINT
    if isinstance(error, ImportError):
        return error.hint if isinstance(error, ImportNotAllowedError) else _LIBRARY_HINT
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return (
            f"Temporary files may take {SCRATCH_MB} MiB, and be {SCRATCH_FILES:,} at most; "
            "keep larger or more ones in the working folder (dir='.')."
        )
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return f"One file may have {LARGEST_FILE >> 30} GiB: write several, or less."
    if is_out_of_descriptors(error):
        return OPEN_FILES_HINT
    if isinstance(error, RuntimeError) and _NO_THREAD in summary:
        return "Each thread takes memory: start fewer, or raise `resources.memory_mb` in the job file."
    return _outside_hint(error, summary) or typical_hint(summary)


def _outside_hint(error: BaseException, summary: str) -> str:
    """What to do where a script has reached for what is outside of its sandbox."""
    chain = list(_causes(error))
    if any(map(_is_of_network, chain)) or any(words in summary for words in _NETWORK_WORDS):
        return _ASYNC_HINT if _is_of_event_loop(error) else _NETWORK_HINT
    if _PANIC_WORDS in summary:
        return _PANIC_HINT
    missing = next((one for one in chain if isinstance(one, FileNotFoundError)), None)
    if missing is not None:
        return _CLOSED_HINT if _is_absolute(missing) else _FOLDER_HINT
    if _NO_FOLDER_WORDS in summary:
        return _CLOSED_HINT
    if any(words in summary for words in _FILE_WORDS):
        return _FOLDER_HINT
    return (_refused_hint(error) or _CLOSED_HINT) if isinstance(error, PermissionError) else ""


def _refused_hint(error: PermissionError) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if error.errno != errno.EPERM or not frames:
        return ""
    names_file = error.filename is not None
    told = (
        hint for word, of_file, hint in _REFUSED_HINTS if of_file == names_file and word in _asking(frames[-1])
    )
    return next(told, "")


def _asking(frame: traceback.FrameSummary) -> str:
    """The lines of the call under way."""
    first = frame.lineno or 0
    numbers = range(first, (frame.end_lineno or first) + 1)
    return "".join(linecache.getline(frame.filename, number) for number in numbers)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from; the `reason` is where urllib keeps that."""
    waiting: list[object] = [error]
    for _ in range(_LONGEST_CHAIN):
        one = waiting.pop() if waiting else None
        if isinstance(one, BaseException):
            yield one
            context = None if one.__suppress_context__ else one.__context__
            waiting.extend((context, one.__cause__, vars(one).get("reason")))


def _is_of_network(error: BaseException) -> bool:
    """Whether a name could not be looked up, or the sandbox has refused a socket."""
    if isinstance(error, socket.gaierror):
        return True
    refused = isinstance(error, PermissionError) and error.errno == errno.EPERM
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return refused and last is not None and last.tb_frame.f_code.co_filename == socket.__file__


def _is_of_event_loop(error: BaseException) -> bool:
    """Whether `asyncio` was at it: it needs a socket before it does anything."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(str(frame.f_globals.get("__name__")).startswith("asyncio.") for frame, _ in frames)


def _is_absolute(error: FileNotFoundError) -> bool:
    path = error.filename or next(iter(error.args), "")
    return isinstance(path, str) and os.path.isabs(path)  # noqa: PTH117 - text
