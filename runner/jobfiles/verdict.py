"""Verdict: what was found in one job file. Light to import: a folder that is known costs no parser.

Structs of msgspec instead of dataclasses: they are made, sent and kept for every file, and cost a tenth.
"""

from collections.abc import Mapping

import msgspec

from runner.core.diagnostic import Diagnostic, has_errors
from runner.core.names import LinkedJob, NamePlace
from runner.jobfiles.files import FileSource
from runner.jobfiles.read import FileKey, ReadFault

# A file written within the clock tick of its last reading keeps its times: its content is compared once more.
_SETTLED_NS = 2_000_000_000


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a check looked at beside the job file, by its location.

    `key` is its state then, None where it was not there. Of a data file only its being there counts: `by_content`
    is False and `key` is that of `FileSource.look`. `digest` is that of what was read.
    """

    location: str
    key: FileKey | None
    by_content: bool
    digest: str = ""

    def is_current(self, files: FileSource) -> bool:
        """True while the file is as it was."""
        if not self.by_content:
            return files.look(self.location) == self.key
        return files.probe(self.location, by_content=True) == self.key

    def has_same_content(self, files: FileSource) -> bool:
        """True while the file holds what it held, whenever it was written."""
        if not self.by_content:
            return self.is_current(files)
        answer = files.read(self.location, self.location)
        # A file that is not there, or cannot be read, is looked at again.
        return not isinstance(answer, ReadFault) and answer.digest == self.digest


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found in one file; `texts` are those that findings point into, by path, where there are findings.

    `digest` is the SHA-256 of the file; where it names a script or query file, the SHA-256 of both digests in hex,
    one after the other. `job_name` is the name as far as it could be read; `line` and `column` are its place.
    `schedule_time`, `timezone` and `suspend` are those of a good file, defaults applied, and `after` has the
    places of the names in it. `passing` where something could not be looked at now: it holds for this once.
    """

    path: str
    digest: str
    diagnostics: tuple[Diagnostic, ...] = ()
    job_name: str | None = None
    line: int = 1
    column: int = 1
    texts: Mapping[str, str] = {}
    dependencies: tuple[Dependency, ...] = ()
    schedule_time: str | None = None
    timezone: str = "UTC"
    suspend: bool = False
    after: tuple[NamePlace, ...] = ()
    passing: bool = False

    @property
    def good(self) -> bool:
        """True when the file can be in force."""
        return not self.diagnostics or not has_errors(self.diagnostics)

    @property
    def place(self) -> NamePlace:
        """Where the job's name stands."""
        return NamePlace(self.job_name or "", self.path, self.line, self.column)

    @property
    def linked(self) -> LinkedJob:
        """The job as others see it, of a good file."""
        return LinkedJob(
            self.path, self.job_name or "", self.schedule_time, self.timezone, self.suspend, self.after
        )


def failed_verdict(path: str, fault: ReadFault) -> Verdict:
    """The verdict on a file that could not be read."""
    return Verdict(path=path, digest=fault.digest, diagnostics=(fault.finding,))


def is_settled(key: FileKey, dependencies: tuple[Dependency, ...], now_ns: int) -> bool:
    """Whether the times of these files tell every later change of them, seen from the moment they were read."""
    keys = (key, *(one.key for one in dependencies if one.key is not None))
    return max(max(one[0], one[1]) for one in keys) < now_ns - _SETTLED_NS
