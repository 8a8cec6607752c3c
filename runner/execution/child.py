"""One child, as the service sees it: gives it its order, waits for it within its bounds, and ends it."""

import logging
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core.chart import LARGEST_CHART, is_chart
from runner.core.report import rows_in_words
from runner.core.run import FailureKind, RunFailure
from runner.errors import ExecutionError
from runner.execution.crashes import own_words
from runner.execution.endings import Ending, failure_of_ending
from runner.execution.orders import (
    OUTPUT_LIMIT,
    FrameError,
    FrameReader,
    Hello,
    StepOrder,
    StepOutcome,
    clamp,
    decode,
    encode,
)
from runner.execution.processes import pid_of, standing_of
from runner.execution.protocol import STATUS
from runner.execution.results import ATTACHMENT_FILES, CHART_FILE, RESULT_FILE, read_result, result_size
from runner.execution.watch import StepWatch

log = logging.getLogger(__name__)

_CHECK_SECONDS = 0.1
_DEATH_SECONDS = 10.0
_HANDOVER_SECONDS = 20.0
_CHUNK = 1 << 18
_CLOSED = "the child closed its socket"
_CLOSED_SECONDS = 0.3


@dataclass(kw_only=True, slots=True)
class _Heard:
    """What has come from a child so far."""

    frames: FrameReader = field(default_factory=FrameReader)
    hello: Hello | None = None
    outcome: StepOutcome | None = None
    wrong: str = ""
    output: bytearray = field(default_factory=bytearray)


class Child:
    """One single-use child. Owns the four descriptors that the zygote handed over, until `run` ends.

    Args:
        data: its socket.
        pidfd: for killing it, and for knowing that it has ended: no process number is ever used.
        status: where the zygote tells how it ended.
        output: what it prints.
    """

    def __init__(self, *, data: socket.socket, pidfd: int, status: int, output: int) -> None:
        self._data = data
        self._pidfd = pidfd
        self._status = status
        self._output = output
        # A script may read the other end itself, and take what was there to be read.
        os.set_blocking(output, False)

    def run(self, order: StepOrder, *, cancelled: threading.Event) -> StepOutcome:
        """Carry out one order; whatever the child does, there is an outcome, and nobody works on it afterwards.

        Raises:
            OSError: the child could not be followed, so it was ended.
        """
        started = time.monotonic()
        log.info("Starting %s step", order.step.kind.replace("_", "-"))
        heard = _Heard()
        try:
            watch = StepWatch(order, pidfd=self._pidfd)
            reason = self._hand_over(order) or self._follow(
                heard, watch, cancelled=cancelled, deadline=started + order.timeout_seconds
            )
            ending = replace(self._end(heard), reason=reason, failure=watch.failure)
        except BaseException:
            # Nobody else would end it, and it would work on in a folder that the next attempt uses.
            self._put_down(waiting=True)
            raise
        finally:
            self._close()
        outcome = _outcome(order, heard, ending)
        _log_end(outcome, time.monotonic() - started)
        return outcome

    def _hand_over(self, order: StepOrder) -> FailureKind | None:
        self._data.settimeout(min(order.timeout_seconds, _HANDOVER_SECONDS))
        try:
            self._data.sendall(encode(order))
        except TimeoutError:
            return FailureKind.TIMEOUT
        except OSError:
            # It is gone already: what it said before, and how it ended, tells why.
            return None
        finally:
            self._data.setblocking(False)
        return None

    def _follow(
        self, heard: _Heard, watch: StepWatch, *, cancelled: threading.Event, deadline: float
    ) -> FailureKind | None:
        """Listen until the outcome is there or the child has ended; answers why it must end before."""
        poll = select.poll()
        for descriptor in (self._data.fileno(), self._output, self._pidfd):
            poll.register(descriptor, select.POLLIN)
        while heard.outcome is None and not heard.wrong:
            left = deadline - time.monotonic()
            if cancelled.is_set():
                return FailureKind.CANCELLED
            if left <= 0:
                return FailureKind.TIMEOUT
            if watch.met() and watch.failure is not None:
                return watch.failure.kind
            ready = [descriptor for descriptor, _ in poll.poll(1000 * min(left, _CHECK_SECONDS))]
            if self._output in ready and not self._listen(heard):
                poll.unregister(self._output)
            if self._data.fileno() in ready:
                self._read(heard)
            elif self._pidfd in ready:
                return None
        return None

    def _read(self, heard: _Heard) -> None:
        """Take what the socket has; an end of file is an end of the child."""
        try:
            piece = self._data.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        try:
            if not piece:
                raise FrameError(_CLOSED)
            heard.frames.feed(piece)
            while heard.outcome is None and (body := heard.frames.next_frame()) is not None:
                if heard.hello is None:
                    heard.hello = decode(body, Hello)
                else:
                    heard.outcome = decode(body, StepOutcome)
        except FrameError as error:
            heard.wrong = str(error)

    def _listen(self, heard: _Heard) -> bool:
        """Take what the child printed; False when there is no more to take, or enough."""
        room = OUTPUT_LIMIT + 1 - len(heard.output)
        try:
            piece = os.read(self._output, room)
        except BlockingIOError:
            return True
        heard.output += piece
        return bool(piece) and len(piece) < room

    def _end(self, heard: _Heard) -> Ending:
        """Kill the child, and read what it left in its pipes.

        One that has told its outcome is not waited for: killed, it runs none of its code any more, and taking its
        memory apart is the kernel's work, which the zygote sees the end of. But for one of several threads: they
        may be in the middle of what they have asked of the kernel. So may those that nobody could count.
        """
        if heard.wrong == _CLOSED and self._has_ended(_CLOSED_SECONDS):
            # It was ending: how it ended says more than that.
            heard.wrong = ""
        alone = standing_of(pid_of(self._pidfd)).threads == 1
        self._put_down(waiting=heard.outcome is None or not alone)
        if len(heard.output) <= OUTPUT_LIMIT:
            self._listen(heard)
        if heard.outcome is not None:
            return Ending()
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        told = os.read(self._status, STATUS.size) if poll.poll(1000 * _DEATH_SECONDS) else b""
        if len(told) < STATUS.size:
            return Ending(zygote_died=True)
        status, memory_kib, cpu_seconds = STATUS.unpack(told)
        return Ending(status=status, memory_mb=memory_kib // 1024, cpu_seconds=cpu_seconds)

    def _put_down(self, *, waiting: bool) -> None:
        """Kill the child, and wait for its end."""
        self.kill()
        if waiting and not self._has_ended(_DEATH_SECONDS):
            log.error("A killed child has not ended within %.0f s", _DEATH_SECONDS)

    def _has_ended(self, seconds: float) -> bool:
        """Whether the child ends within some seconds."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def kill(self) -> None:
        """End it; one that has ended stays so."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _close(self) -> None:
        self._data.close()
        for descriptor in (self._pidfd, self._status, self._output):
            os.close(descriptor)


def _outcome(order: StepOrder, heard: _Heard, ending: Ending) -> StepOutcome:
    output = _text(heard.output)
    if heard.hello is not None and heard.hello.error:
        failure = RunFailure(
            kind=FailureKind.INTERNAL, message=f"no step was run: {heard.hello.error}", hint=heard.hello.hint
        )
        return StepOutcome(output=output, failure=failure)
    level = heard.hello.level if heard.hello is not None else ""
    if heard.outcome is None:
        failure = failure_of_ending(order, ending, detail=heard.wrong, output=output)
        return StepOutcome(output=own_words(output), failure=failure, sandbox=level)
    said = clamp(heard.outcome, preview_rows=order.preview_rows)
    said = replace(said, output=output, sandbox=level)
    if said.failure is None and said.rows_out is None:
        failure = RunFailure(
            kind=FailureKind.CRASH,
            message="the step's outcome does not say how many rows it has",
            hint="A script must not touch descriptors that it has not opened.",
        )
        return StepOutcome(output=output, failure=failure, sandbox=level)
    # A blocking check of the data stops the step before it has a result.
    checked = said.failure is not None and said.failure.kind is FailureKind.CHECK and said.rows_out is not None
    if said.failure is not None and not checked and said.failure.kind is not FailureKind.ATTACHMENT:
        return replace(said, rows_out=None)
    return _with_files(order, said)


def _with_files(order: StepOrder, said: StepOutcome) -> StepOutcome:
    """What the child left in its folder, as it is found there. Where the attachment or a check failed, the
    CSV is there all the same."""
    run_dir = Path(order.run_dir)
    name = ATTACHMENT_FILES.get(order.attachment) if said.failure is None else None
    try:
        said = replace(said, result_file=RESULT_FILE, result_bytes=result_size(run_dir, RESULT_FILE))
        if name is not None:
            said = replace(said, attachment_file=name, attachment_bytes=result_size(run_dir, name))
    except ExecutionError as error:
        failure = RunFailure(kind=FailureKind.RESULT, message=error.message, hint=error.hint)
        return replace(said, rows_out=None, result_file=None, result_bytes=0, failure=failure)
    if order.chart is None or said.failure is not None:
        return said
    return _with_chart(run_dir, said)


def _with_chart(run_dir: Path, said: StepOutcome) -> StepOutcome:
    """The picture that the child left, where it is one; a script may have put something else in its place."""
    try:
        content = read_result(run_dir, CHART_FILE, max_bytes=LARGEST_CHART)
    except ExecutionError as error:
        return replace(said, chart_file=None, note=said.note or f"There is no chart: {error.message}.")
    if not is_chart(content):
        note = f"There is no chart: {CHART_FILE} in the run's folder is no picture."
        return replace(said, chart_file=None, note=said.note or note)
    return replace(said, chart_file=CHART_FILE, chart_bytes=len(content))


def _text(output: bytearray) -> str:
    text = bytes(output[:OUTPUT_LIMIT]).decode(errors="replace")
    note = f"\n… the output was cut here, at {OUTPUT_LIMIT >> 10} KiB\n" if len(output) > OUTPUT_LIMIT else ""
    return text + note


def _log_end(outcome: StepOutcome, seconds: float) -> None:
    if outcome.failure is not None:
        log.info("Step failed in %.1f s: %s", seconds, outcome.failure.kind)
        return
    rows_in, rows_out = rows_in_words(outcome.rows_in), f"{outcome.rows_out or 0:,}"
    log.info("Step finished: %s, %s rows out in %.1f s", rows_in, rows_out, seconds)
