"""A child: forked from the zygote, waits warm for one order, closes the sandbox around itself, carries it out."""

import io
import os
import select
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import duckdb

from runner.core.job import StepKind
from runner.core.run import FailureKind, RunFailure
from runner.errors import RunnerError, SandboxError
from runner.execution import limits
from runner.execution.crashes import tell_of_crashes
from runner.execution.namespaces import SCRATCH_PLACE
from runner.execution.orders import (
    OUTPUT_LIMIT,
    FrameReader,
    Hello,
    StepOrder,
    StepOutcome,
    clamp,
    decode,
    encode,
)
from runner.execution.sandbox import Enclosure, Sandbox
from runner.execution.steps.database import connect
from runner.execution.steps.perform import perform
from runner.execution.steps.rehearsal import rehearse_common

_CHUNK = 1 << 16
_DATA = 3
# A child that is asked for at once gains nothing from a rehearsal; one that is not has time for it.
_IDLE_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptors:
    """What a child keeps open of what it inherits: its socket, and the pipe for what the script prints."""

    data: int
    output: int


def run_child(
    descriptors: Descriptors, *, zygote: int, sandbox: Sandbox, database: duckdb.DuckDBPyConnection
) -> NoReturn:
    """Be a child until the end of the process: nothing returns to the zygote's code."""
    status = 1
    try:
        limits.die_with(zygote)
        limits.die_first()
        os.setsid()
        _keep_only(descriptors)
        status = serve(sandbox, database)
    except BaseException:  # noqa: BLE001 - into the pipe that the service keeps with the run
        os.write(2, traceback.format_exc().encode(errors="replace")[-OUTPUT_LIMIT:])
    finally:
        # Without the interpreter's own end: its libraries would take long to clean up a memory that is dropped.
        os._exit(status)


def _keep_only(descriptors: Descriptors) -> None:
    """Descriptors 0 (/dev/null), 1 and 2 (the output pipe) and 3 (the socket); the rest is closed.

    /dev/null is opened anew: the flags of an open file are those of all who have inherited it.
    """
    os.dup2(descriptors.output, 1)
    os.dup2(descriptors.output, 2)
    if descriptors.data != _DATA:
        os.dup2(descriptors.data, _DATA)
    os.closerange(_DATA + 1, limits.open_files_limit())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def serve(sandbox: Enclosure, database: duckdb.DuckDBPyConnection) -> int:
    """Carry out the one order that comes on descriptor 3; answers with the exit code."""
    try:
        sandbox.prepare()
    except RunnerError as error:
        _send(Hello(error=error.message, hint=error.hint))
        return 1
    _send(Hello(level=sandbox.level, missing=sandbox.missing))
    if not _is_readable(_DATA, seconds=_IDLE_SECONDS):
        rehearse_common()
    tell_of_crashes()
    order = _receive_order()
    if order is None:
        return 0
    # Here too: what a script raises may be longer than a frame, or no text in UTF-8.
    _send(clamp(_carry_out(database, order, sandbox), preview_rows=order.preview_rows))
    return 0


def _carry_out(database: duckdb.DuckDBPyConnection, order: StepOrder, sandbox: Enclosure) -> StepOutcome:
    try:
        if sandbox.scratch is not None:
            _require_in_sight(order)
        _settle(order, sandbox.scratch or order.run_dir)
        paths = tuple(path for source in order.inputs for path in source.paths)
        sandbox.close(
            input_paths=paths,
            # A script is handed tables, which are read from one file after the other.
            open_inputs=0 if order.step.kind is StepKind.SCRIPT else len(paths),
            run_dir=order.run_dir,
            memory_mb=order.memory_mb,
            cpu_seconds=order.cpu_seconds,
        )
    except (RunnerError, OSError) as error:
        hint = error.hint if isinstance(error, RunnerError) else "Look at the service's log."
        return StepOutcome(
            failure=RunFailure(kind=FailureKind.INTERNAL, message=f"no step was run: {error}", hint=hint)
        )
    sys.stdout = sys.stderr = printed = io.TextIOWrapper(
        io.BufferedWriter(CappedWriter(1)), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    outcome = perform(partial(connect, database, order), order)
    with suppress(ValueError):
        # A script may have closed it.
        printed.flush()
    return outcome


def _require_in_sight(order: StepOrder) -> None:
    """A child with namespaces has its temporary files where the machine has others.

    Raises:
        SandboxError: the run's folder, or an input, lies there.
    """
    for path in (order.run_dir, *(path for source in order.inputs for path in source.paths)):
        if os.path.realpath(path).startswith(f"{SCRATCH_PLACE}/"):
            raise SandboxError(
                f"{path} lies in {SCRATCH_PLACE}, where a step has its own temporary files",
                hint="Keep the state (JOB_STORAGE_PATH) and the files that jobs read in other folders.",
            )


def _settle(order: StepOrder, scratch: str) -> None:
    """The run's folder is where the child works, and its home; `scratch` takes temporary files."""
    os.chdir(order.run_dir)
    os.umask(0o077)
    os.environ["HOME"] = order.run_dir
    os.environ["TMPDIR"] = tempfile.tempdir = scratch
    os.environ["TZ"] = order.timezone
    time.tzset()


class CappedWriter(io.RawIOBase):
    """Writes to a descriptor until the cap, and drops the rest: a script that prints for ever costs nothing.

    The byte after the cap is written too: it tells the reader that something is missing. Where the pipe is full,
    text is dropped rather than waited for.
    """

    def __init__(self, descriptor: int, *, cap: int = OUTPUT_LIMIT) -> None:
        self._descriptor = descriptor
        self._left = cap + 1

    def writable(self) -> bool:
        """True, always."""
        return True

    def fileno(self) -> int:
        """The descriptor: what a library writes there by itself is captured too."""
        return self._descriptor

    def write(self, data: Any, /) -> int:
        """Take everything, write what there is room for."""
        piece = memoryview(data)[: self._left]
        while piece:
            try:
                written = os.write(self._descriptor, piece)
            except OSError:
                break
            self._left -= written
            piece = piece[written:]
        return len(data)


def _send(value: Hello | StepOutcome) -> None:
    rest = memoryview(encode(value))
    while rest:
        # write(2), not send(2): the sandbox has no socket calls.
        rest = rest[os.write(_DATA, rest) :]


def _is_readable(descriptor: int, *, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _receive_order() -> StepOrder | None:
    """The order; None where the service went away."""
    reader = FrameReader()
    while True:
        body = reader.next_frame()
        if body is not None:
            return decode(body, StepOrder)
        piece = os.read(_DATA, _CHUNK)
        if not piece:
            return None
        reader.feed(piece)
