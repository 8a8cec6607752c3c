"""What a script raised → what its author can do about it."""

import errno
import os
import socket
from collections.abc import Iterator
from types import FrameType

import pandas as pd

from runner.execution.limits import LARGEST_FILE
from runner.execution.namespaces import SCRATCH_FILES, SCRATCH_MB
from runner.execution.steps.faults import OPEN_FILES_HINT, is_out_of_descriptors
from runner.execution.steps.imports import ImportNotAllowedError

_NETWORK_HINT = "A script has no network: declare the address under `data_source` or `data_sources`."
_FOLDER_HINT = (
    "A script works in a folder of its own: declare a file that it reads under `data_source` or `data_sources`."
)
_CLOSED_HINT = (
    "A script reads its input and writes in its own folder; "
    "all other files, other processes and the network are closed."
)
_ENVIRONMENT_HINT = (
    "A script has nothing of the service's environment: ${env:…} stands in `data_source`, where it is never shown."
)
_LIBRARY_HINT = (
    "A script has the standard library, numpy, pandas, pyarrow, duckdb, and what is installed beside the runner."
)
# What libraries write that do not raise an error of Python's own.
_NETWORK_WORDS = (
    "AWS Error NETWORK_CONNECTION",
    "install the required extension 'httpfs",
    "Failed to download extension",
)
_FILE_WORDS = ("No files found that match the pattern",)
_NO_THREAD = "can't start new thread"
_COLUMNS_SHOWN = 30
_LONGEST_CHAIN = 20
_TABLES = (pd.DataFrame, pd.api.typing.DataFrameGroupBy)


def hint_of(error: BaseException, summary: str, columns: tuple[str, ...]) -> str:
    """One sentence; empty where the error says all there is to say.

    Args:
        summary: the error in one text.
        columns: those of the first input.
    """
    if isinstance(error, SystemExit):
        return "Let the script run to its end: `result` is read after its last line."
    if columns and (_is_of_column(error, columns) or _is_of_attribute(error, columns)):
        more = ", …" if len(columns) > _COLUMNS_SHOWN else ""
        return f"`data` has the columns {', '.join(columns[:_COLUMNS_SHOWN])}{more}."
    if isinstance(error, KeyError) and any(
        frame.f_locals.get("self") is os.environ for frame in _last_frames(error, "os")
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
    return _outside_hint(error, summary)


def _is_of_attribute(error: BaseException, columns: tuple[str, ...]) -> bool:
    """Whether a table of these columns was asked for another one by `data.name`."""
    table = error.obj if type(error) is AttributeError else None
    return type(table) is pd.DataFrame and [str(label) for label in table.columns] == list(columns)


def _is_of_column(error: BaseException, columns: tuple[str, ...]) -> bool:
    """Whether a table was asked for a column that these are not: the frames of pandas in which it was looked for
    tell. None of them is a frame of the script, whose own dicts have keys too."""
    if not isinstance(error, KeyError) or not error.args or str(error.args[0]) in columns:
        return False
    places = [frame.f_locals for frame in _last_frames(error, "pandas")]
    tables = [value for place in places for value in place.values() if issubclass(type(value), _TABLES)]
    asked = (place.get("self") for place in reversed(places))
    labels = next((one for one in asked if issubclass(type(one), pd.Index)), None)
    if labels is None:
        return bool(tables)
    # Those of the rows are no columns. A row itself, as of `apply`, is asked by the names of the columns.
    if len(labels) == len(columns) and [label for label in labels if type(label) is str] == list(columns):
        return True
    return any(getattr(table, "columns", None) is labels for table in tables)


def _last_frames(error: BaseException, package: str) -> list[FrameType]:
    """The frames of a package between where an error was raised and the code that called it."""
    frames: list[FrameType] = []
    last = error.__traceback__
    while last is not None:
        inside = str(last.tb_frame.f_globals.get("__name__")).partition(".")[0] == package
        frames = [*frames, last.tb_frame] if inside else []
        last = last.tb_next
    return frames


def _outside_hint(error: BaseException, summary: str) -> str:
    """What to do where a script has reached for what is outside of its sandbox."""
    chain = list(_causes(error))
    if any(map(_is_of_network, chain)) or any(words in summary for words in _NETWORK_WORDS):
        return _NETWORK_HINT
    missing = next((one for one in chain if isinstance(one, FileNotFoundError)), None)
    if missing is not None:
        return _CLOSED_HINT if _is_absolute(missing) else _FOLDER_HINT
    if any(words in summary for words in _FILE_WORDS):
        return _FOLDER_HINT
    return _CLOSED_HINT if isinstance(error, PermissionError) else ""


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


def _is_absolute(error: FileNotFoundError) -> bool:
    path = error.filename or next(iter(error.args), "")
    return isinstance(path, str) and os.path.isabs(path)  # noqa: PTH117 - text
