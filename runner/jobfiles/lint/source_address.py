"""The address of an API source → what is wrong with it, and the host that it surely leads to.

Those who read addresses disagree on much: whether `\\` ends a host, whether blanks and line ends count, which
letters are the same. All such is refused here, so that the host seen in review is the host that a run connects to;
a property of the tests holds that against requests and urllib3.
"""

import re
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_REFERENCE = re.compile(r"\$\{[^{}]*\}")
_BLANK = re.compile(r"\s")
_START = re.compile(r"(?i)https?://[^/?#]*")
# Where an address is no whole one, nobody else knows it for a password.
_PASSWORD = re.compile(r"\A((?:[\w+.-]+:?/+)?+[^/:@]*:)(?!\$\{[^{}]*\}@)[^@]+(?=@)")
_NAME_AND_PORT = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?(?::[0-9]*)?")
_NUMBER_AND_PORT = re.compile(r"\[[^\[\]]*\](?::[0-9]*)?")
_REFERENCE_HERE = "\0"


def location_fault(location: str) -> str | None:
    """What is wrong with an address; None when it is good, as far as it stands there: what a reference stands for
    is known at run time only."""
    # References may hold what an address cannot, braces and colons among it: a digit reads well in every part.
    bare = _REFERENCE.sub("1", location)
    fault = _character_fault(bare)
    if fault or location.startswith("${"):
        return fault
    start = _START.match(bare)
    location = _PASSWORD.sub(r"\1***", location)
    if start is None:
        return f"{location!r} is no http or https address"
    written = re.split("//|@", start[0])[-1]
    if not {"[", "]"}.isdisjoint(written) and not _NUMBER_AND_PORT.fullmatch(written):
        # Some releases of Python take it, and others refuse it in other words.
        return f"{written!r} is no name of a host"
    try:
        parts = urlsplit(bare)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        return f"{location!r} is no address: {error}"
    if not host:
        return f"{location!r} names no host"
    return _host_fault(parts.netloc, host)


def host_of(location: str) -> str | None:
    """The host of an address, in small letters; None where a reference stands before its end, user and port among
    it: a value such as `x@other.host` would move it. Empty where `location_fault` finds a fault."""
    if location_fault(location) is not None:
        return ""
    start = _START.match(_REFERENCE.sub(_REFERENCE_HERE, location))
    if start is None or _REFERENCE_HERE in start[0]:
        return None
    return urlsplit(location).hostname


def names_of_host(host: str) -> tuple[str, ...]:
    """A host's name, as `xn--` and in letters where it has both forms: requests makes one from the other. Empty of
    what has neither."""
    if host.isascii() and "xn--" not in host:
        return (host,)
    import idna

    try:
        encoded = idna.encode(host, uts46=True).decode("ascii")
        return (encoded, idna.decode(encoded))
    except UnicodeError:
        return ()


def _character_fault(bare: str) -> str | None:
    if _BLANK.search(bare):
        return "an address cannot hold white space; write %20"
    if "\\" in bare:
        return "an address cannot hold \\: write /, or %5C"
    if not bare.isprintable():
        code = next(ord(character) for character in bare if not character.isprintable())
        return f"an address cannot hold U+{code:04X}"
    return None


def _host_fault(authority: str, host: str) -> str | None:
    if authority.count("@") > 1:
        return "an address has one @ before its host: write %40 for others"
    written = authority.rpartition("@")[2]
    if not written.isascii():
        # What letters are the same for others (ｅ and e, K and k) is written in the one form that nobody changes.
        known = set(names_of_host(host))
        return None if host in known and len(known) > 1 else f"{host!r} is no name of a host"
    # urlsplit passes over what else stands around a host in brackets, and a name with colons.
    if _NAME_AND_PORT.fullmatch(written) or (_NUMBER_AND_PORT.fullmatch(written) and _is_ipv6(host)):
        return None
    return f"{written!r} is no name of a host"


def _is_ipv6(host: str) -> bool:
    """A zone, such as `fe80::1%eth0`, counts on one machine alone."""
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False
