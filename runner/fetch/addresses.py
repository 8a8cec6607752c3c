"""The addresses that an API may lie at: public ones, and others where the policy names the host.

A job is a stranger's text: without this it could ask the service's own machine and network for things that they
tell their neighbours alone, such as the credentials of a cloud machine at 169.254.169.254.
"""

import ipaddress
import socket
import threading
from collections.abc import Sequence

import idna

from runner.connecting import Found, connect_first
from runner.core.addresses import address_fault
from runner.core.job_policy import RunBounds
from runner.errors import FetchError
from runner.fetch.deadline import Deadline
from runner.threads import begin

_LOOK_UP_SECONDS = 2.0


def connect(
    host: str,
    port: int,
    bounds: RunBounds,
    deadline: Deadline,
    options: Sequence[tuple[int, int, int]],
) -> socket.socket:
    """A TCP connection to a host, at an address that it may have.

    The name is looked up once, each address is judged, and the socket goes to a judged one: an answer that changes
    between two look-ups gains nothing. Numbers in any spelling (`0x7f.1`, `2130706433`) are addresses by then.

    Args:
        host: as it stands in the address, with or without brackets.
        deadline: learns that the name is looked up, and bounds what comes after it.
        options: options of the socket.

    Raises:
        FetchError: every address of the host is refused.
        OSError: the name is not known (socket.gaierror), or as `connect_first`.
    """
    host = host.strip("[]")
    deadline.looked_up = host
    found = look_up(host, port)
    deadline.looked_up = ""
    return connect_first(judged(host, found, bounds), deadline.remaining, options)


def look_up(host: str, port: int) -> list[Found]:
    """The addresses of a host.

    Raises:
        socket.gaierror: the name is not known.
    """
    # As bytes: the codec for text has faults of its own. requests has made the name ASCII by now.
    return list(socket.getaddrinfo(host.encode("ascii", "replace"), port, type=socket.SOCK_STREAM))


def judged(host: str, found: Sequence[Found], bounds: RunBounds) -> list[Found]:
    """Those of a host's addresses that may be connected to.

    Raises:
        FetchError: none of them.
    """
    if any(bounds.allows_private(name) for name in names_of(host)):
        return list(found)
    faults = [(entry, fault_of(str(entry[4][0]))) for entry in found]
    good = [entry for entry, fault in faults if fault is None]
    if not good and faults:
        entry, fault = faults[0]
        raise _refused(host, str(entry[4][0]), fault or "")
    return good


def judge_proxied(host: str, port: int, bounds: RunBounds) -> None:
    """Refuse a host that a proxy is to be asked for, as far as it is known here where that lies.

    The proxy looks the name up and connects: what it finds may differ from what is found here, and a name that is
    not known here, or not within two seconds, is left to the proxy and its rules. An address is judged always.

    Raises:
        FetchError: all known addresses of the host are refused.
    """
    found: list[Found] = []

    def search() -> None:
        try:
            found.extend(look_up(host.strip("[]"), port))
        except OSError:
            return

    searching = threading.Thread(target=search, name="look-up", daemon=True)
    begin(searching)
    searching.join(_LOOK_UP_SECONDS)
    judged(host.strip("[]"), tuple(found), bounds)


def fault_of(address: str) -> str | None:
    """What speaks against an address as getaddrinfo writes it, in words; None for a public one."""
    return address_fault(ipaddress.ip_address(address.partition("%")[0]))


def names_of(host: str) -> tuple[str, ...]:
    """A host as the policy may name it: as it is, in letters for one in `xn--`, an address in its short form."""
    if "xn--" in host:
        try:
            return (host, idna.decode(host))
        except UnicodeError:
            return (host,)
    try:
        return (host, str(ipaddress.ip_address(host)))
    except ValueError:
        return (host,)


def _refused(host: str, address: str, fault: str) -> FetchError:
    where = f"{host} is {fault}" if host == address else f"{host} lies at {address}, {fault}"
    return FetchError(
        f"{where}: nothing is fetched from there",
        hint="If jobs may ask this host, name it in `private_hosts` of jobs.d/_policy.yaml.",
    )
