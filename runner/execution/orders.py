"""What crosses between the service and a child: bytes of a typed codec, never pickle.

Frames on the child's socket are four bytes of length, big-endian, and MessagePack. The child sends a `Hello` when
it is ready, the service one `StepOrder`, the child one `StepOutcome`. What comes from a child is untrusted: user
code can send anything in its place, so it is decoded strictly and cut to size.
"""

import math
import struct
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from runner.core.bookmark import CursorValue
from runner.core.check import Check, CheckResult
from runner.core.job import AttachmentFormat, Chart, Step
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure
from runner.core.source import THE_SOURCE, FileType, TableOptions

T = TypeVar("T")

LARGEST_FRAME = 8 << 20
PREVIEW_COLUMNS = 12
CHECK_ROWS = 20
OUTPUT_LIMIT = 64 << 10
_HEADER = struct.Struct(">I")
_MESSAGE_LIMIT, _TRACEBACK_LIMIT, _CELL_LIMIT = 2000, 64 << 10, 200
_CHECKS_LIMIT, _WORDS_LIMIT, _CURSOR_LIMIT = 100, 500, 1000
# A child may not say that the service did something: these kinds are the service's own words.
_OWN_KINDS = frozenset(
    {FailureKind.TIMEOUT, FailureKind.CANCELLED, FailureKind.LOST, FailureKind.CRASH, FailureKind.CPU}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepInput:
    """The data of one source: one or more files of one format, which are one table, in the order of `paths`.

    Paths are absolute and read in place; a text format may be compressed, which the name ends in: `.gz`, `.zst`.
    """

    name: str = THE_SOURCE
    paths: tuple[str, ...]
    format: FileType
    records_path: str | None = None
    table: TableOptions = field(default_factory=TableOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOrder:
    """One step for one child.

    `inputs` are at least one; `run_dir` is absolute, exists, and is the only place that the child can write to.
    `facts` are those of `core.references.run_facts`. The result is always written as CSV, and beside it in the
    form that `attachment` names. `cursor_column` is that of an incremental load, `cursor` how far it had got.
    `always_run`: over data without a record too, whatever its format is.
    `allowed_imports` are modules that a script may import beside the usual ones. `cpu_seconds` of None: no limit
    of its own.
    """

    run_id: str
    step: Step
    inputs: tuple[StepInput, ...]
    facts: tuple[tuple[str, str], ...] = ()
    timezone: str = "UTC"
    run_dir: str
    preview_rows: int = 20
    attachment: AttachmentFormat = AttachmentFormat.CSV
    defuse_formulas: bool = True
    checks: tuple[Check, ...] = ()
    chart: Chart | None = None
    cursor_column: str | None = None
    cursor: CursorValue | None = None
    always_run: bool = False
    allowed_imports: tuple[str, ...] = ()
    memory_mb: int = 2048
    cpu_seconds: int | None = None
    timeout_seconds: float = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOutcome:
    """What became of a step.

    `result_file` is a name inside `run_dir`, None where the step failed; a result that could not be written in
    the form of its attachment, or that a blocking check refuses (failures of kind ATTACHMENT and CHECK), is
    there as CSV all the same. `attachment_file` is None where the CSV is what is attached, or what is made of
    it. `cursor` is the largest value of the cursor column, None where there is none. `rows_in` is None where
    counting would cost more than the step. `note` says what a person should know of a step that did not fail, such
    as why there is no chart. `output` is what the script wrote to standard output and error,
    `sandbox` the level it ran at; files, output and level are filled in by the service.
    """

    rows_in: int | None = None
    rows_out: int | None = None
    result_file: str | None = None
    result_bytes: int = 0
    attachment_file: str | None = None
    attachment_bytes: int = 0
    chart_file: str | None = None
    chart_bytes: int = 0
    checks: tuple[CheckResult, ...] = ()
    cursor: CursorValue | None = None
    preview: Preview = field(default_factory=Preview)
    note: str = ""
    output: str = ""
    failure: RunFailure | None = None
    sandbox: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hello:
    """What a waiting child says of itself: the level its sandbox has, or why it cannot take an order.

    `missing` has a sentence for each layer that the level lacks: why it cannot be had. `zygote` is the number of
    the zygote's process in the service's view, which the zygote puts in before it passes the first one on.
    """

    level: str = ""
    missing: tuple[str, ...] = ()
    zygote: int = 0
    error: str = ""
    hint: str = ""


class FrameError(ValueError):
    """Bytes that are no frame of the expected kind."""


def encode(value: StepOrder | StepOutcome | Hello) -> bytes:
    """One frame.

    Raises:
        FrameError: it is longer than a frame may be, or has a number that is too large for one, or a text that is
            none in UTF-8, such as the path of a folder may be.
    """
    try:
        body = msgspec.msgpack.encode(value)
    except OverflowError as error:
        raise FrameError(f"a number in it is too large: {error}") from error
    except UnicodeEncodeError as error:
        raise FrameError(f"a text in it is not UTF-8: {error.object[:_CELL_LIMIT]!a}") from error
    if len(body) > LARGEST_FRAME:
        raise FrameError(f"{len(body)} bytes are too many for one frame")
    return _HEADER.pack(len(body)) + body


def decode(body: bytes, kind: type[T]) -> T:
    """The value in the body of a frame.

    Raises:
        FrameError: the bytes are no value of that kind.
    """
    try:
        return msgspec.msgpack.decode(body, type=kind, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"no {kind.__name__}: {error}") from error


class FrameReader:
    """Puts frames together from pieces as they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._buffer += piece

    def next_frame(self) -> bytes | None:
        """The body of the next whole frame, None while it is not there.

        Raises:
            FrameError: the frame is announced longer than a frame may be.
        """
        if len(self._buffer) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self._buffer)
        if length > LARGEST_FRAME:
            raise FrameError(f"a frame of {length} bytes is too long")
        end = _HEADER.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_HEADER.size : end])
        del self._buffer[:end]
        return body


def cut(text: str, limit: int) -> str:
    """The text, at most `limit` characters of it, with a mark where it was cut. Half a character, which UTF-8 has
    no form for, is written as Python does: `\\udcff`."""
    if not text.isascii():
        text = text[: limit + 1].encode(errors="backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clamp(outcome: StepOutcome, *, preview_rows: int) -> StepOutcome:
    """An outcome from a child with everything cut to size, and without what is not the child's to say."""
    return replace(
        outcome,
        rows_in=_count(outcome.rows_in),
        rows_out=_count(outcome.rows_out),
        preview=_clamp_preview(outcome.preview, preview_rows),
        checks=tuple(map(_clamp_check, outcome.checks[:_CHECKS_LIMIT])),
        cursor=_clamp_cursor(outcome.cursor),
        note=cut(outcome.note, _MESSAGE_LIMIT),
        failure=_clamp_failure(outcome.failure) if outcome.failure else None,
        result_file=None,
        result_bytes=0,
        attachment_file=None,
        attachment_bytes=0,
        chart_file=None,
        chart_bytes=0,
        output="",
        sandbox="",
    )


def _count(count: int | None) -> int | None:
    return None if count is None else min(max(count, 0), 1 << 53)


def _clamp_preview(preview: Preview, rows: int) -> Preview:
    columns = tuple(cut(name, _CELL_LIMIT) for name in preview.columns[:PREVIEW_COLUMNS])
    width = len(columns)
    numeric = (*preview.numeric[:width], *(False,) * (width - len(preview.numeric)))
    cells = tuple(
        tuple(cut(cell, _CELL_LIMIT) for cell in (*row[:width], *("",) * (width - len(row))))
        for row in preview.rows[: max(rows, 0)]
    )
    return Preview(
        columns=columns,
        numeric=numeric,
        rows=cells,
        total_rows=_count(preview.total_rows) or 0,
        total_columns=_count(preview.total_columns) or 0,
    )


def _clamp_check(result: CheckResult) -> CheckResult:
    return CheckResult(
        words=cut(result.words, _WORDS_LIMIT),
        blocking=result.blocking,
        passed=result.passed,
        found=cut(result.found, _WORDS_LIMIT),
        failed_rows=_count(result.failed_rows) or 0,
        rows=_clamp_preview(result.rows, CHECK_ROWS),
    )


def _clamp_cursor(cursor: CursorValue | None) -> CursorValue | None:
    """A text that is too long is none: a part of it would be another value. Nor is a number without an end, which
    JSON has not: no other would ever be larger."""
    if isinstance(cursor, str):
        return cursor if len(cursor) <= _CURSOR_LIMIT else None
    return None if isinstance(cursor, float) and not math.isfinite(cursor) else cursor


def _clamp_failure(failure: RunFailure) -> RunFailure:
    return RunFailure(
        kind=FailureKind.SCRIPT if failure.kind in _OWN_KINDS else failure.kind,
        message=cut(failure.message, _MESSAGE_LIMIT),
        hint=cut(failure.hint, _MESSAGE_LIMIT),
        traceback=cut(failure.traceback, _TRACEBACK_LIMIT),
    )
