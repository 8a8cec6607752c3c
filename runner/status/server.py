"""The endpoint at work: a socket and a thread."""

import asyncio
import contextlib
import errno
import logging
import socket
import threading

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from runner.errors import StatusError
from runner.settings import StatusSettings
from runner.status.connections import Connections, bounded
from runner.status.middleware import is_loopback
from runner.threads import begin

# So many are taken at a time, before any of them is looked at.
_BACKLOG = 128

logger = logging.getLogger(__name__)


class _CalmServer(uvicorn.Server):
    """Looks about once a second; the base does so ten times, for a quarter percent of a core. Ends when asked."""

    _asked: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        # Asked with 0 it also renews the Date header.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), 1.0)

    def end(self) -> None:
        """Let the loop end; from any thread."""
        self.should_exit = True
        if self._loop is not None and self._asked is not None:
            # The loop may have ended by itself.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._asked.set)


class StatusServer:
    """Serves an application in a thread of its own; takes no signals.

    Args:
        connections: how many may be open, and for how long.
    """

    def __init__(self, app: ASGIApp, settings: StatusSettings, *, connections: Connections | None = None) -> None:
        self._settings = settings
        self._port = settings.port
        connections = connections or Connections()
        self._server = _CalmServer(
            uvicorn.Config(
                connections.told_of(app),
                http=bounded(AutoHTTPProtocol, connections),
                backlog=_BACKLOG,
                lifespan="off",
                ws="none",
                log_config=None,
                # Requests are logged by the application; what uvicorn says besides is of no use to operators.
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on: the real one where 0 was asked for."""
        return self._port

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the page."""
        return self._settings.url_at(self._port)

    def start(self) -> None:
        """Bind, and serve from now on: a request made after this is answered.

        Raises:
            StatusError: the address cannot be had; the message names it.
        """
        listener = self._bind()
        self._port = listener.getsockname()[1]
        if not self._settings.token and not is_loopback(self._settings.host):
            logger.warning(
                "Whoever reaches %s:%d sees the jobs, scripts, addresses and errors: set STATUS_TOKEN",
                self._settings.host,
                self._port,
            )
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="status", daemon=True)
        begin(self._thread)

    def stop(self, timeout: float) -> None:
        """Finish the requests at work, at most `timeout` seconds long; a second call does nothing."""
        if self._thread is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, int(timeout))
        self._server.end()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(1.0)
        self._thread = None

    def _serve(self, listener: socket.socket) -> None:
        try:
            self._server.run(sockets=[listener])
        except Exception:
            logger.exception("The HTTP endpoint has stopped; jobs go on")
        finally:
            listener.close()

    def _bind(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as error:
            raise _cannot_listen(host, port, error) from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise _cannot_listen(host, port, error) from error
        return listener


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> StatusError:
    number, words = (error.errno, error.strerror) if isinstance(error, OSError) else (None, "this is no host name")
    if isinstance(error, (socket.gaierror, UnicodeError)) or number == errno.EADDRNOTAVAIL:
        hint = "Set STATUS_HOST to a name or an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them."
    elif number == errno.EADDRINUSE:
        hint = "Stop the program that listens there, or set STATUS_HOST and STATUS_PORT (0 takes any free port)."
    else:
        hint = "Set another STATUS_HOST or STATUS_PORT (0 takes any free port)."
    return StatusError(f"The HTTP endpoint cannot listen on {host}:{port}: {words}", hint=hint)
