"""How a child ended without an outcome → why its run failed, and which bound to raise."""

import os
import re
import signal
from dataclasses import dataclass, replace

from runner.core.run import FailureKind, RunFailure
from runner.core.source import FileType
from runner.execution.crashes import line_of_crash
from runner.execution.orders import StepOrder

_REPEAT_HINT = "Nothing was delivered, so the run can be repeated."
_KILLED_HINT = (
    "Where the kernel's log (dmesg) does not tell of it, the script or somebody else has killed it. Else let the "
    "step keep less, let fewer run at a time (MAX_CONCURRENT_RUNS), or give the machine or the container more "
    "memory."
)
_MOST_OF_IT = 0.8
# Of its time: a step that has used less of the processor has waited.
_AT_WORK = 0.05
# How abort() ends the first process of a pid namespace, which the signal of its own does not end: by what the
# processor raises at an instruction that is none for programs.
_ABORTED_TOO = frozenset({signal.SIGSEGV, signal.SIGTRAP})
# Signals by which libraries end a process that cannot get memory.
_WITHOUT_MEMORY = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP})
# What a library that is written in Rust prints before it does so: the one that reads workbooks is.
_REFUSED = re.compile(r"memory allocation of ([0-9]{1,20}) bytes failed")
_FAR_CELL_HINT = (
    "A sheet is as large as its outermost cells are far apart: delete the rows below and the columns beside the "
    "table, where a cell may be left. Else raise `resources.memory_mb` in the job file."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a child ended.

    `reason` is set where the service ended it, with the `failure` where that takes more words. `status` is a
    wait status, None where it is not known; `memory_mb` and `cpu_seconds` are what it used.
    """

    reason: FailureKind | None = None
    failure: RunFailure | None = None
    status: int | None = None
    memory_mb: int = 0
    cpu_seconds: float = 0.0
    zygote_died: bool = False


def failure_of_ending(order: StepOrder, ending: Ending, *, detail: str = "", output: str = "") -> RunFailure:
    """The failure of a run whose child gave no outcome. `detail` says what was wrong with what it sent, `output`
    is what it printed."""
    if ending.failure is not None:
        return ending.failure
    if ending.reason is FailureKind.TIMEOUT:
        return RunFailure(
            kind=FailureKind.TIMEOUT,
            message=f"the step took longer than {order.timeout_seconds:g} s and was ended",
            hint=_timeout_hint(ending, order.timeout_seconds),
        )
    if ending.reason is FailureKind.CANCELLED:
        return RunFailure(kind=FailureKind.CANCELLED, message="the run was cancelled and its step ended")
    if ending.zygote_died or ending.status is None:
        return RunFailure(
            kind=FailureKind.CRASH,
            message="the process that runs steps ended while this step was under way",
            hint=f"It is started again with the next run. {_REPEAT_HINT}",
        )
    return _own_end(order, ending, ending.status, detail, output)


def _timeout_hint(ending: Ending, seconds: float) -> str:
    if ending.status is None or ending.cpu_seconds > _AT_WORK * seconds:
        return "Raise `timeout_seconds` in the job file, or let the step do less."
    # Where it can start no thread, Arrow waits for one for ever, and says nothing.
    return (
        f"It used {ending.cpu_seconds:.1f} s of CPU time and waited for the rest: for a slow disk, where "
        "`timeout_seconds` can be raised in the job file; for a lock; or for a thread that could not be started: "
        "then let this user have more of them (ulimit -u; in a container pids.max)."
    )


def _own_end(order: StepOrder, ending: Ending, status: int, detail: str, output: str) -> RunFailure:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    # What the kernel counts for the limit is not quite what it tells afterwards.
    spent = order.cpu_seconds is not None and ending.cpu_seconds >= _MOST_OF_IT * order.cpu_seconds
    if number == signal.SIGKILL and spent:
        return RunFailure(
            kind=FailureKind.CPU,
            message=f"the step used more than {order.cpu_seconds} s of CPU time and was ended",
            hint="Raise `resources.cpu_seconds` in the job file, or let the step do less.",
        )
    if number == signal.SIGKILL and not detail:
        failure = _out_of_memory(
            order,
            "the step was killed, as the kernel does where the memory of the machine or the container is full",
        )
        return replace(failure, hint=_KILLED_HINT)
    refused = _REFUSED.search(output)
    if number in _WITHOUT_MEMORY and refused:
        asked = f"the step crashed as it asked for {int(refused[1]) >> 20:,} MiB of memory at once"
        failure = _out_of_memory(order, asked)
        is_sheet = any(source.format is FileType.XLSX for source in order.inputs)
        return replace(failure, hint=_FAR_CELL_HINT) if is_sheet else failure
    if number in _WITHOUT_MEMORY and 2 * ending.memory_mb >= order.memory_mb:
        return _out_of_memory(order, f"the step crashed after it had taken {ending.memory_mb} MiB of memory")
    if number and number != signal.SIGKILL:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        line = line_of_crash(output, order.step.path)
        place = f" ({order.step.path}, line {line})" if line else ""
        return RunFailure(
            kind=FailureKind.CRASH,
            message=f"the step's process crashed{' or aborted' if number in _ABORTED_TOO else ''} ({name}){place}",
            hint="A library or the script ended the process; what it printed before is kept with the run.",
        )
    code = f" with code {os.WEXITSTATUS(status)}" if os.WIFEXITED(status) else ""
    return RunFailure(
        kind=FailureKind.CRASH,
        message=f"the step ended its process{code} without an outcome",
        hint="A script must not call os._exit() or touch descriptors that it has not opened.",
    )


def _out_of_memory(order: StepOrder, what: str) -> RunFailure:
    return RunFailure(
        kind=FailureKind.MEMORY,
        message=f"{what} (it may have {order.memory_mb} MiB)",
        hint="Raise `resources.memory_mb` in the job file where the machine has room, or let the step keep less.",
    )
