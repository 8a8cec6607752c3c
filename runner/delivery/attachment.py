"""What of a result goes with the mail: the file, or a sentence that says where it is."""

import gzip
import io
import os
from dataclasses import dataclass
from typing import BinaryIO

from runner.core.job import AttachmentFormat
from runner.core.report import Report, result_file_name, size_words

# What servers usually take is 10 MB for the whole mail; base64 makes 78 bytes of every 57.
ENCODED_LIMIT = 10_000_000
# Beside files of this size the largest preview makes no mail too large.
SMALL_FILES = 1_500_000
# Compressing so much takes some ten seconds; what is still larger is no matter for a mail.
LARGEST_PACKED = 1 << 30
_PIECE_BYTES = 1 << 20
_LINE_BYTES, _ENCODED_LINE_BYTES = 57, 78
# The highest level takes five times as long, and saves two bytes of a hundred.
_GZIP_LEVEL = 6
_TYPES = {
    AttachmentFormat.CSV: ("text", "csv"),
    AttachmentFormat.CSV_GZ: ("application", "gzip"),
    AttachmentFormat.XLSX: ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    AttachmentFormat.PARQUET: ("application", "vnd.apache.parquet"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A file in a mail."""

    name: str
    subtype: str
    maintype: str
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """The attachment, and the sentence that tells people of it.

    `attachment` is None exactly where the result cannot go with the mail: the sentence then says why, how large it
    is and where it is kept; `hint` says what to do about it. `beside`: how many bytes all else in the mail takes.
    """

    attachment: Attachment | None
    sentence: str
    hint: str = ""
    beside: int = 0


def attach(report: Report, *, kept_at: str | None, beside: int = 0) -> Attached:
    """The attachment of a report on a run that succeeded, in the form that its job names.

    The mail takes at most 10 MB as it is sent. A CSV that is too large for that is compressed; what is still too
    large stays where it is. Nothing is ever cut, and a missing attachment is always explained.

    Args:
        kept_at: the path of the result, as people can find it; None where it is not kept.
        beside: how many bytes the mail takes without its files.
    """
    content, form = report.result, report.job.delivery.attachment
    if content is None and report.packed is not None:
        return _compressed(report, report.packed, report.result_bytes, kept_at, beside)
    if content is None:
        return _too_large(report, size_words(report.result_bytes), kept_at)
    if form is not AttachmentFormat.CSV_GZ and fits(content, beside=beside):
        name = result_file_name(report)
        sentence = f"Attached: {name}, {size_words(len(content))}."
        return Attached(attachment=_file(name, form, content), sentence=sentence, beside=beside)
    if form in {AttachmentFormat.XLSX, AttachmentFormat.PARQUET}:
        # Both are compressed already.
        return _too_large(report, size_words(len(content)), kept_at)
    # No time inside: the same result makes the same mail.
    packed = gzip.compress(content, _GZIP_LEVEL, mtime=0)
    return _compressed(report, packed, len(content), kept_at, beside)


def pack(file: BinaryIO) -> bytes | None:
    """A file compressed, read piece by piece; None as soon as it is plain that no mail can carry it.

    Raises:
        OSError: it cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    if size > LARGEST_PACKED:
        return None
    file.seek(0)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, packed, mtime=0) as target:
        while piece := file.read(_PIECE_BYTES):
            target.write(piece)
            if encoded_size(packed.tell()) > ENCODED_LIMIT:
                return None
    return packed.getvalue()


def encoded_size(size: int) -> int:
    """How many bytes a file of this size takes in a mail: base64, in lines of 76 characters."""
    return -(-size // _LINE_BYTES) * _ENCODED_LINE_BYTES


def _compressed(report: Report, packed: bytes, size: int, kept_at: str | None, beside: int) -> Attached:
    if not fits(packed, beside=beside):
        sizes = f"{size_words(size)}, or {size_words(len(packed))} compressed,"
        return _too_large(report, sizes, kept_at)
    name = result_file_name(report).removesuffix(".gz") + ".gz"
    sizes = f"{size_words(len(packed))}, compressed from {size_words(size)}"
    file = _file(name, AttachmentFormat.CSV_GZ, packed)
    return Attached(attachment=file, sentence=f"Attached: {name}, {sizes}.", beside=beside)


def _too_large(report: Report, sizes: str, kept_at: str | None) -> Attached:
    place = f"It is kept at {kept_at}." if kept_at else f"Ask for the result of run {report.run.run_id}."
    smaller = (
        ""
        if report.job.delivery.attachment is AttachmentFormat.PARQUET
        else ", or set `attachment: parquet` under `delivery`, which may take less room"
    )
    return Attached(
        attachment=None,
        sentence=f"The result is not attached: {sizes} is more than a mail can carry. {place}",
        hint=f"Let the job make fewer rows or columns{smaller}.",
    )


def _file(name: str, form: AttachmentFormat, content: bytes) -> Attachment:
    maintype, subtype = _TYPES[form]
    return Attachment(name=name, maintype=maintype, subtype=subtype, content=content)


def fits(*contents: bytes, beside: int) -> bool:
    """Whether one mail can carry all of these files beside what else it says."""
    return sum(encoded_size(len(content)) for content in contents) <= ENCODED_LIMIT - beside
