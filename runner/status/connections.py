"""Which connections stand open: clients that only hold one must not take the descriptors that runs need."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

MOST_CONNECTIONS = 256
SILENCE_SECONDS = 60.0


class HttpProtocol(Protocol):
    """What is used of a server's protocol: the callbacks of asyncio for one connection."""

    def connection_made(self, transport: asyncio.Transport, /) -> None: ...
    def connection_lost(self, exc: Exception | None, /) -> None: ...
    def data_received(self, data: bytes, /) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Connections:
    """The open connections of one event loop, the one that was heard of longest ago first.

    One too many costs the first of them its place, so that whoever comes last is answered, however many are only
    held open. One on which nothing has moved for a while, in either direction, is broken off, unless it is the
    application (`told_of`) that keeps it waiting.
    """

    def __init__(self, *, most: int = MOST_CONNECTIONS, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.silence_seconds = silence_seconds
        self._most = most
        self._open: dict[asyncio.Transport, None] = {}
        self._at_work: Counter[tuple[str, int]] = Counter()

    def add(self, transport: asyncio.Transport) -> None:
        """One more; where there are too many, the one that was silent longest is broken off."""
        self._open[transport] = None
        if len(self._open) > self._most:
            first = next(iter(self._open))
            # At once: it counts no more, though it is closed a turn of the loop later.
            del self._open[first]
            first.abort()

    def heard_of(self, transport: asyncio.Transport) -> None:
        """Something has come from this one."""
        if transport in self._open:
            del self._open[transport]
            self._open[transport] = None

    def remove(self, transport: asyncio.Transport) -> None:
        """It is closed."""
        self._open.pop(transport, None)

    def told_of(self, app: ASGIApp) -> ASGIApp:
        """`app`, which lets these connections know for which of them it is at work."""

        async def work(scope: Scope, receive: Receive, send: Send) -> None:
            client = scope["client"]
            self._at_work[client] += 1
            try:
                await app(scope, receive, send)
            finally:
                self._at_work[client] -= 1
                if not self._at_work[client]:
                    del self._at_work[client]

        return work

    def is_at_work_for(self, transport: asyncio.Transport) -> bool:
        """Whether the application has a request of this one, and has not ended with it."""
        # A client that was gone before it was taken has no address.
        peer = transport.get_extra_info("peername")
        return peer is not None and tuple(peer[:2]) in self._at_work


class Watched(asyncio.Protocol):
    """Hands everything on to the protocol of a server, and keeps the books of `connections`."""

    def __init__(self, inner: HttpProtocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport
        self._heard = True
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)
        self._inner.connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._connections.remove(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._connections.heard_of(self._transport)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._connections.silence_seconds, self._look)

    def _look(self) -> None:
        """Break it off where nothing has moved since the last look, in either direction, and it was its turn."""
        unsent = self._transport.get_write_buffer_size()
        waits = not unsent and self._connections.is_at_work_for(self._transport)
        if not self._heard and unsent == self._unsent and not waits:
            self._transport.abort()
            return
        self._heard, self._unsent = False, unsent
        self._look_later()


def bounded(make: Callable[..., HttpProtocol], connections: Connections) -> type[asyncio.Protocol]:
    """The protocols that `make` gives, as a class of such that are watched."""

    class Bounded(Watched):
        def __init__(self, **options: Any) -> None:
            super().__init__(make(**options), connections)

    return Bounded
