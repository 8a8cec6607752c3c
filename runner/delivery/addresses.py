"""Mail addresses in the form that a server takes."""

from collections.abc import Iterable
from email.headerregistry import Address, Group
from email.utils import parseaddr

import idna

from runner.delivery.words import one_line


def ascii_address(address: str) -> str | None:
    """The address with its domain in ASCII; None where the part before the @ is not ASCII.

    Such an address can only be given to a server that offers SMTPUTF8 (RFC 6531). The domain is the one that was
    reviewed, by IDNA 2008: Python's own codec makes fass.de, which is somebody else's, of faß.de.
    """
    local, at, domain = address.rpartition("@")
    if not local.isascii():
        return None
    if domain.isascii():
        return address
    try:
        return local + at + idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        return None


def mailbox(address: str) -> str:
    """What is the same for two ways to write one address, as to `validate`: in capitals, and with its domain as
    `xn--`. Not by `casefold`, to which faß.de is fass.de."""
    return (ascii_address(address) or address).lower()


def each_once(addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses in their order, each mailbox once."""
    first: dict[str, str] = {}
    for address in addresses:
        first.setdefault(mailbox(address), address)
    return tuple(first.values())


def sender_address(sender: str) -> str:
    """The bare address of `runner@example.com` or `Reports <runner@example.com>`, its domain in ASCII."""
    bare = parseaddr(one_line(sender))[1] or one_line(sender)
    return ascii_address(bare) or bare


def header_sender(sender: str) -> Address:
    """The sender for the From header."""
    return _address(sender_address(sender), parseaddr(one_line(sender))[0])


def header_recipients(recipients: Iterable[str]) -> tuple[Address | Group, ...]:
    """The recipients for the To header, those without an ASCII form first.

    They are the name of one empty group (RFC 6857, section 3.1.2): the message stays good for every server. With a
    group for each, the library folds what stands between them into one encoded word, other addresses too.
    """
    forms = [(one_line(recipient), ascii_address(one_line(recipient))) for recipient in recipients]
    unnamed = ", ".join(shown for shown, plain in forms if plain is None)
    group = (Group(display_name=unnamed, addresses=()),) if unnamed else ()
    return (*group, *(_address(plain) for _, plain in forms if plain is not None))


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(display_name=name, username=local or domain, domain=domain if local else "")
