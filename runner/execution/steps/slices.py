"""The array of records, cut out of a large JSON document without reading the document.

An answer such as `{"status": "ok", "data": [ … ], "next": null}` is nearly all array. Where it begins and ends is
tried out: what is around it must be a document with something else at its place, and the array itself must be one,
which whoever reads it finds out. JSON nests, so both together prove that it was cut right.
"""

import json
import os
import re

from runner.execution.steps.packed import is_packed, size_of

# Less than this is read whole in no time.
_LARGE = 1 << 20
_AROUND = 4096
_PIECE = 1 << 20
_SIMPLE_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_BOM = b"\xef\xbb\xbf"
_PLACE = "\0records"


def find_records(path: str, records_path: str | None, *, large: int = _LARGE) -> tuple[int, int] | None:
    """Where in a document the array at `records_path`, names with dots between them, begins and ends, in bytes.

    None where it cannot be found like this. Where there is no array of JSON, it was found wrong.

    Raises:
        OSError: the file cannot be read.
    """
    if (
        records_path is None
        or not _SIMPLE_PATH.fullmatch(records_path)
        or is_packed(path)
        or size_of(path) < large
    ):
        return None
    with open(path, "rb") as source:  # noqa: PTH123 - `path` is text
        size = os.fstat(source.fileno()).st_size
        head = source.read(_AROUND)
        source.seek(max(size - _AROUND, len(head)))
        tail = source.read()
    found = _bounds(head, tail, records_path.split("."))
    return None if found is None else (found[0], size - found[1])


def cut_records(path: str, records_path: str | None, target: str, *, large: int = _LARGE) -> bool:
    """Write the array that `find_records` finds to the file `target`; False, and nothing is written, where it
    finds none.

    Raises:
        OSError: `target` cannot be written.
    """
    found = find_records(path, records_path, large=large)
    if found is None:
        return False
    begin, end = found
    with open(path, "rb") as source, open(target, "wb") as copy:  # noqa: PTH123
        source.seek(begin)
        # Not by sendfile(2), which the sandbox has not.
        while begin < end:
            piece = source.read(min(_PIECE, end - begin))
            if not piece:
                raise OSError(5, "the file has become shorter while it was read", path)
            copy.write(piece)
            begin += len(piece)
    return True


def _bounds(head: bytes, tail: bytes, names: list[str]) -> tuple[int, int] | None:
    """How many bytes stand before the array, and behind it."""
    key = re.compile(rb'"%b"\s*:\s*(?=\[)' % names[-1].encode())
    for opening in key.finditer(head):
        # The first that fits: a later one may belong to another array behind this one.
        for closing in re.finditer(rb"\]", tail):
            if _has_place(head[: opening.end()], tail[closing.end() :], names):
                return opening.end(), len(tail) - closing.end()
    return None


def _has_place(before: bytes, behind: bytes, names: list[str]) -> bool:
    """Whether these are a document that has the place of the records between them."""
    try:
        found = json.loads(before.removeprefix(_BOM) + json.dumps(_PLACE).encode() + behind)
        for name in names:
            found = found[name]
    except (ValueError, RecursionError, TypeError, LookupError):
        return False
    return bool(found == _PLACE)
