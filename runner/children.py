"""Ending a child process, in bounded time whatever it waits for."""

import logging
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

log = logging.getLogger(__name__)

# A killed process is gone in milliseconds, unless the kernel holds it: most of all at a share that is silent.
_END_SECONDS = 5.0
# Killed, and not ended yet. Whoever ends a child next looks whether they have: a dead one is not kept for good.
_held: list["subprocess.Popen[bytes]"] = []
_lock = threading.Lock()


def end_child(process: "subprocess.Popen[bytes]", name: str) -> int | None:
    """Kill a child, close its pipes, and wait for its end, for 5 s at most. Several threads may end
    children; at the pipes of this one no other may be.

    Args:
        name: what it is, for the log.

    Returns:
        How it ended, as `Popen.returncode`; None where it has not, as the kernel holds it. That is logged as a
        warning, and it ends when the kernel lets go of it.
    """
    with _lock:
        _held[:] = [one for one in _held if one.poll() is None]
    process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            # What was not sent yet has no reader any more, or one that does not read: that is not waited for.
            with suppress(OSError):
                os.set_blocking(pipe.fileno(), False)
                pipe.close()
    try:
        return process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        with _lock:
            _held.append(process)
        log.warning(
            "%s (process %d) was killed and does not end: the kernel holds it, as where a share or a disk does "
            "not answer. It is waited for no longer",
            name,
            process.pid,
        )
        return None


def run_child(
    command: Sequence[str], *, environ: Mapping[str, str], seconds: float
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command that reads nothing to its end, whatever it answers. `subprocess.run` waits for one that it has
    killed for ever.

    Raises:
        OSError: it cannot be run.
        subprocess.TimeoutExpired: it has not ended within so many seconds, and is killed.
    """
    process = subprocess.Popen(
        command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, complaints = process.communicate(timeout=seconds)
    except BaseException:
        end_child(process, command[0])
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, complaints)
