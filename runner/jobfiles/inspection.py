"""What the checks of meaning share: the document, the layers around it, the project's files, and the findings."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.core.diagnostic import Diagnostic, Severity
from runner.core.job_defaults import JobDefaults
from runner.core.names import NamePlace
from runner.jobfiles.document import Document, Path, Span
from runner.jobfiles.files import CLOSED, NO_FILE, SILENT, FileSource
from runner.jobfiles.layers import NO_LAYERS, Layers
from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.step_fault import FindFault
from runner.jobfiles.read import FileKey, JobFile, ReadFault
from runner.jobfiles.schema import JOB_SCHEMA
from runner.jobfiles.verdict import Dependency

# Of one rule at the many values or places where it can be broken: more would help nobody, and take seconds.
MOST_TOLD = 20
# No text of a job file has a shorter bound.
_SHORT = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckContext:
    """What a check is made with, beside the file itself.

    `now` is aware: what comes in the next months is looked for from there. `prefix` stands before a location in
    the project when it is shown; ends in `/`, or is empty. `query_fault` is how a query is looked at: in this
    process, or in one of its own.
    """

    files: FileSource
    defaults: JobDefaults
    now: datetime
    layers: Layers = NO_LAYERS
    prefix: str = ""
    query_fault: FindFault = find_query_faults


@dataclass(kw_only=True, slots=True)
class Inspection:
    """One job file under inspection. Checks read from it and report into `findings`.

    `refused` are the paths that the schema has something against; `passing` as in a `Verdict`.
    """

    path: str
    document: Document
    context: CheckContext
    findings: list[Diagnostic] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    step_file: JobFile | None = None
    refused: frozenset[Path] = frozenset()
    passing: bool = False
    _told: dict[str, int] = field(default_factory=dict)

    def text(self, *path: str | int) -> str | None:
        """The text at a path; None where there is none, or one that has been refused already.

        So every text is within the length that the schema takes: no check needs a bound of its own.
        """
        value = self.document.value(path)
        if not isinstance(value, str) or path in self.document.faulty or path in self.refused:
            return None
        # The schema tells the first of its findings: one more may be of a text that is too long.
        return value if len(value) < _SHORT or len(value) <= JOB_SCHEMA.longest(path) else None

    def effective(self, *path: str | int) -> Any:
        """The value at a path with the defaults of the folders below it; None where nothing gives one."""
        value = self.document.value(path)
        if value is not None:
            return value
        given = self.context.layers.default(path)
        return None if given is None else given[0]

    def links(self, after: Iterable[NamePlace]) -> dict[str, Any]:
        """What a verdict says of when the job runs, given the places of the names it comes after."""
        data = self.context.layers.merged(self.document.data)
        return {
            "schedule_time": data.get("schedule_time"),
            "timezone": data.get("timezone", self.context.defaults.timezone),
            "suspend": data.get("suspend", False),
            "after": tuple(after),
        }

    def report(
        self,
        path: Path,
        rule: str,
        message: str,
        hint: str = "",
        *,
        span: Span | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """A finding at the value of a path, or at a more precise place; 20 of one rule at most.

        Where the file leaves the path to a `_defaults.yaml`, the finding is there.
        """
        told = self._told[rule] = self._told.get(rule, 0) + 1
        if told > MOST_TOLD:
            return
        shown, document = self.path, self.document
        given = None if document.value(path) is not None else self.context.layers.default(path)
        if given is not None:
            shown, document = given[1].path, given[1].document
        place = span or document.span(path)
        self.findings.append(
            Diagnostic(path=shown, **place._asdict(), severity=severity, rule=rule, message=message, hint=hint)
        )

    def file_fault(self, path: Path, location: str) -> tuple[str, str] | None:
        """What is wrong with the data file that the value of a path names, not there or no file, and a hint where
        one is sure; remembered, so that its coming or going is noticed."""
        key = self._look(path, location)
        if key is None:
            return f"there is no file {location!r}", ""
        return (f"{location!r} is a folder or a device, not a file", "Name a file.") if key == NO_FILE else None

    def may_be_folder(self, path: Path, location: str) -> bool:
        """Whether data files may be in a folder: it is there, and no file; remembered as by `file_fault`."""
        return self._look(path, location) in {NO_FILE, SILENT, CLOSED}

    def tell_silence(self, path: Path, location: str) -> None:
        """A finding, at the value of a path, that nothing answers where a data file or a folder of them lies;
        remembered, so that an answer is noticed."""
        self.dependencies.append(Dependency(location=location, key=SILENT, by_content=False))
        self._report_silence(path, location)

    def _look(self, path: Path, location: str) -> FileKey | None:
        key = self.context.files.look(location)
        self.dependencies.append(Dependency(location=location, key=key, by_content=False))
        if key == SILENT:
            self._report_silence(path, location)
        elif key == CLOSED:
            hint = "Runs fail where the user of the service may not either: give it the right to."
            message = f"{location!r} may not be looked at by this user"
            self.report(path, "missing-file", message, hint, severity=Severity.WARNING)
        return key

    def _report_silence(self, path: Path, location: str) -> None:
        hint = "Look at its file system: the server of a network mount may be away."
        message = f"where {location!r} lies gives no answer: whether it is there is not known"
        self.report(path, "no-answer", message, hint, severity=Severity.WARNING)

    def read(self, location: str) -> JobFile | ReadFault:
        """A step's file; remembered, so that a change of it is noticed."""
        # Asked for before it is read: a change in between is seen by the next scan.
        key = self.context.files.probe(location, by_content=True)
        answer = self.context.files.read(location, self.context.prefix + location)
        self.dependencies.append(Dependency(location=location, key=key, by_content=True, digest=answer.digest))
        return answer
