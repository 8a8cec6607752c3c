"""JobFile → CheckedFile: parse, schema, lint, build. What one file does never ends the loop over the others."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from runner.core.catalog import CheckedFile
from runner.core.diagnostic import Diagnostic, has_errors, sort_diagnostics
from runner.core.job import Job, JobDefaults
from runner.jobfiles.build import build_job
from runner.jobfiles.inspection import Dependency, Inspection
from runner.jobfiles.lint import lint
from runner.jobfiles.lint_query import find_query_fault
from runner.jobfiles.lint_script import FindFault
from runner.jobfiles.parse import Document, parse
from runner.jobfiles.read import JobFile, ReadFault
from runner.jobfiles.schema import schema_findings

JOB_NAME = ("job_name",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A checked file, what else was looked at for it, and the texts its findings point into, by path."""

    file: CheckedFile
    dependencies: tuple[Dependency, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


def check_file(
    job_file: JobFile,
    *,
    project_dir: FilePath,
    defaults: JobDefaults,
    revision: str = "",
    query_fault: FindFault = find_query_fault,
) -> Check:
    """Check one file. Never raises: what goes wrong in here is a finding `internal-error`.

    The digest is the SHA-256 of the file; where the file names a script or query file, the SHA-256 of both
    digests in hex, one after the other.
    """
    try:
        return _check(job_file, project_dir, defaults, revision, query_fault)
    except Exception as error:  # noqa: BLE001 - the other files are to be checked all the same
        finding = Diagnostic(
            path=job_file.path,
            rule="internal-error",
            message=f"checking this file failed: {type(error).__name__}: {error}",
            hint="This is a fault of runner: please report it with the file.",
        )
        return Check(
            file=CheckedFile(path=job_file.path, digest=job_file.digest, job=None, diagnostics=(finding,)),
            texts={job_file.path: job_file.text},
        )


def failed_check(path: str, fault: ReadFault) -> Check:
    """The check of a file that could not be read."""
    return Check(file=CheckedFile(path=path, digest=fault.digest, job=None, diagnostics=(fault.finding,)))


def _check(
    job_file: JobFile, project_dir: FilePath, defaults: JobDefaults, revision: str, query_fault: FindFault
) -> Check:
    document, findings = parse(job_file.path, job_file.text)
    inspection = Inspection(
        path=job_file.path, document=document, project_dir=project_dir, query_fault=query_fault
    )
    if document.complete:
        inspection.findings.extend(schema_findings(job_file.path, document))
        lint(inspection)
    diagnostics = sort_diagnostics((*findings, *inspection.findings))
    step_file = inspection.step_file
    digest = _digest(job_file, step_file)
    job: Job | None = None
    if document.complete and not has_errors(diagnostics):
        job = build_job(
            document,
            path=job_file.path,
            digest=digest,
            revision=revision,
            step_file=step_file,
            defaults=defaults,
        )
    texts = {job_file.path: job_file.text}
    if step_file is not None:
        texts[step_file.path] = step_file.text
    return Check(
        file=_checked(job_file.path, digest, job, document, diagnostics),
        dependencies=tuple(inspection.dependencies),
        texts=texts,
    )


def _checked(
    path: str, digest: str, job: Job | None, document: Document, diagnostics: tuple[Diagnostic, ...]
) -> CheckedFile:
    name = document.value(JOB_NAME)
    span = document.span(JOB_NAME)
    return CheckedFile(
        path=path,
        digest=digest,
        job=job,
        job_name=name if isinstance(name, str) else None,
        job_name_line=span.line,
        job_name_column=span.column,
        diagnostics=diagnostics,
    )


def _digest(job_file: JobFile, step_file: JobFile | None) -> str:
    if step_file is None:
        return job_file.digest
    return hashlib.sha256(f"{job_file.digest}{step_file.digest}".encode()).hexdigest()
