"""Sends one HTTP request and hands its answer back unread: connections, TLS, proxies, hosts that may be asked."""

import base64
import http.client
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from runner.core.job_policy import RunBounds
from runner.errors import FetchError
from runner.fetch.addresses import connect, judge_proxied, names_of
from runner.fetch.context import FetchContext
from runner.fetch.deadline import Deadline, DeadlinePassedError
from runner.fetch.proxies import ca_bundle, proxies_for, proxy_words
from runner.fetch.references import References
from runner.fetch.request import HttpRequest, same_host
from runner.fetch.retries import broke_off

# Its lines hold whole addresses, and with them keys, also at the level WARNING. What matters is told by us.
logging.getLogger("urllib3").propagate = False


# Those after which the answer comes: 101 is one itself.
_INTERIM = range(102, 200)


class Transport:
    """The connections of one fetch. TLS is always verified; redirects are handed back like other answers.

    A connection is kept for the next request, and a server may end it just as that one leaves. A GET is sent once
    more then, on a new one; a POST, of which nobody knows whether it was heard, always has a new one.

    Every host is held against the policy, and every connection against what `runner.fetch.addresses` allows.
    Cookies that a host has set stay with it. `proxy` is the one that was asked last, for people; empty: none.

    Args:
        context: gives the environment and the bounds.
        references: learns the password of a proxy.
        deadline: can shut every socket from its first byte on.
    """

    def __init__(self, context: FetchContext, references: References, deadline: Deadline) -> None:
        self._environ: Mapping[str, str] = context.environ
        self._bounds = context.bounds
        self._references = references
        self._deadline = deadline
        self._asked = ""
        self.proxy = ""
        self._session = _Session()
        self._session.trust_env = False  # no .netrc, and no proxies but ours
        self._session.verify = ca_bundle(context.environ)
        self._session.headers.clear()
        self._adapter = _WatchedAdapter(deadline, context.bounds)
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, request: HttpRequest) -> requests.Response:
        """The answer to one request; its body is read from the network by who asks for it.

        Raises:
            FetchError: the policy does not allow the host or its addresses.
            DeadlinePassedError: the time is over.
            requests.RequestException, urllib3.exceptions.HTTPError: no answer.
        """
        if self._asked and not same_host(self._asked, request.url):
            self._session.cookies.clear()
        self._asked = request.url
        prepared = self._session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                headers=dict(request.headers),
                params=list(request.params),
                data=request.body,
            )
        )
        proxies = self._judge(prepared.url or request.url)
        if request.method != "GET":
            self._session.close()
        opened = self._adapter.opened
        try:
            return self._send(prepared, proxies)
        except requests.ConnectionError as error:
            if request.method != "GET" or self._adapter.opened > opened or not broke_off(error):
                raise
        # Others that were kept may have ended too.
        self._session.close()
        return self._send(prepared, proxies)

    def _send(self, prepared: requests.PreparedRequest, proxies: dict[str, str]) -> requests.Response:
        self._deadline.forget()
        self._deadline.check()
        return self._session.send(
            prepared,
            stream=True,
            allow_redirects=False,
            timeout=max(0.001, self._deadline.remaining()),
            proxies=proxies,
        )

    def _judge(self, url: str) -> dict[str, str]:
        """Refuse a host that may not be asked; the proxy to ask it through.

        `url` is what is really asked: requests has read the address in its own way.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if not any(self._bounds.allows_host(name) for name in names_of(host)):
            raise FetchError(
                f"{host} is no host that sources may be fetched from",
                hint="If jobs may ask this host, add it to `allowed_hosts` of jobs.d/_policy.yaml.",
            )
        proxies = proxies_for(url, self._environ)
        self.proxy = proxy_words(proxies, self._environ)
        for proxy in proxies.values():
            user, password = requests.utils.get_auth_from_url(proxy)
            self._references.add_secret(password)
            # The header has both in one base64, in which the password alone need not be found.
            self._references.add_secret(f"{user}:{password}" if password else "")
        if proxies:
            judge_proxied(host, parts.port or 0, self._bounds)
        return proxies


class _Session(requests.Session):
    """A session that never looks at redirects: its own look reads their whole body into memory first."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the base's signature
        return None


class _WatchedAdapter(HTTPAdapter):
    """Hands every socket to the deadline before the first byte passes, TLS handshake and proxies included.

    `opened` counts the connections that were tried to be opened.
    """

    def __init__(self, deadline: Deadline, bounds: RunBounds) -> None:
        self.opened = 0
        self._deadline = deadline
        self._bounds = bounds
        super().__init__()

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        if not hasattr(pool.ConnectionCls, "watched"):
            # With a proxy the connection goes to the proxy, which may lie anywhere.
            bounds = None if proxies else self._bounds
            pool.ConnectionCls = _watched_class(pool.ConnectionCls, self._deadline, bounds, self._count)
        return pool

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """The credentials for a proxy in UTF-8, as those for a server; requests writes Latin-1, which lacks most
        characters."""
        user, password = requests.utils.get_auth_from_url(proxy)
        if not user:
            return {}
        encoded = base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode("ascii")
        return {"Proxy-Authorization": f"Basic {encoded}"}

    def _count(self) -> None:
        self.opened += 1


class _FinalResponse(http.client.HTTPResponse):
    """An answer without those before it that say that it is coming, such as 103 Early Hints (RFC 9110, 15.2).

    http.client passes over 100 Continue alone, and takes the others for the answer itself.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in _INTERIM:
                return version, status, reason
            http.client.parse_headers(self.fp)


def _watched_class(base: Any, deadline: Deadline, bounds: RunBounds | None, on_open: Callable[[], None]) -> Any:
    """A subclass of urllib3's connection class whose new sockets the deadline can shut.

    Args:
        bounds: what the addresses of the host are held against; None: they are those of a proxy.
    """

    def new_connection(self: Any) -> Any:
        on_open()
        # Documented by urllib3 as the place to open the socket.
        connected = base._new_conn(self) if bounds is None else _connect(self, bounds, deadline)  # noqa: SLF001
        try:
            deadline.watch(connected, lambda: self.sock is None)
        except DeadlinePassedError:
            connected.close()
            raise
        return connected

    added = {"_new_conn": new_connection, "watched": True, "response_class": _FinalResponse}
    return type("WatchedConnection", (base,), added)


def _connect(connection: Any, bounds: RunBounds, deadline: Deadline) -> socket.socket:
    """A socket to the host of a connection, with the errors that urllib3 expects."""
    host = connection._dns_host  # noqa: SLF001 - `host` has lost its last dot, and means another name to DNS
    try:
        return connect(host, connection.port, bounds, deadline, connection.socket_options or ())
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "no answer in time") from error
    except OSError as error:
        raise NewConnectionError(connection, "no connection") from error
