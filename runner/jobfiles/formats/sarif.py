"""Findings as a SARIF 2.1.0 log, which code scanning takes.

Source of the form: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". The section numbers
below are its own.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from runner import __version__
from runner.core.diagnostic import Diagnostic
from runner.jobfiles.formats.findings import Findings, line_at
from runner.jobfiles.rules import RULES, Rule

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_FINGERPRINT = "runnerFinding/v1"
_INDEX = {rule.name: index for index, rule in enumerate(RULES)}
# 3.11.5 and 3.11.6: {0} stands for an argument and [text](target) is a link, where the text is ours alone.
_PLACEHOLDER = re.compile(r"\{([0-9]+)\}")
_LINK = re.compile(r"\](?=\()")

Document = dict[str, Any]


def sarif_document(findings: Findings) -> Document:
    """The log, with one run. It holds no time and no absolute folder: the same findings give the same log."""
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "runner",
                        "version": __version__,
                        "semanticVersion": __version__,
                        "rules": [_rule(rule) for rule in RULES],
                    }
                },
                "invocations": [{"executionSuccessful": True, "exitCode": int(findings.failed)}],
                "originalUriBaseIds": {
                    _ROOT: {"description": {"text": "The folder in which runner validate was called."}}
                },
                "columnKind": "unicodeCodePoints",
                "results": _results(findings),
            }
        ],
    }


def _rule(rule: Rule) -> Document:
    parts = [rule.reason]
    markdown = [rule.reason]
    for title, example in (("Wrong", rule.bad), ("Right", rule.good)):
        if example:
            parts.append(f"{title}:\n\n{example.rstrip()}")
            markdown.append(f"**{title}**\n\n```yaml\n{example.rstrip()}\n```")
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.reason},
        "help": {"text": "\n\n".join(parts), "markdown": "\n\n".join(markdown)},
        "defaultConfiguration": {"level": str(rule.severity)},
    }


def _results(findings: Findings) -> list[Document]:
    lines = findings.lines()
    seen: dict[str, int] = {}
    results = []
    for found in findings.diagnostics:
        fingerprint = _fingerprint(found, line_at(lines, found.path, found.line))
        seen[fingerprint] = seen.get(fingerprint, 0) + 1
        results.append(_result(found, f"{fingerprint}:{seen[fingerprint]}"))
    return results


def _result(found: Diagnostic, fingerprint: str) -> Document:
    message = f"{found.message.removesuffix('.')}. {found.hint}" if found.hint else found.message
    result: Document = {
        "ruleId": found.rule,
        "level": str(found.severity),
        "message": {"text": _plain(message)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _location(found.path),
                    "region": {
                        "startLine": found.line,
                        "startColumn": found.column,
                        "endLine": found.end_line,
                        "endColumn": found.end_column,
                    },
                }
            }
        ],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }
    if found.rule in _INDEX:
        result["ruleIndex"] = _INDEX[found.rule]
    return result


def _plain(text: str) -> str:
    return _LINK.sub("] ", _PLACEHOLDER.sub(r"{{\1}}", text))


def _location(path: str) -> Mapping[str, str]:
    """A path in the working folder is relative to the root; any other one is an address of its own."""
    address = quote(path, safe="/", errors="replace")
    if PurePosixPath(path).is_absolute():
        return {"uri": f"file://{address}"}
    return {"uri": address, "uriBaseId": _ROOT}


def _fingerprint(found: Diagnostic, line: str) -> str:
    """What stays the same while lines move: file, rule and the text of the line. Messages may name other lines."""
    identity = f"{found.path}\0{found.rule}\0{line.strip()}"
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]
