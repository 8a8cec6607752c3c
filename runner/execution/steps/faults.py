"""How a step says that it failed."""

import errno
import os
import re
from collections.abc import Sequence

import duckdb

from runner.core.run import FailureKind, RunFailure
from runner.core.words import NO_ROOM_HINT
from runner.execution.limits import LARGEST_FILE, OPEN_FILES

NO_RESULT_HINT = 'Assign the table to mail to `result`, as in: result = data.groupby("category").sum()'
NO_COLUMNS_HINT = (
    'Where there may be no rows, name the columns, as in pd.DataFrame(rows, columns=["region", "amount"]).'
)
OPEN_FILES_HINT = f"A step may have {OPEN_FILES} files open at a time: close each one, as `with open(…)` does."
_MANY_FILES_HINT = (
    "A query has all files of a source open at once: let the service have more of them (ulimit -Hn; for systemd "
    "LimitNOFILE), or write them into fewer files."
)
_COLUMNS_SHOWN = 30
_DELIMITERS = (";", "\t", "|")
_FILE_HINT = "Look at the file: is it what `data_source` says it is?"
_ENCODING_HINT = "Its text is not UTF-8: set `encoding: cp1252` (or latin-1) under `data_source`."
_MARK_HINT = "It is text in {}: set `encoding: {}` under `data_source`."
_PACKED_HINT = (
    "It is compressed by {}: a file is unpacked where its name ends in {}, the answer of an API where its header "
    "Content-Encoding says so."
)
# What a file begins with that is no UTF-8; the longer before its own beginning.
_HEADS = {
    b"\xff\xfe\0\0": _MARK_HINT.format("UTF-32", "utf-32"),
    b"\xff\xfe": _MARK_HINT.format("UTF-16", "utf-16"),
    b"\xfe\xff": _MARK_HINT.format("UTF-16", "utf-16"),
    b"\x1f\x8b": _PACKED_HINT.format("gzip", ".gz"),
    b"\x28\xb5\x2f\xfd": _PACKED_HINT.format("zstd", ".zst"),
    b"PK\3\4": "It is a workbook or a ZIP archive, not CSV: for a workbook set `file_type: xlsx`.",
    b"\xd0\xcf\x11\xe0": "It is a workbook of an old kind, not CSV: save it as .xlsx, and set `file_type: xlsx`.",
    b"PAR1": "It is Parquet, not CSV: set `file_type: parquet` under its source.",
}
HEAD_BYTES = max(map(len, _HEADS))
_NOT_UTF8 = re.compile(r"'utf-8' codec can't decode byte|Invalid unicode|not utf-8 encoded")
JSON_HINT = "Look at the file, or ask the API with curl: this job's `data_source` says that it is JSON."


class StepError(Exception):
    """A step cannot go on: the failure is its argument. Raised inside a child only.

    `source` is the name of the input that it is about, and `path` its file, where these are known: see `places`.
    """

    def __init__(self, kind: FailureKind, message: str, *, hint: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.source = ""
        self.path = ""
        self.failure = RunFailure(kind=kind, message=message, hint=hint, traceback=traceback)


def error_words(error: BaseException) -> str:
    """What was raised, with its message, where it has one that can be had."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - it may be of a class of the script's own
        return type(error).__name__


def memory_error() -> StepError:
    """The step asked for more memory than it may have."""
    return StepError(
        FailureKind.MEMORY,
        "the step needs more memory than it may have",
        hint="Raise `resources.memory_mb` in the job file, or let the step read or keep less.",
    )


def disk_error(error: BaseException) -> StepError | None:
    """What to say where the kernel has refused to write more of a file that the runner writes for the step: it is
    as large as one may be, or the disk is full. None where it was something else."""
    if _is_refusal(error, errno.EFBIG):
        return StepError(
            FailureKind.DISK,
            "the result, or what is kept on the way to it, needs more than the "
            f"{LARGEST_FILE >> 30} GiB of one file",
            hint="Let the step return fewer rows or columns.",
        )
    if _is_refusal(error, errno.ENOSPC) or _is_refusal(error, errno.EDQUOT):
        return StepError(
            FailureKind.DISK,
            "the result cannot be written: the disk that holds the folders of runs is full",
            hint=NO_ROOM_HINT,
        )
    return None


def is_out_of_descriptors(error: BaseException) -> bool:
    """Whether a step has as many files open as it may have."""
    return _is_refusal(error, errno.EMFILE)


def _is_refusal(error: BaseException, number: int) -> bool:
    """Whether the kernel has refused something with this error."""
    if isinstance(error, duckdb.IOException):
        return os.strerror(number) in str(error)
    return isinstance(error, OSError) and error.errno == number


def unreadable(kind: str, reason: str, *, hint: str = "", head: bytes = b"") -> StepError:
    """The data is not what the job says it is; `kind` is what that is: `CSV`. Without a `hint`, one that fits.

    Args:
        head: the first `HEAD_BYTES` of the file, where they may tell what it is instead.
    """
    if not hint and kind == "CSV" and _NOT_UTF8.search(reason):
        hint = next((told for mark, told in _HEADS.items() if head.startswith(mark)), _ENCODING_HINT)
    if not hint and os.strerror(errno.EMFILE) in reason:
        hint = _MANY_FILES_HINT
    return StepError(
        FailureKind.FETCH,
        f"the data cannot be read as {kind}: {reason}",
        hint=hint or (JSON_HINT if "JSON" in kind else _FILE_HINT),
    )


def empty_csv() -> StepError:
    """A CSV has no line."""
    return unreadable("CSV", "it is empty", hint="A CSV file starts with a line of column names.")


def empty_sheet() -> StepError:
    """A sheet of a workbook has no row."""
    return unreadable("XLSX", "its sheet is empty", hint="A sheet starts with a row of column names.")


def no_such_column(wanted: Sequence[str], known: Sequence[str], *, asked_by: str) -> StepError:
    """The data lacks columns; `asked_by` is the key of the job file that names them."""
    names = ", ".join(map(repr, wanted[:10]))
    return StepError(
        FailureKind.FETCH,
        f"the data has no column {names}, which `{asked_by}` names",
        hint=f"It has {column_list(known)}.",
    )


def delimiter_hint(known: Sequence[str]) -> str:
    """What to set where the one column that a CSV has looks like several; else empty."""
    if len(known) != 1:
        return ""
    found = next((sign for sign in _DELIMITERS if sign in known[0]), "")
    shown = found.replace("\t", "\\t")
    return f'It is one column: set `delimiter: "{shown}"` under its source.' if found else ""


def column_list(known: Sequence[str]) -> str:
    """The columns there are, for a message."""
    shown = ", ".join(known[:_COLUMNS_SHOWN]) + (", …" if len(known) > _COLUMNS_SHOWN else "")
    return f"the columns {shown}" if known else "no columns"
