"""Workbooks whose rows are those of a hidden sheet: who opens one sees another sheet first, so that is told."""

import json
from collections.abc import Sequence
from pathlib import PurePath

from runner.core.source import FileType
from runner.execution.orders import StepInput, cut
from runner.execution.steps.sheet_names import sheet_names
from runner.execution.steps.table_files import sheet_read

_NAME_WIDTH = 60
_MOST_NAMED = 5


def hidden_note(inputs: Sequence[StepInput]) -> str:
    """What a person should know of the first workbook of which a hidden sheet was read, while others are seen and
    the job names none. Empty where there is none.

    Args:
        inputs: as they were read; what is no workbook is passed over.
    """
    for source in inputs:
        if source.format is FileType.XLSX and not source.table.sheet:
            for path in source.paths:
                names = sheet_names(path)
                seen = [name for name in names.tables if name not in names.hidden]
                # A sheet is read once more only where there is a hidden one.
                if names.hidden and seen and (name := sheet_read(path, source.table)) in names.hidden:
                    return _told(name, seen, PurePath(path).name)
    return ""


def _told(name: str, seen: Sequence[str], file: str) -> str:
    names, more = ", ".join(map(_quoted, seen[:_MOST_NAMED])), " …" if len(seen) > _MOST_NAMED else ""
    return (
        f"the rows of {cut(file, _NAME_WIDTH)} are those of its sheet {_quoted(name)}, which is hidden: who opens "
        f"it sees {names}{more}. Name the one that is meant, as in `sheet: {_quoted(seen[0])}`, or "
        f"`sheet: {_quoted(name)}` if it is this one"
    )


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
