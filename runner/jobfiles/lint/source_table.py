"""How a table is written: what in the options of CSV and XLSX cannot be."""

import codecs
from typing import Any

from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection

_LEFT_OUT = ","


def check_table(inspection: Inspection, path: Path, source: dict[str, Any]) -> None:
    """Rule `bad-value`, for an encoding that there is not, and for a decimal sign that parts cells too."""
    encoding = inspection.text(*path, "encoding")
    if encoding and not _is_encoding(encoding):
        inspection.report(
            (*path, "encoding"),
            "bad-value",
            f"there is no encoding {encoding!r}",
            "Write one such as utf-8, latin-1, cp1252 or utf-16.",
        )
    if source.get("decimal") == _LEFT_OUT and source.get("delimiter", _LEFT_OUT) == _LEFT_OUT:
        inspection.report(
            (*path, "decimal"),
            "bad-value",
            "a comma parts the cells, so that it cannot be the decimal sign too",
            'Write delimiter: ";", or what parts the cells.',
        )


def _is_encoding(name: str) -> bool:
    """Whether Python knows an encoding of text; `base64` and its kin are none."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return bool(getattr(codec, "_is_text_encoding", True))
