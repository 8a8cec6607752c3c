"""Findings as JUnit's XML, which build servers show as tests: a file is a test, and fails by its errors."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from runner.core.diagnostic import Diagnostic
from runner.core.log_commands import disarm_xml
from runner.jobfiles.formats.findings import Findings
from runner.jobfiles.formats.shown import clean

_CLASS = "runner.validate"


def junit_text(findings: Findings) -> str:
    """The document, ASCII alone: it is well-formed whatever it is written through.

    Other files that findings point into are tests of their own. Warnings are the test's output, and where the
    check is strict a failure too.
    """
    by_path: dict[str, list[Diagnostic]] = {path: [] for path in findings.files}
    for found in findings.diagnostics:
        by_path.setdefault(found.path, []).append(found)
    suite = ET.Element("testsuite", name="job files")
    failures = 0
    for path, of_file in sorted(by_path.items()):
        failures += _add_test(suite, path, of_file, findings)
    counts = {"tests": str(len(by_path)), "failures": str(failures), "errors": "0", "skipped": "0"}
    time = {"time": f"{findings.seconds:.3f}"}
    suite.attrib.update(counts | time)
    root = ET.Element("testsuites", {"name": "runner validate", **counts, **time})
    root.append(suite)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="us-ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{disarm_xml(content.decode("ascii"))}\n'


def _add_test(suite: ET.Element, path: str, found: Iterable[Diagnostic], findings: Findings) -> bool:
    """Add the test of one file; True when it fails."""
    name = clean(path)
    test = ET.SubElement(suite, "testcase", name=name, classname=_CLASS, file=name)
    counting = [one for one in found if findings.counts(one)]
    others = [one for one in found if not findings.counts(one)]
    if counting:
        first = counting[0]
        more = f" (and {len(counting) - 1} more)" if len(counting) > 1 else ""
        message = f"{first.line}:{first.column}: {clean(first.message)}{more}"
        failure = ET.SubElement(test, "failure", message=message, type=first.rule)
        failure.text = _told(counting)
    if others:
        ET.SubElement(test, "system-out").text = _told(others)
    return bool(counting)


def _told(found: Iterable[Diagnostic]) -> str:
    lines = []
    for one in found:
        lines.append(clean(str(one)))
        if one.hint:
            lines.append(f"  hint: {clean(one.hint)}")
    return "\n".join(lines)
