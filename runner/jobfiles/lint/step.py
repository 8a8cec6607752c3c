"""The processing step: the text or file of a script or query."""

import re
from functools import partial
from itertools import islice
from pathlib import PurePosixPath

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.document import Document, Path
from runner.jobfiles.inspection import MOST_TOLD, Inspection
from runner.jobfiles.lint.data_checks import INCREMENTAL, NO_CURSOR, NO_CURSOR_HINT
from runner.jobfiles.lint.script import find_script_faults
from runner.jobfiles.lint.source_names import table_names
from runner.jobfiles.lint.step_fault import FindFault, StepFault, fault_between
from runner.jobfiles.read import ReadFault

SCRIPT = "processing_script"
QUERY = "processing_query"
_CURSOR = "${run:cursor}"


def check_step(inspection: Inspection) -> None:
    """The rules of `find_script_faults` and `find_query_faults`, `missing-file` and `outside-project`."""
    data = inspection.document.data
    if SCRIPT in data or f"{SCRIPT}_file" in data:
        find_faults: FindFault = partial(find_script_faults, tables=table_names(data))
        first_line = inspection.document.first_line((SCRIPT,)) if SCRIPT in data else 1
        in_job_file = partial(find_script_faults, tables=table_names(data), first_line=first_line)
        allowed_imports = inspection.context.layers.policy.allowed_imports
        _check(inspection, SCRIPT, find_faults, allowed_imports, in_job_file=in_job_file)
    if QUERY in data or f"{QUERY}_file" in data:
        keeps_cursor = isinstance(data.get(INCREMENTAL), dict)
        find_faults = inspection.context.query_fault if keeps_cursor else partial(_query_faults, inspection)
        _check(inspection, QUERY, find_faults, table_names(data), in_job_file=find_faults)


def _check(
    inspection: Inspection, key: str, find_faults: FindFault, names: tuple[str, ...], *, in_job_file: FindFault
) -> None:
    text = inspection.text(key)
    if text:
        for fault in _found(inspection, in_job_file(text, names)):
            report_in_job_file(inspection, (key,), fault)
    file = inspection.text(f"{key}_file")
    if file:
        text = _read_step_file(inspection, (f"{key}_file",), file)
        if text is not None:
            for fault in _found(inspection, find_faults(text, names)):
                _report_in_step_file(inspection, fault)


def _found(inspection: Inspection, faults: tuple[StepFault, ...]) -> tuple[StepFault, ...]:
    inspection.passing |= any(fault.passing for fault in faults)
    return faults


def _query_faults(inspection: Inspection, text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
    """As the context's `query_fault`, with a fault for each cursor that a job without one asks for."""
    places = islice(re.finditer(re.escape(_CURSOR), text), MOST_TOLD) if _CURSOR in text else ()
    cursors = (
        fault_between(text, *match.span(), rule="bad-reference", message=NO_CURSOR, hint=NO_CURSOR_HINT)
        for match in places
    )
    return (*inspection.context.query_fault(text, tables), *cursors)


def report_in_job_file(inspection: Inspection, path: Path, fault: StepFault) -> None:
    """A finding where the text at a path has a fault."""
    document = inspection.document
    if fault.line is None:
        span = document.key_span(path)
    else:
        span = document.at_line(path, fault.line, fault.column, fault.end_line, fault.end_column)
    hint = fault.hint
    if fault.rule.endswith("-syntax") and fault.line is not None:
        hint = _joined_hint(document, path, fault.rule) or hint
    inspection.report(path, fault.rule, fault.message, hint, span=span, severity=fault.severity)


def _joined_hint(document: Document, path: Path, rule: str) -> str:
    """What to do where YAML made one line of the lines of a step: of a query's, `>` is told alone."""
    style = document.style(path)
    if style == ">":
        return "`>` joins lines: write `|` after the key."
    span = document.span(path)
    if style == "|" or rule != "script-syntax" or span.line == span.end_line:
        return ""
    key = ".".join(map(str, path))
    return f"YAML made one line of these: write {key}: |, and the script below it, indented."


def _report_in_step_file(inspection: Inspection, fault: StepFault) -> None:
    assert inspection.step_file is not None
    inspection.findings.append(
        Diagnostic(
            path=inspection.step_file.path,
            line=fault.line or 1,
            column=fault.column,
            end_line=fault.end_line,
            end_column=fault.end_column,
            severity=fault.severity,
            rule=fault.rule,
            message=fault.message,
            hint=fault.hint,
        )
    )


def _read_step_file(inspection: Inspection, path: Path, location: str) -> str | None:
    """The text of a step's file; None, with a finding, where it cannot be read."""
    if "\0" in location or PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts:
        inspection.report(
            path,
            "outside-project",
            f"{location!r} is not inside the project",
            "Name a file below the folder that holds the folder of jobs, so that git knows it.",
        )
        return None
    answer = inspection.read(location)
    if isinstance(answer, ReadFault):
        rule = answer.finding.rule
        message = (
            f"there is no file {location!r}" if rule == "missing-file" else f"{location}: {answer.finding.message}"
        )
        hint = answer.finding.hint or "Relative paths start at the folder that holds the folder of jobs."
        inspection.report(path, rule, message, hint)
        return None
    inspection.step_file = answer
    return answer.text
