"""JobFile → CheckedFile: parse, schema, lint, build. What one file does never ends the loop over the others."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.core.diagnostic import Diagnostic, cut_diagnostics, has_errors, sort_diagnostics
from runner.core.names import NamePlace
from runner.errors import ThreadError
from runner.jobfiles.document import Document
from runner.jobfiles.inspection import CheckContext, Inspection
from runner.jobfiles.lint.checks import lint
from runner.jobfiles.read import JobFile
from runner.jobfiles.schema import JOB_SCHEMA
from runner.jobfiles.verdict import Verdict

if TYPE_CHECKING:
    from runner.core.catalog import CheckedFile

JOB_NAME = ("job_name",)
AFTER = ("after",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """A verdict with what it was reached from; no document where the check itself failed."""

    verdict: Verdict
    document: Document | None = None
    step_file: JobFile | None = None


def inspect_file(job_file: JobFile, context: CheckContext) -> Inspected:
    """Look at one file. What goes wrong in here is a finding `internal-error`.

    Raises:
        ThreadError: no thread can be started to look at data files: none of the others would fare better.
    """
    try:
        return _inspect(job_file, context)
    except ThreadError:
        raise
    except Exception as error:  # noqa: BLE001 - the other files are to be checked all the same
        return Inspected(verdict=_internal_error(job_file, error))


def build_checked(inspected: Inspected, context: CheckContext) -> "CheckedFile":
    """The checked file of a verdict: with its job, where the verdict is good."""
    # Brought in here: a check that makes no job is spared them.
    from runner.core.catalog import CheckedFile
    from runner.jobfiles.build import build_job

    verdict, document = inspected.verdict, inspected.document
    job = None
    if document is not None and verdict.good:
        job = build_job(
            document,
            context.layers,
            path=verdict.path,
            digest=verdict.digest,
            step_file=inspected.step_file,
            defaults=context.defaults,
        )
    return CheckedFile(
        path=verdict.path,
        digest=verdict.digest,
        job=job,
        job_name=verdict.job_name,
        job_name_line=verdict.line,
        job_name_column=verdict.column,
        after=verdict.after if job is not None else (),
        bounds=None if has_errors(context.layers.diagnostics) else context.layers.policy.run_bounds,
        diagnostics=verdict.diagnostics,
    )


def _internal_error(job_file: JobFile, error: Exception) -> Verdict:
    finding = Diagnostic(
        path=job_file.path,
        rule="internal-error",
        message=f"checking this file failed: {type(error).__name__}: {error}",
        hint="This is a fault of runner: please report it with the file.",
    )
    return Verdict(
        path=job_file.path,
        digest=job_file.digest,
        diagnostics=(finding,),
        texts={job_file.path: job_file.text},
    )


def _inspect(job_file: JobFile, context: CheckContext) -> Inspected:
    from runner.jobfiles.parse import parse  # a folder of good files in the common form needs no parser

    document, findings = parse(job_file.path, job_file.text)
    inspection = Inspection(path=job_file.path, document=document, context=context)
    if document.complete:
        found_by_schema, inspection.refused = JOB_SCHEMA.look(job_file.path, document)
        inspection.findings.extend(found_by_schema)
        lint(inspection)
    # What is wrong with the files around it is wrong with the job: it has no known form without them.
    found = sort_diagnostics((*findings, *inspection.findings, *context.layers.diagnostics))
    diagnostics = cut_diagnostics(found)
    step_file = inspection.step_file
    name = document.value(JOB_NAME)
    span = document.span(JOB_NAME)
    good = document.complete and not has_errors(diagnostics)
    verdict = Verdict(
        path=job_file.path,
        digest=digest_of(job_file, step_file),
        diagnostics=diagnostics,
        job_name=name if isinstance(name, str) else None,
        line=span.line,
        column=span.column,
        texts=_texts(job_file, step_file) if diagnostics else {},
        dependencies=tuple(inspection.dependencies),
        passing=inspection.passing,
        **(inspection.links(_after(job_file.path, document)) if good else {}),
    )
    return Inspected(verdict=verdict, document=document, step_file=step_file)


def _after(path: str, document: Document) -> Iterator[NamePlace]:
    """The names of the jobs that a good file comes after."""
    for place, name in enumerate(document.value(AFTER) or ()):
        span = document.span((*AFTER, place))
        yield NamePlace(name, path, span.line, span.column)


def _texts(*files: JobFile | None) -> Mapping[str, str]:
    return {file.path: file.text for file in files if file is not None}


def digest_of(job_file: JobFile, step_file: JobFile | None) -> str:
    """The digest of a job: that of its file; where that names a script or query file, of both."""
    if step_file is None:
        return job_file.digest
    return hashlib.sha256(f"{job_file.digest}{step_file.digest}".encode()).hexdigest()
