"""A TCP connection to one of several addresses of a host: one that is dead holds up nobody."""

import os
import selectors
import socket
from collections.abc import Callable, Sequence

# What getaddrinfo gives: family, type, protocol, canonical name, and the address of the socket.
Found = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

# So long an address has for itself before the next is tried beside it: RFC 8305, section 5.
_HEAD_START_SECONDS = 0.25


def connect_first(
    found: Sequence[Found],
    remaining: Callable[[], float],
    options: Sequence[tuple[int, int, int]] = (),
) -> socket.socket:
    """A connection to the first address that answers, with what is left then as its time-out.

    They are tried in their order, each beside those before it that are silent, such as one of IPv6 on a network
    that loses its packets.

    Args:
        remaining: seconds that are left.
        options: options of the socket.

    Raises:
        OSError: nothing answers: the fault of the first address, TimeoutError where it is silent.
    """
    todo = list(enumerate(found))
    faults: dict[int, OSError] = {}
    with selectors.DefaultSelector() as trying:
        try:
            while remaining() > 0 and (todo or trying.get_map()):
                seconds = remaining()
                if todo:
                    place, entry = todo.pop(0)
                    try:
                        trying.register(_begin(entry, options), selectors.EVENT_WRITE, place)
                    except OSError as error:
                        faults[place] = error
                        continue
                    seconds = min(seconds, _HEAD_START_SECONDS) if todo else seconds
                connected = _connected(trying, seconds, faults)
                if connected is not None:
                    connected.settimeout(max(0.001, remaining()))
                    return connected
        finally:
            for key in tuple(trying.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    raise faults.get(0) or TimeoutError("timed out")


def _connected(trying: selectors.BaseSelector, seconds: float, faults: dict[int, OSError]) -> socket.socket | None:
    """A socket that is connected within some seconds; those that have failed by then are closed."""
    for key, _ in trying.select(max(0.0, seconds)):
        tried = key.fileobj
        assert isinstance(tried, socket.socket)
        trying.unregister(tried)
        code = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            return tried
        tried.close()
        faults[key.data] = OSError(code, os.strerror(code))
    return None


def _begin(entry: Found, options: Sequence[tuple[int, int, int]]) -> socket.socket:
    """A socket that is being connected.

    Raises:
        OSError: it cannot be.
    """
    family, kind, protocol, _, address = entry
    begun = socket.socket(family, kind, protocol)
    try:
        for option in options:
            begun.setsockopt(*option)
        begun.setblocking(False)
        begun.connect(address)
    except BlockingIOError:
        return begun
    except OSError:
        begun.close()
        raise
    return begun
