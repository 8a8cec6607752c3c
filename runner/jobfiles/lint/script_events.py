"""Byte code → what it does to names. `dis` tells the same and more, ten times as slowly."""

import dis
import re
import sys
from collections.abc import Iterator
from enum import Enum
from opcode import opmap
from types import CodeType
from typing import NamedTuple

# Later versions may give the arguments another meaning: there dis is asked.
_READABLE = sys.version_info < (3, 15)
_EXTENDED, _LOAD_GLOBAL = opmap["EXTENDED_ARG"], opmap["LOAD_GLOBAL"]
_INTRINSIC = opmap.get("CALL_INTRINSIC_1", -1)
_INTRINSIC_STAR = 2


class Deed(Enum):
    """What is done to a name. STAR: `from … import *`, which binds names that nobody knows."""

    READ = "read"
    STORE = "store"
    STORE_GLOBAL = "store global"
    STAR = "star"


class Event(NamedTuple):
    """One deed; the name is empty for STAR, the place that of the statement or expression: line from 1, and column
    from 0 in bytes of UTF-8."""

    deed: Deed
    name: str
    place: tuple[int, int]


_DEEDS = {
    "LOAD_NAME": Deed.READ,
    "LOAD_GLOBAL": Deed.READ,
    "LOAD_FROM_DICT_OR_GLOBALS": Deed.READ,
    "STORE_NAME": Deed.STORE,
    "STORE_GLOBAL": Deed.STORE_GLOBAL,
    "IMPORT_STAR": Deed.STAR,
    "CALL_INTRINSIC_1": Deed.STAR,
}
_DEED_OF = {opmap[name]: deed for name, deed in _DEEDS.items() if name in opmap}
_EVENT = re.compile(b"[" + b"".join(re.escape(bytes([code])) for code in sorted(_DEED_OF)) + b"]")


def name_events(code: CodeType) -> Iterator[Event]:
    """What a code object does to names beyond its own, in the order of its byte code."""
    if not _READABLE:
        yield from _ask_dis(code)
        return
    places: list[tuple[int | None, int | None, int | None, int | None]] = []
    for deed, name, at in _deeds(code):
        places = places or list(code.co_positions())
        line, _, column, _ = places[at]
        yield Event(deed, name, _place(line, column))


def can_bind(code: CodeType, name: str) -> bool:
    """Whether a code object binds a name beyond its own, or any name by a star."""
    found = _deeds(code) if _READABLE else _ask_dis(code)
    return any(deed is Deed.STAR or (bound == name and deed is not Deed.READ) for deed, bound, _ in found)


def _deeds(code: CodeType) -> Iterator[tuple[Deed, str, int]]:
    """Deed, name, and the number of the instruction."""
    content = code.co_code
    ops, arguments, names = content[::2], content[1::2], code.co_names
    for match in _EVENT.finditer(ops):
        at = match.start()
        op = ops[at]
        argument, before, shift = arguments[at], at - 1, 8
        while before >= 0 and ops[before] == _EXTENDED:
            argument |= arguments[before] << shift
            before, shift = before - 1, shift + 8
        deed = _DEED_OF[op]
        if deed is not Deed.STAR:
            # The lowest bit tells of a call that follows.
            yield deed, names[argument >> 1 if op == _LOAD_GLOBAL else argument], at
        elif op != _INTRINSIC or argument == _INTRINSIC_STAR:
            yield deed, "", at


def _ask_dis(code: CodeType) -> Iterator[Event]:
    for one in dis.get_instructions(code):
        deed = _DEEDS.get(one.opname)
        found = one.positions or dis.Positions()
        place = _place(found.lineno, found.col_offset)
        if deed is Deed.STAR:
            if one.opname == "IMPORT_STAR" or "STAR" in one.argrepr:
                yield Event(deed, "", place)
        elif deed is not None:
            yield Event(deed, one.argval, place)


def _place(line: int | None, column: int | None) -> tuple[int, int]:
    return (1, 0) if line is None or column is None else (line, column)
