"""Records of JSON → a DataFrame, piece by piece: however many there are, they take little more memory than their
table, and half the time of `json` and pandas.

Only what is plain is read here: records whose columns hold whole numbers, numbers, texts or truth values, each of
them one of these throughout, or nothing at all. Values and types are those of `pandas.DataFrame(json.load(…))`
then, but for whole numbers that would not survive it; whoever calls reads everything else in that way.

An array is cut between two records without being understood: where the piece before the cut is a list of records,
the cut was right, because JSON nests.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, BinaryIO

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from msgspec import UNSET, UnsetType

from runner.execution.steps.whole_numbers import whole_numbers_of

# The objects of one piece stay in the processor's cache, and its memory is used again and not given anew by the
# system: pieces of four times the size take half as long again.
_PIECE = 1 << 18
# A piece without an end is a record of this size, or no array of records.
_LARGEST_RECORD = 16 << 20
# How often the end of a record may be looked for in a text that looks like one.
_TRIES = 8
# What JSON takes for space, which is less than Python does.
_SPACE = b" \t\r\n"
_BETWEEN = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*(?=\{)")
_BOM = b"\xef\xbb\xbf"

_Cell = int | float | str | bool | None
_NUMBERS = frozenset({int, float})
_NOTHING: frozenset[type] = frozenset()
_TRUTHS: frozenset[type] = frozenset({bool})
# Among these pandas tells a null from a member that is missing.
_TELLING = frozenset({_NOTHING, _TRUTHS})
_FIELDS: dict[frozenset[type], Any] = {
    _NOTHING: None | UnsetType,
    _TRUTHS: bool | None | UnsetType,
    frozenset({str}): str | None,
    **dict.fromkeys((frozenset({int}), frozenset({float}), _NUMBERS), int | float | None),
}


class _NotPlainError(Exception):
    """It is no JSON, or no records of plain columns."""


def read_array(
    file: BinaryIO, *, size: int | None = None, piece: int = _PIECE, exact: bool = False
) -> pd.DataFrame | None:
    """The table of an array of records; None where it is not plain, or no such array.

    Args:
        file: read from where it is.
        size: the bytes of the array; None: up to the end of the file.
        piece: about how many bytes are looked at together.
        exact: whether whole numbers beside gaps stay what they are, small ones too.
    """
    return _frame(lambda table: _read_pieces(_blocks(file, size, piece), table), exact=exact)


def read_lines(file: BinaryIO, *, piece: int = _PIECE, exact: bool = False) -> pd.DataFrame | None:
    """The table of a record on each line; empty lines are passed over. Otherwise as `read_array`."""
    return _frame(lambda table: _read_lines(_blocks(file, None, piece), table), exact=exact)


def _frame(read: Callable[["_Table"], None], *, exact: bool) -> pd.DataFrame | None:
    table = _Table()
    try:
        read(table)
        return table.frame(exact=exact)
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
        # The rows without a member, of columns where that is no null.
        self._missing: dict[str, list[range | list[int]]] = {}
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
        for place, (name, pieces) in enumerate(self._pieces.items()):
            cells = list(map(attrgetter(f"c{place}"), records))
            pieces.append(pa.array(cells if self._kinds[name] not in _TELLING else self._told(name, cells)))
        self._rows += len(records)
        return len(records)

    def frame(self, *, exact: bool) -> pd.DataFrame:
        """All that was taken.

        Raises:
            _NotPlainError: there is none, or a column is not plain.
        """
        if not self._kinds:
            raise _NotPlainError
        # A single piece is not copied on its way to pandas, and cannot be written to then.
        few = any(len(pieces) == 1 for pieces in self._pieces.values())
        columns = [_column(pieces) for pieces in self._pieces.values()]
        table = pa.Table.from_arrays(columns, names=list(self._kinds))
        whole = whole_numbers_of(dict(zip(self._kinds, columns, strict=True)), exact=exact)
        del columns
        self._pieces.clear()
        # Gaps in whole numbers make floats: what pandas makes of the same records.
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
        if few:
            frame = frame.copy()
        for name, series in whole.items():
            frame[name] = series
        for name, missing in self._missing.items():
            kind = self._kinds[name]
            if kind in _TELLING:
                frame[name] = np.nan if kind == _NOTHING else _with_gaps(frame[name], missing)
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
            if name not in self._pieces:
                self._pieces[name] = [pa.nulls(self._rows)] if self._rows else []
                if self._rows and kind in _TELLING:
                    self._missing[name] = [range(self._rows)]
        fields = [
            (f"c{place}", _FIELDS[kind], msgspec.field(name=name, default=UNSET if kind in _TELLING else None))
            for place, (name, kind) in enumerate(self._kinds.items())
        ]
        try:
            record = msgspec.defstruct("Record", fields, forbid_unknown_fields=True, gc=False)
        except ValueError:
            # A name with quotes, backslashes or control letters in it.
            raise _NotPlainError from None
        self._decoder = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]

    def _told(self, name: str, cells: list[Any]) -> list[Any]:
        """The cells of the next rows with None for what is missing, which is noted."""
        missing = [row for row, cell in enumerate(cells, start=self._rows) if cell is UNSET]
        if not missing:
            return cells
        self._missing.setdefault(name, []).append(missing)
        return [None if cell is UNSET else cell for cell in cells]


def _column(pieces: list[pa.Array]) -> pa.ChunkedArray:
    """One column of one type.

    Raises:
        pa.ArrowInvalid: a number cannot be kept exactly.
    """
    types = {piece.type for piece in pieces} - {pa.null()}
    target = pa.float64() if len(types) > 1 else next(iter(types), pa.null())
    column = pa.chunked_array([piece.cast(target) for piece in pieces], type=target)
    pieces.clear()
    return column


def _with_gaps(truths: pd.Series, missing: list[range | list[int]]) -> np.ndarray:
    """Truth values with NaN where a member is missing, and None where it is null."""
    cells = truths.to_numpy(dtype=object, copy=True)
    for rows in missing:
        cells[rows] = np.nan
    return cells


def _read_pieces(blocks: Iterator[bytes], table: _Table) -> None:
    """Take an array as it comes.

    Raises:
        _NotPlainError, msgspec.DecodeError: it is not plain, or no array.
    """
    rest, last = b"", next(blocks, b"").removeprefix(_BOM).lstrip(_SPACE)
    if not last.startswith(b"["):
        raise _NotPlainError
    last = last[1:]
    for block in blocks:
        rest, last = _take_records(rest + last, table), block
    rest = (rest + last).rstrip(_SPACE)
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
    lines = [line for line in text.split(b"\n") if line.strip(_SPACE)]
    if lines and table.add(b",".join(lines)) != len(lines):
        raise _NotPlainError


def _blocks(file: BinaryIO, size: int | None, piece: int) -> Iterator[bytes]:
    left = size
    while block := file.read(piece if left is None else min(piece, left)):
        yield block
        left = None if left is None else left - len(block)
