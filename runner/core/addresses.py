"""Hosts written as addresses: which one they stand for, and whether it is one of this machine or network.

`validate` holds this against what a job file says, a fetch against what a name leads to.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address

_LOCAL_NAME = re.compile(r"(?i)(?:.*\.)?localhost(?:\.localdomain)?\.?")
_LOOPBACK = IPv4Address("127.0.0.1")
_NUMBER = re.compile(r"(?i)(?:0x[0-9a-f]*|[0-9]+)")
_MOST_PARTS = 4
# Told by the registry and not by `is_global` and `is_private`, whose answers differ between releases of Python.
_SPECIAL = (
    (ip_network("100.64.0.0/10"), "a shared address"),
    (ip_network("192.0.0.0/24"), "a reserved address"),
    (ip_network("192.88.99.0/24"), "a reserved address"),
)
_GLOBAL_UNICAST = ip_network("2000::/3")
# RFC 6052: an IPv4 address in the last 32 bits.
_NAT64 = ip_network("64:ff9b::/96")
# Below 2000::/3, and no place for a server: Teredo and other protocols, documentation, 6to4, which hides an IPv4.
_NO_SERVERS = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


def literal_address(host: str) -> IpAddress | None:
    """The address that a host stands for without being looked up; None for a name.

    `localhost` and names below it are loopback (RFC 6761). Numbers count as every system reads them: 127.1,
    0x7f000001 and 2130706433 are one address.
    """
    if _LOCAL_NAME.fullmatch(host):
        return _LOOPBACK
    bare = host.strip("[]").rstrip(".").partition("%")[0]
    try:
        return ip_address(bare)
    except ValueError:
        return _from_numbers(bare)


def address_fault(address: IpAddress) -> str | None:
    """What an address is that the internet does not lead to: `a private address`. None for a public one.

    An IPv4 address inside an IPv6 one (mapped, or by NAT64) is judged as what it is.
    """
    inner = _inner(address)
    if isinstance(inner, IPv6Address) and any(inner in network for network in _NO_SERVERS):
        return "a reserved address"
    kinds = (
        (inner.is_unspecified, "the unspecified address"),
        (inner.is_loopback, "a loopback address"),
        (inner.is_link_local, "a link-local address"),
        (inner.is_multicast, "a multicast address"),
        (inner.is_reserved, "a reserved address"),
        (inner.is_private, "a private address"),
    )
    known = next((words for true, words in kinds if true), None)
    if known is not None:
        return known
    if isinstance(inner, IPv6Address):
        return None if inner in _GLOBAL_UNICAST else "a reserved address"
    return next((words for network, words in _SPECIAL if inner in network), None)


def _inner(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _from_numbers(host: str) -> IPv4Address | None:
    """As inet_aton: one to four numbers, octal with 0 and hexadecimal with 0x before them; the last one fills the
    rest."""
    parts = host.split(".")
    if len(parts) > _MOST_PARTS or not all(len(part) <= 16 and _NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *head, last = map(_number, parts)
    except ValueError:
        return None
    if any(number > 0xFF for number in head) or last >= 1 << 8 * (_MOST_PARTS - len(head)):
        return None
    value = last
    for place, number in enumerate(head):
        value |= number << (8 * (_MOST_PARTS - 1 - place))
    return IPv4Address(value)


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)
