"""What of a result goes with the mail: the CSV, the CSV compressed, or a sentence that says where it is."""

import gzip
from dataclasses import dataclass

from runner.core.report import Report, result_file_name, size_words

# What servers usually take is 10 MB for the whole mail; base64 makes 78 bytes of every 57.
ENCODED_LIMIT = 10_000_000
_LINE_BYTES, _ENCODED_LINE_BYTES = 57, 78


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A file in a mail."""

    name: str
    subtype: str
    maintype: str
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """The attachment, or None; and the sentence that tells people of it."""

    attachment: Attachment | None
    sentence: str


def attach(report: Report, *, kept_at: str | None) -> Attached:
    """The attachment of a report on a run that succeeded.

    At most 10 MB as encoded in the mail; what is larger is compressed, and what is still larger stays where it is.
    Nothing is ever cut, and a missing attachment is always explained.

    Args:
        kept_at: the path of the result, as people can find it; None where it is not kept.
    """
    place = f"It is kept at {kept_at}." if kept_at else f"Ask for the result of run {report.run.run_id}."
    content = report.result
    if content is None:
        size = size_words(report.result_bytes)
        return Attached(
            attachment=None, sentence=f"The result is not attached: {size} is more than a mail can carry. {place}"
        )
    name = result_file_name(report)
    if encoded_size(len(content)) <= ENCODED_LIMIT:
        plain = Attachment(name=name, maintype="text", subtype="csv", content=content)
        return Attached(attachment=plain, sentence=f"Attached: {name}, {size_words(len(content))}.")
    # No time inside: the same result makes the same mail.
    packed = gzip.compress(content, mtime=0)
    if encoded_size(len(packed)) <= ENCODED_LIMIT:
        gzipped = Attachment(name=f"{name}.gz", maintype="application", subtype="gzip", content=packed)
        sizes = f"{size_words(len(packed))}, compressed from {size_words(len(content))}"
        return Attached(attachment=gzipped, sentence=f"Attached: {name}.gz, {sizes}.")
    return Attached(
        attachment=None,
        sentence=(
            f"The result is not attached: {size_words(len(content))}, or {size_words(len(packed))} compressed, "
            f"is more than a mail can carry. {place}"
        ),
    )


def encoded_size(size: int) -> int:
    """How many bytes a file of this size takes in a mail: base64, in lines of 76 characters."""
    return -(-size // _LINE_BYTES) * _ENCODED_LINE_BYTES
