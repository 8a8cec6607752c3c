"""What the checks of meaning share: the document, the layers around it, the project's files, and the findings."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.core.diagnostic import Diagnostic, Severity
from runner.core.job import JobDefaults
from runner.jobfiles.document import Document, Path, Span
from runner.jobfiles.files import FileSource
from runner.jobfiles.layers import NO_LAYERS, Layers
from runner.jobfiles.lint_query import find_query_faults
from runner.jobfiles.read import JobFile, ReadFault
from runner.jobfiles.step_fault import FindFault
from runner.jobfiles.verdict import Dependency


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
    """One job file under inspection. Checks read from it and report into `findings`."""

    path: str
    document: Document
    context: CheckContext
    findings: list[Diagnostic] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    step_file: JobFile | None = None

    def text(self, *path: str | int) -> str | None:
        """The text at a path; None where there is none, or one that has been refused already."""
        value = self.document.value(path)
        return value if isinstance(value, str) and path not in self.document.faulty else None

    def effective(self, *path: str | int) -> Any:
        """The value at a path with the defaults of the folders below it; None where nothing gives one."""
        value = self.document.value(path)
        if value is not None:
            return value
        given = self.context.layers.default(path)
        return None if given is None else given[0]

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
        """A finding at the value of a path, or at a more precise place.

        Where the file leaves the path to a `_defaults.yaml`, the finding is there.
        """
        shown, document = self.path, self.document
        given = None if document.value(path) is not None else self.context.layers.default(path)
        if given is not None:
            shown, document = given[1].path, given[1].document
        place = span or document.span(path)
        self.findings.append(
            Diagnostic(path=shown, **place._asdict(), severity=severity, rule=rule, message=message, hint=hint)
        )

    def exists(self, location: str) -> bool:
        """Whether a data file is there; remembered, so that its coming or going is noticed."""
        key = self.context.files.probe(location, by_content=False)
        self.dependencies.append(Dependency(location=location, key=key, by_content=False))
        return key is not None

    def read(self, location: str) -> JobFile | ReadFault:
        """A step's file; remembered, so that a change of it is noticed."""
        # Asked for before it is read: a change in between is seen by the next scan.
        key = self.context.files.probe(location, by_content=True)
        answer = self.context.files.read(location, self.context.prefix + location)
        self.dependencies.append(Dependency(location=location, key=key, by_content=True, digest=answer.digest))
        return answer
