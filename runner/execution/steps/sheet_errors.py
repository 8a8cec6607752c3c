"""The cells of a workbook whose formulas have failed, such as `#DIV/0!`, or were never worked out: a library that
writes workbooks need not be able to.

The reader of its rows has nothing for them, as for cells that are empty, so they are looked for in the file. So
are dates and times below zero, as of an end before its beginning: it has 18:00 for six hours less than nothing.
Where no cell is marked as one of them, as is usual, that takes a twentieth of the time that the rows take.
"""

import codecs
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple
from xml.etree import ElementTree as ET

_BOOK = "xl/workbook.xml"
_PARTS = "xl/_rels/workbook.xml.rels"
# What an .ods and an .xlsb file have inside; an .xls file is no archive.
_OTHER_KINDS = frozenset({"content.xml", "xl/workbook.bin"})
_XML = (".xml", ".rels")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# What an archive that is damaged, or is none, may raise; one that is encrypted, or packed in another way, a
# RuntimeError.
_UNREADABLE = (OSError, EOFError, LookupError, RuntimeError, zlib.error, zipfile.BadZipFile)
# What a sheet says of a value that it has not got.
_NOT_AVAILABLE = "#N/A"
_MARKS = (b't="e"', b"t='e'")
_CELL = re.compile(rb"<(?:\w+:)?c\s([^<>]*\bt=[\"']e[\"'][^<>]*)(?<!/)>(.*?)</(?:\w+:)?c>", re.DOTALL)
# A formula and no value behind it. In a cell of text that is a value: the empty text. A cell that shares the
# formula of another one has no text of it.
_UNWORKED_ENDS = (b"</%(p)sf></%(p)sc>", b"/></%(p)sc>", b"<%(p)sv></%(p)sv></%(p)sc>")
_UNWORKED = (
    rb"<%(p)sc\s((?![^<>]*\bt=[\"']str)[^<>]*)><%(p)sf\b(?:[^<>]*/>|[^<>]*>[^<]*</%(p)sf>)"
    rb"(?:<%(p)sv ?/>|<%(p)sv></%(p)sv>)?</%(p)sc>"
)
# A number below zero that is shown in some format: of a time, of money.
_BELOW_ZERO = (
    rb"<%(p)sc\s([^<>]*\bs=[\"'][1-9][^<>]*)>(?:<%(p)sf\b(?:[^<>]*/>|[^<>]*>[^<]*</%(p)sf>))?"
    rb"<%(p)sv>(-[^<]*)</%(p)sv>"
)
_PREFIX = re.compile(rb"<(\w+:)?worksheet\b")
_NAME = re.compile(rb"\br=[\"']([A-Z]+)([0-9]+)[\"']")
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^<>]*>([^<]*)<")


class CellError(NamedTuple):
    """What a cell holds in place of a value; `error` is empty where it is a formula that was not worked out, and
    the number where it is a date or a time below zero. `column` is its place from 0 on; that and the name of the
    cell, `B2`, are None where the file does not say them."""

    name: str | None
    column: int | None
    error: str


def tells_errors(path: str) -> bool:
    """Whether a workbook is of the kind in which errors are found: the reader of its rows knows others.

    Raises:
        OSError: it cannot be read.
    """
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as book:
        return _OTHER_KINDS.isdisjoint(book.namelist())


def is_in_utf16(path: str, sheet: str) -> bool:
    """Whether a sheet of an xlsx file is in UTF-16: it may be, and the reader of its rows finds none then.

    Raises:
        ValueError: as `cell_errors`.
    """
    return _sheet_text(path, sheet).startswith(_UTF16)


def part_in_utf16(path: str) -> str:
    """The first part of an xlsx file that is in UTF-16, as its list of sheets may be; empty where none is, or the
    file is no xlsx."""
    with suppress(*_UNREADABLE), zipfile.ZipFile(path) as book:
        for name in book.namelist():
            with book.open(name) as part:
                if name.endswith(_XML) and part.read(len(_UTF16[0])).startswith(_UTF16):
                    return name
    return ""


def cell_errors(path: str, sheet: str, times: Callable[[], Container[tuple[int, int]]]) -> Iterator[CellError]:
    """The errors in a sheet of an xlsx file, those of one kind from above; a value not available is none.

    Args:
        times: gives the cells, each by its row and its column from 0 on, that are times of a day to the reader.

    Raises:
        ValueError: the cells of the sheet are not found in the file, though whoever reads its rows may find them.
    """
    text = _sheet_text(path, sheet)
    if any(mark in text for mark in _MARKS):
        for attributes, inside in _CELL.findall(text):
            value = _VALUE.search(inside)
            error = value[1].decode(errors="replace") if value else ""
            if error not in {_NOT_AVAILABLE, ""}:
                yield _cell(attributes, error)
    root = _PREFIX.search(text)
    # All names of a sheet have the same one: a pattern that it stands in is twice as quick.
    prefix = {b"p": (root and root[1]) or b""}
    for attributes in _unworked(text, prefix):
        yield _cell(attributes, "")
    below_zero = re.findall(_BELOW_ZERO % prefix, text) if b"v>-" in text else []
    clocks = times() if below_zero else ()
    for attributes, number in below_zero:
        if _row_and_column(attributes) in clocks:
            yield _cell(attributes, number.decode(errors="replace"))


def _unworked(text: bytes, prefix: Mapping[bytes, bytes]) -> list[bytes]:
    """The attributes of the cells whose formulas were not worked out."""
    if not any(end % prefix in text for end in _UNWORKED_ENDS):
        return []
    return re.findall(_UNWORKED % prefix, text)


def _cell(attributes: bytes, error: str) -> CellError:
    name = _NAME.search(attributes)
    letters, number = (name[1].decode(), name[2].decode()) if name else ("", "")
    return CellError(name=letters + number or None, column=_place(letters), error=error)


def _row_and_column(attributes: bytes) -> tuple[int, int] | None:
    name = _NAME.search(attributes)
    column = _place(name[1].decode()) if name else None
    return None if name is None or column is None else (int(name[2]) - 1, column)


def _place(letters: str) -> int | None:
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1 if letters else None


def _sheet_text(path: str, sheet: str) -> bytes:
    """The part of an xlsx file that has the cells of a sheet.

    Raises:
        ValueError: it is not found, or cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as book:
            # Names of parts are equal in any case, and some programs write them with backslashes.
            parts = {_plain(name): name for name in book.namelist()}
            return book.read(parts[_part_of(book, parts, sheet)])
    except (*_UNREADABLE, ET.ParseError) as error:
        raise ValueError(str(error)) from error


def _plain(part: str) -> str:
    return part.replace("\\", "/").lower()


def _part_of(book: zipfile.ZipFile, parts: Mapping[str, str], sheet: str) -> str:
    """The plain name of that part: the list of sheets has its number, and a list of parts the name.

    Args:
        parts: the names of all parts as they are written, by their plain ones.
    """
    # It is the user's own file, and this process is in the sandbox.
    sheets = ET.fromstring(book.read(parts[_BOOK]))  # noqa: S314
    numbers = [
        value
        for element in sheets.iter()
        if element.tag.endswith("}sheet") and element.get("name") == sheet
        for key, value in element.attrib.items()
        if key.endswith("}id")
    ]
    targets = [
        part.get("Target", "")
        for part in ET.fromstring(book.read(parts[_PARTS]))  # noqa: S314
        if part.get("Id") in numbers
    ]
    return _plain(posixpath.normpath(posixpath.join("/xl", targets[0])).lstrip("/"))
