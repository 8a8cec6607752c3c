"""Records of JSON → a DataFrame, piece by piece: however many there are, they take little more memory than their
table, and half the time of `json` and pandas.

Only what is plain is read here: records whose columns hold whole numbers, numbers, texts or truth values, each of
them one of these throughout. Values and types are those of `pandas.DataFrame(json.load(…))` then; whoever calls
reads everything else in that way.

An array is cut between two records without being understood: where the piece before the cut is a list of records,
the cut was right, because JSON nests.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, BinaryIO

import msgspec
import pandas as pd
import pyarrow as pa

_PIECE = 1 << 20
# A piece without an end is a record of this size, or no array of records.
_LARGEST_RECORD = 16 << 20
# How often the end of a record may be looked for in a text that looks like one.
_TRIES = 8
_BETWEEN = re.compile(rb"\s*,\s*(?=\{)")
_BOM = b"\xef\xbb\xbf"

_Cell = int | float | str | bool | None
_NUMBERS = frozenset({int, float})
_FIELDS: dict[frozenset[type], Any] = {
    frozenset(): None,
    frozenset({str}): str | None,
    frozenset({bool}): bool | None,
    **dict.fromkeys((frozenset({int}), frozenset({float}), _NUMBERS), int | float | None),
}


class _NotPlainError(Exception):
    """It is no JSON, or no records of plain columns."""


def read_array(file: BinaryIO, *, size: int | None = None, piece: int = _PIECE) -> pd.DataFrame | None:
    """The table of an array of records; None where it is not plain, or no such array.

    Args:
        file: read from where it is.
        size: the bytes of the array; None: up to the end of the file.
        piece: about how many bytes are looked at together.
    """
    return _frame(lambda table: _read_pieces(_blocks(file, size, piece), table))


def read_lines(file: BinaryIO, *, piece: int = _PIECE) -> pd.DataFrame | None:
    """The table of a record on each line; empty lines are passed over. Otherwise as `read_array`."""
    return _frame(lambda table: _read_lines(_blocks(file, None, piece), table))


def _frame(read: Callable[["_Table"], None]) -> pd.DataFrame | None:
    table = _Table()
    try:
        read(table)
        return table.frame()
    except (_NotPlainError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # Whole numbers that are no 64-bit numbers, or that stand beside fractions which they cannot be told from.
        return None


class _Table:
    """The columns so far, in the order in which they appeared: what each may hold, and its cells by pieces."""

    def __init__(self) -> None:
        self._kinds: dict[str, frozenset[type]] = {}
        self._pieces: dict[str, list[pa.Array]] = {}
        self._decoder: msgspec.json.Decoder[list[Any]] | None = None
        self._rows = 0

    def add(self, text: bytes) -> int:
        """Take the records of a list without its brackets; answers with their number.

        Raises:
            msgspec.DecodeError: it is no such list.
            _NotPlainError: a column is not plain.
        """
        whole = b"[%b]" % text
        records = self._known(whole)
        if records is None:
            self._learn(whole)
            records = self._known(whole)
        if records is None:
            raise _NotPlainError
        for place, pieces in enumerate(self._pieces.values()):
            pieces.append(pa.array(list(map(attrgetter(f"c{place}"), records))))
        self._rows += len(records)
        return len(records)

    def frame(self) -> pd.DataFrame:
        """All that was taken.

        Raises:
            _NotPlainError: there is none, or a column is not plain.
        """
        if not self._kinds:
            raise _NotPlainError
        columns = [_column(pieces, self._kinds[name]) for name, pieces in self._pieces.items()]
        table = pa.Table.from_arrays(columns, names=list(self._kinds))
        del columns
        self._pieces.clear()
        # Gaps in whole numbers make floats: what pandas makes of the same records.
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
        return frame

    def _known(self, whole: bytes) -> list[Any] | None:
        """The records where they are as those before; None where they are not."""
        if self._decoder is None:
            return None
        try:
            return self._decoder.decode(whole)
        except msgspec.ValidationError:
            return None

    def _learn(self, whole: bytes) -> None:
        """Widen what the columns may hold by what a list of records holds."""
        records = msgspec.json.decode(whole, type=list[dict[str, _Cell]])
        for name in dict.fromkeys(name for record in records for name in record):
            found = {type(record.get(name)) for record in records} - {type(None)}
            kind = self._kinds.get(name, frozenset()) | found
            if kind not in _FIELDS:
                raise _NotPlainError(name)
            self._kinds[name] = kind
            self._pieces.setdefault(name, [pa.nulls(self._rows)] if self._rows else [])
        fields = [
            (f"c{place}", _FIELDS[kind], msgspec.field(name=name, default=None))
            for place, (name, kind) in enumerate(self._kinds.items())
        ]
        record = msgspec.defstruct("Record", fields, forbid_unknown_fields=True, gc=False)
        self._decoder = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]


def _column(pieces: list[pa.Array], kind: frozenset[type]) -> pa.ChunkedArray:
    """One column of one type.

    Raises:
        _NotPlainError: it has nothing in it, or gaps among truth values.
        pa.ArrowInvalid: a number cannot be kept exactly.
    """
    if not kind:
        raise _NotPlainError
    types = {piece.type for piece in pieces} - {pa.null()}
    target = pa.float64() if len(types) > 1 else types.pop()
    if pa.types.is_boolean(target) and any(piece.null_count for piece in pieces):
        # Among truth values, pandas tells a null from a member that is missing.
        raise _NotPlainError
    column = pa.chunked_array([piece.cast(target) for piece in pieces], type=target)
    pieces.clear()
    return column


def _read_pieces(blocks: Iterator[bytes], table: _Table) -> None:
    """Take an array as it comes.

    Raises:
        _NotPlainError, msgspec.DecodeError: it is not plain, or no array.
    """
    rest, last = b"", next(blocks, b"").removeprefix(_BOM).lstrip()
    if not last.startswith(b"["):
        raise _NotPlainError
    last = last[1:]
    for block in blocks:
        rest, last = _take_records(rest + last, table), block
    rest = (rest + last).rstrip()
    # An end without a record before it is an empty array, or a comma too many.
    if not rest.endswith(b"]") or not table.add(rest[:-1]):
        raise _NotPlainError


def _take_records(text: bytes, table: _Table) -> bytes:
    """Take as many records as there are whole ones, as far as can be told; answers with what is left."""
    for end, begin in itertools.islice(_cuts(text), _TRIES):
        try:
            table.add(text[:end])
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # What looked like the end of a record lies in a text, or in a record.
            continue
        return text[begin:]
    if len(text) > _LARGEST_RECORD:
        raise _NotPlainError
    return text


def _cuts(text: bytes) -> Iterator[tuple[int, int]]:
    """Where a record may end and the next one begin, the last such place first."""
    end = len(text)
    while (end := text.rfind(b"}", 0, end)) >= 0:
        between = _BETWEEN.match(text, end + 1)
        if between is not None:
            yield end + 1, between.end()


def _read_lines(blocks: Iterator[bytes], table: _Table) -> None:
    """Take lines as they come.

    Raises:
        _NotPlainError, msgspec.DecodeError: they are not plain, or a line is no record.
    """
    rest = next(blocks, b"").removeprefix(_BOM)
    for block in blocks:
        whole, _, rest = (rest + block).rpartition(b"\n")
        if len(rest) > _LARGEST_RECORD:
            raise _NotPlainError
        _take_lines(whole, table)
    _take_lines(rest, table)


def _take_lines(text: bytes, table: _Table) -> None:
    lines = [line for line in text.split(b"\n") if not line.isspace() and line]
    if lines and table.add(b",".join(lines)) != len(lines):
        raise _NotPlainError


def _blocks(file: BinaryIO, size: int | None, piece: int) -> Iterator[bytes]:
    left = size
    while block := file.read(piece if left is None else min(piece, left)):
        yield block
        left = None if left is None else left - len(block)
