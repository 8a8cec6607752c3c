"""The addresses that an API may lie at: public ones, and others where the policy names the host.

A job is a stranger's text: without this it could ask the service's own machine and network for things that they
tell their neighbours alone, such as the credentials of a cloud machine at 169.254.169.254.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence

import idna

from runner.core.job_policy import RunBounds
from runner.errors import FetchError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# What getaddrinfo gives: family, type, protocol, canonical name, and the address of the socket.
Found = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

_LOOK_UP_SECONDS = 2.0
# Told by the registry and not by `is_global`, whose answer differs between releases of Python.
_SPECIAL = (
    (ipaddress.ip_network("100.64.0.0/10"), "a shared address (100.64.0.0/10)"),
    (ipaddress.ip_network("192.0.0.0/24"), "a reserved address"),
    (ipaddress.ip_network("192.88.99.0/24"), "a reserved address"),
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Below 2000::/3, and no place for a server: Teredo and other protocols, documentation, 6to4, which hides an IPv4.
_NO_SERVERS = tuple(map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def connect(
    host: str,
    port: int,
    bounds: RunBounds,
    remaining: Callable[[], float],
    options: Sequence[tuple[int, int, int]],
) -> socket.socket:
    """A TCP connection to a host, at an address that it may have.

    The name is looked up once, each address is judged, and the socket goes to a judged one: an answer that changes
    between two look-ups gains nothing. Numbers in any spelling (`0x7f.1`, `2130706433`) are addresses by then.

    Args:
        host: as it stands in the address, with or without brackets.
        remaining: seconds that are left; each address gets its share.
        options: options of the socket.

    Raises:
        FetchError: every address of the host is refused.
        OSError: the name is not known (socket.gaierror), or nothing answers: the fault of the first address.
    """
    host = host.strip("[]")
    found = judged(host, look_up(host, port), bounds)
    fault: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(found):
        connected = socket.socket(family, kind, protocol)
        try:
            for option in options:
                connected.setsockopt(*option)
            connected.settimeout(max(0.001, remaining() / (len(found) - number)))
            connected.connect(address)
            connected.settimeout(max(0.001, remaining()))
            return connected
        except OSError as error:
            connected.close()
            fault = fault or error
    raise fault or socket.gaierror(socket.EAI_NONAME, "no address")


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
    searching.start()
    searching.join(_LOOK_UP_SECONDS)
    judged(host.strip("[]"), tuple(found), bounds)


def fault_of(address: str) -> str | None:
    """What speaks against an address, in words: `a private address`. None for a public one.

    An IPv4 address inside an IPv6 one (mapped, or by NAT64) is judged as what it is.
    """
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    kinds = (
        (ip.is_unspecified, "the unspecified address"),
        (ip.is_loopback, "a loopback address"),
        (ip.is_link_local, "a link-local address"),
        (ip.is_multicast, "a multicast address"),
        (ip.is_reserved, "a reserved address"),
        (ip.is_private, "a private address"),
    )
    for true, words in kinds:
        if true:
            return words
    if ip.version == 6:
        good = ip in _GLOBAL_UNICAST and not any(ip in network for network in _NO_SERVERS)
        return None if good else "a reserved address"
    return next((words for network, words in _SPECIAL if ip in network), None)


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


def _unwrapped(ip: IPAddress) -> IPAddress:
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _refused(host: str, address: str, fault: str) -> FetchError:
    where = f"{host} is {fault}" if host == address else f"{host} lies at {address}, {fault}"
    return FetchError(
        f"{where}: nothing is fetched from there",
        hint="If jobs may ask this host, name it in `private_hosts` of jobs.d/_policy.yaml.",
    )
