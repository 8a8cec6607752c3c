"""Files → files in canonical form: each written aside and put in place, so that nobody ever reads half of one."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.diagnostic import Diagnostic
from runner.errors import UsageError
from runner.jobfiles.canonical.form import canonical_form
from runner.jobfiles.layers import DEFAULTS_FILE, POLICY_FILE
from runner.jobfiles.read import FileKey, JobFile, ReadFault, file_key, read_job_file
from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA
from runner.jobfiles.walk import NO_JOB, list_job_files, shown_path

_SCHEMAS = {DEFAULTS_FILE: DEFAULTS_SCHEMA, POLICY_FILE: POLICY_SCHEMA}
_BOM = "\ufeff"


@dataclass(frozen=True, kw_only=True, slots=True)
class Formatting:
    """What formatting made of one file.

    `before` is its text with line ends and byte-order mark as they were, `after` the canonical form; None where
    there is none, and `findings` say why.
    """

    path: str
    before: str = ""
    after: str | None = None
    findings: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the file is not in canonical form."""
        return self.after is not None and self.after != self.before


def format_paths(paths: Sequence[Path], *, jobs_dir: Path, folder: Path, write: bool) -> tuple[Formatting, ...]:
    """The canonical form of files, and of all in folders; none given: of all in `jobs_dir`.

    In folders these are the job files, `_defaults.yaml` and `_policy.yaml`; other files whose names start with `_`
    or `.` are left alone, also where they are given. Sorted by path, each file once; paths are shown relative to
    `folder` where they are in it. With `write` the files are brought into that form: links are followed, modes
    kept.

    Raises:
        UsageError: a path that does not exist.
        FolderGoneError: a folder that cannot be listed.
    """
    places = dict.fromkeys(_files(paths or [jobs_dir], given=bool(paths)))
    done: set[str] = set()
    results = []
    for place in sorted(places):
        target = os.path.realpath(place)
        if target not in done:
            done.add(target)
            results.append(_format_file(place, _shown(place, folder), write=write))
    return tuple(results)


def format_bytes(content: bytes, path: str) -> Formatting:
    """The canonical form of a file's content; its name decides what it is."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return _formatting(read_job_file(file.name, path), path)


def _files(paths: Sequence[Path], *, given: bool) -> Iterator[str]:
    for path in paths:
        place = os.path.abspath(path)  # noqa: PTH100 - resolve() would lose the name of a link
        if given and not os.path.lexists(place):
            raise UsageError(f"there is no {path}", hint="Name files or folders that exist.")
        name = os.path.basename(place)  # noqa: PTH119 - a text
        if not given or os.path.isdir(place):  # noqa: PTH112
            yield from _folder_files(place)
        elif name in _SCHEMAS or not name.startswith(NO_JOB):
            yield place


def _folder_files(place: str) -> Iterator[str]:
    listing = list_job_files(place)
    listing.require_readable(place)
    folders = {place}
    for relative in listing.files:
        file = f"{place}/{relative}"
        yield file
        folders.update(os.fspath(parent) for parent in Path(file).parents if parent.is_relative_to(place))
    for folder in folders:
        yield from (file for name in _SCHEMAS if os.path.isfile(file := f"{folder}/{name}"))  # noqa: PTH113


def _shown(place: str, folder: Path) -> str:
    inside = Path(place).is_relative_to(folder)
    return shown_path(os.path.relpath(place, folder) if inside else place)


def _format_file(place: str, shown: str, *, write: bool) -> Formatting:
    answer = read_job_file(place, shown)
    result = _formatting(answer, shown)
    if not write or not result.changed or result.after is None or isinstance(answer, ReadFault):
        return result
    try:
        fault = _replace(place, result.after, answer.key)
    except OSError as error:
        fault = error.strerror or str(error)
    if fault is None:
        return result
    finding = Diagnostic(
        path=shown,
        rule="unwritable",
        message=f"the file cannot be written: {fault}",
        hint="Check its permissions and those of its folder, and try again.",
    )
    return Formatting(path=shown, before=result.before, findings=(finding,))


def _formatting(answer: JobFile | ReadFault, shown: str) -> Formatting:
    if isinstance(answer, ReadFault):
        return Formatting(path=shown, findings=(answer.finding,))
    before = answer.text
    if hashlib.sha256(before.encode()).hexdigest() != answer.digest:
        before = _BOM + before
    schema = _SCHEMAS.get(shown.rpartition("/")[2], JOB_SCHEMA)
    canonical = canonical_form(shown, answer.text, schema.data)
    return Formatting(path=shown, before=before, after=canonical.text, findings=canonical.findings)


def _replace(place: str, text: str, key: FileKey) -> str | None:
    """Put a text in the place of a file that is still as it was read; else what is against it."""
    target = Path(os.path.realpath(place))
    status = target.stat()
    # Hidden, so that a running service does not take it for a job.
    descriptor, aside = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(text.encode())
            with suppress(PermissionError):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            file.flush()
            os.fsync(descriptor)
        if file_key(target.stat()) != key:
            Path(aside).unlink()
            return "it has changed meanwhile"
        Path(aside).replace(target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return None
