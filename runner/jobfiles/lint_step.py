"""The processing step: the text or file of a script or query."""

from pathlib import PurePosixPath

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint_script import FindFault, StepFault, find_script_fault
from runner.jobfiles.parse import Path
from runner.jobfiles.read import ReadFault


def check_step(inspection: Inspection) -> None:
    """Rules `script-syntax`, `script-no-result`, `query-syntax`, `query-not-select`, `missing-file` and
    `outside-project`."""
    checks = (("processing_script", find_script_fault), ("processing_query", inspection.query_fault))
    for key, find_fault in checks:
        text = inspection.text(key)
        if text:
            fault = find_fault(text)
            if fault is not None:
                _report_in_job_file(inspection, (key,), fault)
        file = inspection.text(f"{key}_file")
        if file:
            _check_step_file(inspection, (f"{key}_file",), file, find_fault)


def _report_in_job_file(inspection: Inspection, path: Path, fault: StepFault) -> None:
    document = inspection.document
    if fault.line is None:
        inspection.report(path, fault.rule, fault.message, fault.hint, span=document.key_span(path))
        return
    span = document.at_line(path, fault.line, fault.column, fault.end_line, fault.end_column)
    hint = fault.hint
    if document.styles.get(path) == ">":
        hint = "`>` joins lines: write `|` after the key."
    inspection.report(path, fault.rule, fault.message, hint, span=span)


def _check_step_file(inspection: Inspection, path: Path, location: str, find_fault: FindFault) -> None:
    if "\0" in location or PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts:
        inspection.report(
            path,
            "outside-project",
            f"{location!r} is not inside the project",
            "Name a file below the folder that holds the folder of jobs, so that git knows it.",
        )
        return
    answer = inspection.read(location)
    if isinstance(answer, ReadFault):
        rule = answer.finding.rule
        message = (
            f"there is no file {location!r}" if rule == "missing-file" else f"{location}: {answer.finding.message}"
        )
        hint = answer.finding.hint or "Relative paths start at the folder that holds the folder of jobs."
        inspection.report(path, rule, message, hint)
        return
    inspection.step_file = answer
    fault = find_fault(answer.text)
    if fault is not None:
        inspection.findings.append(
            Diagnostic(
                path=answer.path,
                line=fault.line or 1,
                column=fault.column,
                end_line=fault.end_line,
                end_column=fault.end_column,
                rule=fault.rule,
                message=fault.message,
                hint=fault.hint,
            )
        )
