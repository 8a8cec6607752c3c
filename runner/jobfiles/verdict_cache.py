"""Verdicts of earlier calls, by content: what has not changed since is not checked again.

One file per working folder, under the user's cache directory. It is written aside and put in place, so that of two
writers the last one counts, and no reader sees half a file. Whatever is wrong with it, it counts as none.
"""

import hashlib
import logging
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from runner import __version__
from runner.core.job_defaults import JobDefaults
from runner.jobfiles.files import FileSource
from runner.jobfiles.look import Looked, Target
from runner.jobfiles.read import FileKey, ReadFault, file_key, read_job_file
from runner.jobfiles.verdict import Verdict, is_settled
from runner.shipped import shipped_path

log = logging.getLogger(__name__)

_KEPT_DAYS = 30
_MOST_UNSEEN = 50_000


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a file: `digest` and `key` are those of the job file, `layers` is `Layers.digest`.

    Of the texts of the verdict only their paths are kept: a file may hold a credential, and that is a finding.
    """

    digest: str
    key: FileKey
    settled: bool
    layers: str
    verdict: Verdict


class _Content(msgspec.Struct, frozen=True, array_like=True):
    stamp: str
    entries: dict[str, _Entry]


class VerdictCache:
    """The verdicts of one working folder.

    Args:
        file: where they are kept.
        stamp: tells everything a verdict depends on beside the files; others' verdicts count as none.
    """

    def __init__(self, file: Path, stamp: str) -> None:
        self._file = file
        self._stamp = stamp
        self._before = _read(file, stamp)
        self._now: dict[str, _Entry] = {}
        self._changed = False

    def look_ahead(self, targets: Sequence[Target]) -> None:
        """Look at the data files of all that is about to be found."""
        locations: dict[FileSource, list[str]] = defaultdict(list)
        for target in targets:
            entry = self._before.get(target.shown)
            if entry is not None:
                locations[target.context.files] += [
                    one.location for one in entry.verdict.dependencies if not one.by_content
                ]
        for files, some in locations.items():
            files.look_ahead(some)

    def find(self, target: Target) -> Verdict | None:
        """The verdict on a file as it is now; None where it has to be checked."""
        entry = self._before.get(target.shown)
        if entry is None or entry.layers != target.context.layers.digest:
            return None
        files = target.context.files
        try:
            key = file_key(os.stat(target.file))  # noqa: PTH116 - for every file: Path costs as much as the call
        except OSError:
            return None
        dependencies = entry.verdict.dependencies
        if entry.settled and key == entry.key and all(one.is_current(files) for one in dependencies):
            self._now[target.shown] = entry
            return _with_texts(entry, target)
        return self._compared(target, entry)

    def _compared(self, target: Target, entry: _Entry) -> Verdict | None:
        """The verdict where the contents are the same, whatever the times say: a fresh checkout."""
        read_at = time.time_ns()
        answer = read_job_file(target.file, target.shown)
        dependencies = entry.verdict.dependencies
        same = not isinstance(answer, ReadFault) and answer.digest == entry.digest
        if not same or not all(one.has_same_content(target.context.files) for one in dependencies):
            return None
        alone = not any(one.by_content for one in dependencies)
        self._now[target.shown] = _Entry(
            digest=entry.digest,
            key=answer.key,
            # The times of a step file are those of its last full check: it is compared again until then.
            settled=alone and is_settled(answer.key, (), read_at),
            layers=entry.layers,
            verdict=entry.verdict,
        )
        self._changed = True
        return _with_texts(entry, target)

    def keep(self, target: Target, looked: Looked) -> None:
        """Remember a verdict. One that is passing, or on a file that could not be read, is not."""
        self._changed = True
        verdict = looked.verdict
        if verdict.passing or not looked.text_digest:
            return
        self._now[target.shown] = _Entry(
            digest=looked.text_digest,
            key=looked.key,
            settled=is_settled(looked.key, verdict.dependencies, looked.read_at),
            layers=target.context.layers.digest,
            verdict=msgspec.structs.replace(verdict, texts=dict.fromkeys(verdict.texts, "")),
        )

    def save(self) -> None:
        """Write what is new. A cache that cannot be written is no fault."""
        if not self._changed:
            return
        unseen = {path: entry for path, entry in self._before.items() if path not in self._now}
        entries = {**(unseen if len(unseen) <= _MOST_UNSEEN else {}), **self._now}
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._file, msgspec.msgpack.encode(_Content(self._stamp, entries)))
            _remove_old(self._file.parent)
        except OSError as error:
            log.debug("The verdicts cannot be kept in %s: %s", self._file, error)


def open_cache(
    environ: Mapping[str, str], *, folder: Path, jobs_dir: Path, defaults: JobDefaults, now: datetime
) -> VerdictCache | None:
    """The cache of a working folder, under `XDG_CACHE_HOME` or `~/.cache`; None where there is no such place.

    Verdicts are those of one version of the code and the libraries, one day (clock changes of the coming year) and
    one set of defaults.
    """
    home = environ.get("HOME", "")
    base = environ.get("XDG_CACHE_HOME", "") or (f"{home}/.cache" if home else "")
    if not base.startswith("/"):
        return None
    facts = (__version__, _code_state(), sys.version, str(defaults), now.date().isoformat(), jobs_dir.name)
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
    stamp = hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()
    return VerdictCache(Path(base) / "gitops-runner" / "verdicts" / name, stamp)


def _with_texts(entry: _Entry, target: Target) -> Verdict | None:
    """The verdict with the texts that its findings point into, read again; None where they are no more what they
    were."""
    verdict = entry.verdict
    if not verdict.texts:
        return verdict
    files, prefix = target.context.files, target.context.prefix
    answers = [(read_job_file(target.file, target.shown), entry.digest)]
    answers += [
        (files.read(one.location, prefix + one.location), one.digest)
        for one in verdict.dependencies
        if one.by_content and prefix + one.location in verdict.texts
    ]
    texts = {
        answer.path: answer.text
        for answer, digest in answers
        if not isinstance(answer, ReadFault) and answer.digest == digest
    }
    return msgspec.structs.replace(verdict, texts=texts) if texts.keys() == verdict.texts.keys() else None


def _code_state() -> str:
    """Changes whenever a file of the checker does, or a library is installed, updated or removed."""
    package = Path(__file__).resolve().parent
    states = [str(Path(msgspec.__file__).parent.parent.stat().st_mtime_ns)]
    for top in (package, package.parent / "core", shipped_path("schemas")):
        for folder, _, _ in os.walk(top):
            with os.scandir(folder) as files:
                for file in files:
                    if file.name.endswith((".py", ".json")):
                        status = file.stat()
                        states.append(f"{file.name} {status.st_mtime_ns} {status.st_size}")
    return " ".join(sorted(states))


def _read(file: Path, stamp: str) -> Mapping[str, _Entry]:
    try:
        content = msgspec.msgpack.decode(file.read_bytes(), type=_Content)
    except (OSError, msgspec.DecodeError, RecursionError, ValueError):
        return {}
    return content.entries if content.stamp == stamp else {}


def _replace(file: Path, content: bytes) -> None:
    descriptor, aside = tempfile.mkstemp(dir=file.parent, prefix=".aside-")
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
        Path(aside).replace(file)
    except BaseException:
        with suppress(OSError):
            Path(aside).unlink()
        raise


def _remove_old(folder: Path) -> None:
    """Remove the verdicts of folders that nobody has looked at for long."""
    oldest = time.time() - _KEPT_DAYS * 86400
    for file in folder.iterdir():
        with suppress(OSError):
            if file.stat().st_mtime < oldest:
                file.unlink()
