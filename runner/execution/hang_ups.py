"""To end with who is at the other end of a socket, also in the middle of something else.

The zygote loads libraries for seconds, and looks at nothing meanwhile. PR_SET_PDEATHSIG would not do: the thread
of the service that starts it may end before, and the process above it may be another one.
"""

import fcntl
import os
import select
import signal
from types import FrameType


def end_on_hang_up(descriptor: int) -> None:
    """End this process, with status 0, as soon as a socket is closed at its other end, or is closed already. Until
    `leave_hang_ups` nobody may send anything there: that would be taken for the same."""
    # A handler: the first process of a namespace is not ended by a signal that it has none for.
    signal.signal(signal.SIGIO, _end)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    if _is_hung_up(descriptor):
        os._exit(0)


def leave_hang_ups(descriptor: int) -> None:
    """From now on whoever has the socket looks at it: the opposite of `end_on_hang_up`."""
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_ASYNC)
    signal.signal(signal.SIGIO, signal.SIG_DFL)


def _is_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
