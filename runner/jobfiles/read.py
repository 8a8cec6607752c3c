"""A path → JobFile: the only place that reads job files and the files they name."""

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from runner.core.diagnostic import Diagnostic
from runner.opened import NeverReadError, open_for_a_job, require_for_a_job

MAX_BYTES = 256 * 1024
_CHUNK = 32 * 1024  # measured: a 1 MiB buffer costs more to make than most files cost to read
_TRIES = 3
_BOM = "\ufeff"
# What Python has for bytes of a path that are no UTF-8.
_NO_UTF8 = re.compile("[\udc80-\udcff]")
_LOOKED_AT = 100
# How files begin that are no text in UTF-8, and what to do with them.
_OTHER_BEGINNINGS = (
    (b"\xff\xfe\0\0", "This is UTF-32: save the file as UTF-8."),
    (b"\0\0\xfe\xff", "This is UTF-32: save the file as UTF-8."),
    (b"\xff\xfe", "This is UTF-16: save the file as UTF-8."),
    (b"\xfe\xff", "This is UTF-16: save the file as UTF-8."),
    (b"\x1f\x8b", "This is compressed: write the text itself."),
)

# What no YAML 1.2 parser takes, what parsers disagree on (NEL, LS and PS end a line in YAML 1.1 alone), a carriage
# return that ends no line, and what turns the direction of text: a review would read another order than the runner
# (CVE-2021-42574).
BAD_CHARACTER = (
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    "|[\u2028-\u202e\u2066-\u2069]|\r(?!\n)"
)

NOT_OF_A_JOB = (
    "`.env`, `.git`, /proc, /sys and what is kept of runs and mails are no part of a job: secrets may stand there"
)
NOT_OF_A_JOB_HINT = "Name a file that is in git. A source gets a value of it as ${env:NAME}."

FileKey = tuple[int, int, int, int]


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as read, before any parsing. A Struct of msgspec: it is made for every file.

    `path` is how people are shown the file, with `/`. `text` has no byte-order mark. `digest` is the SHA-256 of
    the bytes in hex; `key` is (mtime_ns, ctime_ns, size, inode).
    """

    path: str
    text: str
    digest: str
    key: FileKey


class ReadProblem(StrEnum):
    """Why there is no JobFile."""

    GONE = "gone"
    UNSETTLED = "unsettled"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFault:
    """A file that cannot be read: gone since it was listed, changing while it is read, or bad for good.

    `digest` is that of the bytes where they could be read, empty otherwise.
    """

    problem: ReadProblem
    finding: Diagnostic
    digest: str = ""
    key: FileKey = (0, 0, 0, 0)


def file_key(status: os.stat_result) -> FileKey:
    """What tells one state of a file from the next without reading it."""
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def read_job_file(path: Path | str, shown: str) -> JobFile | ReadFault:
    """Read a file that people know as `shown`: at most 256 KiB, regular, strict UTF-8, and the same twice. Never
    one that may hold secrets, also by a link: what is wrong with a file is told with its words.

    A file that changes while it is read is read again, three times in all.
    """
    for _ in range(_TRIES):
        try:
            answer = _read_once(path)
        except NeverReadError:
            finding = Diagnostic(path=shown, rule="outside-project", message=NOT_OF_A_JOB, hint=NOT_OF_A_JOB_HINT)
            return ReadFault(problem=ReadProblem.BAD, finding=finding)
        except OSError as error:
            return _os_fault(error, shown)
        if answer is None:
            return not_a_file(shown)
        before, content, after = answer
        if before == after and (len(content) == before[2] or len(content) > MAX_BYTES):
            return decode(path, shown, content, before)
    finding = Diagnostic(
        path=shown,
        rule="unreadable",
        message="the file changes while it is read",
        hint="Try again when it has been written.",
    )
    return ReadFault(problem=ReadProblem.UNSETTLED, finding=finding)


def _read_once(path: Path | str) -> tuple[FileKey, bytes, FileKey] | None:
    descriptor = open_for_a_job(path)
    try:
        status = os.fstat(descriptor)
        # Before its path is judged: a pipe has one in /proc alone.
        if not stat.S_ISREG(status.st_mode):
            return None
        require_for_a_job(path, descriptor)
        content = os.read(descriptor, _CHUNK)
        # Less than asked for is the end of a regular file; that the size is right is checked by the caller.
        if len(content) == _CHUNK:
            pieces = bytearray(content)
            while len(pieces) <= MAX_BYTES and (chunk := os.read(descriptor, _CHUNK)):
                pieces += chunk
            content = bytes(pieces)
        return file_key(status), content, file_key(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def not_a_file(shown: str) -> ReadFault:
    """The fault of what is there and is no regular file."""
    finding = Diagnostic(
        path=shown,
        rule="not-a-file",
        message="this is no regular file",
        hint="A job is one plain file; folders, pipes and devices are not read.",
    )
    return ReadFault(problem=ReadProblem.BAD, finding=finding)


def no_file(shown: str) -> ReadFault:
    """The fault of what is not there."""
    finding = Diagnostic(path=shown, rule="missing-file", message="the file does not exist")
    return ReadFault(problem=ReadProblem.GONE, finding=finding)


def _os_fault(error: OSError, shown: str) -> ReadFault:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return no_file(shown)
    finding = Diagnostic(
        path=shown,
        rule="unreadable",
        message=f"the file cannot be read: {error.strerror or error}",
        hint="Check its permissions and where it links to.",
    )
    return ReadFault(problem=ReadProblem.BAD, finding=finding)


def decode(path: Path | str, shown: str, content: bytes, key: FileKey) -> JobFile | ReadFault:
    """A file from its bytes: at most 256 KiB, strict UTF-8, as its name is, no unusable character."""
    digest = hashlib.sha256(content).hexdigest()
    if _is_misnamed(os.fspath(path), shown):
        finding = Diagnostic(
            path=shown,
            rule="not-utf8",
            message="the name of the file, or of a folder that it is in, is not UTF-8",
            hint="Rename it.",
        )
        return ReadFault(problem=ReadProblem.BAD, finding=finding, digest=digest, key=key)
    if len(content) > MAX_BYTES:
        finding = Diagnostic(
            path=shown,
            rule="too-large",
            message=f"the file is larger than {MAX_BYTES // 1024} KiB",
            hint="Move the data out of it: a job file holds the job alone.",
        )
        return ReadFault(problem=ReadProblem.BAD, finding=finding, digest=digest, key=key)
    try:
        text = content.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        start = content.rfind(b"\n", 0, error.start) + 1
        finding = Diagnostic(
            path=shown,
            line=content.count(b"\n", 0, error.start) + 1,
            column=len(content[start : error.start].decode("utf-8", "replace")) + 1,
            end_line=content.count(b"\n", 0, error.start) + 1,
            rule="not-utf8",
            message=f"byte 0x{content[error.start]:02x} is not UTF-8",
            hint=next(
                (hint for start, hint in _OTHER_BEGINNINGS if content.startswith(start)), "Save the file as UTF-8."
            ),
        )
        return ReadFault(problem=ReadProblem.BAD, finding=finding, digest=digest, key=key)
    if found := find_bad_character(shown, text):
        return ReadFault(problem=ReadProblem.BAD, finding=found, digest=digest, key=key)
    return JobFile(path=shown, text=text, digest=digest, key=key)


def _is_misnamed(path: str, shown: str) -> bool:
    """Whether a path is not UTF-8 as far as it is shown: the way to the project may be called anything."""
    if path.isascii():
        return False
    parts = shown.count("/") + 1
    return any(map(_NO_UTF8.search, path.split("/")[-parts:]))


def find_bad_character(shown: str, text: str) -> Diagnostic | None:
    """The first control or otherwise unusable character of a text, NUL among them."""
    # What is printable is never bad, and six times as fast to find out.
    match = None if text.replace("\n", "").isprintable() else re.search(BAD_CHARACTER, text)
    if match is None:
        return None
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    if match.group() == "\r":
        message, hint = "a carriage return stands without a line feed", "End lines with LF or CRLF."
    else:
        code = ord(match.group())
        message = f"the character U+{code:04X} cannot stand in a job file"
        hint = f"Remove it; where text needs it, write \\u{code:04x} in double quotes."
        if code == 0 and text[:_LOOKED_AT].count("\0") * 3 > len(text[:_LOOKED_AT]):
            message, hint = "this is UTF-16, not UTF-8", "Save the file as UTF-8."
    return Diagnostic(
        path=shown,
        line=line,
        column=column,
        end_line=line,
        rule="bad-character",
        message=message,
        hint=hint,
    )
