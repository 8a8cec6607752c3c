"""The location of a file source: a path, a pattern of paths, or an address of an object store."""

import re
from typing import Any

from runner.core.diagnostic import Severity
from runner.core.source import is_never_read
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.source_names import sources_of

_SHELL_VARIABLE = re.compile(r"\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|[^/]*\\")
_URL_START = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_STORE = re.compile(r"(?:s3a?|gc?s|az|abfss?)://")
_STORE_PLACE = re.compile(r"[a-z0-9]+://[^/\s]+/\S")
_PATTERN = re.compile(r"[*?\[]")
_COMPRESSED = (".gz", ".zst")
_MAY_BE_COMPRESSED = frozenset({"csv", "json", "ndjson"})


def is_store_address(location: str) -> bool:
    """Whether a location is in an object store, not in the file system."""
    return _STORE.match(location) is not None


def bucket_of(location: str) -> str | None:
    """The bucket of an address of a store, or the account of `container@account`, in small letters; None where a
    reference stands in it."""
    place = location.partition("://")[2].partition("/")[0]
    return None if "$" in place else place.rpartition("@")[2].lower()


def fixed_part(location: str) -> str:
    """The folder that all paths of a pattern are in; of a plain path the path itself."""
    match = _PATTERN.search(location)
    if match is None:
        return location
    folder, slash, _ = location[: match.start()].rpartition("/")
    return folder or slash or "."


def looked_at(inspection: Inspection) -> list[str]:
    """The locations that `check_source` asks about for the sources that are files."""
    locations = (
        inspection.text(*path, "location")
        for path, source in sources_of(inspection.document.data)
        if source.get("source_type") == "file"
    )
    return [fixed_part(one) for one in locations if one and "${" not in one and "://" not in one]


def check_data_file(inspection: Inspection, path: Path, source: dict[str, Any], location: str) -> None:
    """Rules `bad-location` and, a warning, `missing-file`."""
    file_type = source.get("file_type")
    if location.endswith(_COMPRESSED) and file_type not in _MAY_BE_COMPRESSED and isinstance(file_type, str):
        inspection.report(
            path,
            "bad-location",
            f"a file of {file_type} is read as it is, not compressed once more",
            "Write the name without .gz or .zst, and unpack the file. csv, json and ndjson may be compressed.",
        )
    elif is_store_address(location):
        if "${" not in location and not _STORE_PLACE.match(location):
            message = f"{location!r} names no bucket, or nothing in it"
            inspection.report(path, "bad-location", message, "Write one such as s3://bucket/folder/sales.parquet.")
    elif "${" not in location:
        check_file_of_data(inspection, path, location)


def check_file_of_data(inspection: Inspection, path: Path, location: str) -> None:
    """Rules `bad-location` and, a warning, `missing-file`, for the path of a file or a pattern of paths."""
    if is_never_read(location):
        inspection.report(
            path,
            "bad-location",
            f"{location!r} is no data: it belongs to the system or to the runner itself",
            "`.env`, `.git`, /proc and /sys are never a source.",
        )
    else:
        _check_path(inspection, path, location)


def _check_path(inspection: Inspection, path: Path, location: str) -> None:
    if "\0" in location:
        inspection.report(path, "bad-location", "a path cannot hold NUL", "Remove it.")
    elif match := _URL_START.match(location):
        hint = "Write source_type: api, or the path of a file."
        if match["scheme"].lower() not in {"http", "https"}:
            hint = "Write the path of a file, or an address s3://, gs:// or az://."
        inspection.report(path, "bad-location", f"{location!r} is an address, not a path", hint)
    elif _PATTERN.search(location):
        folder = fixed_part(location)
        if not inspection.may_be_folder(path, folder):
            message = f"there is no folder {folder!r}"
            inspection.report(path, "missing-file", message, _hint_for_path(location), severity=Severity.WARNING)
    elif fault := inspection.file_fault(path, location):
        hint = fault[1] or _hint_for_path(location)
        inspection.report(path, "missing-file", fault[0], hint, severity=Severity.WARNING)


def _hint_for_path(location: str) -> str:
    """What to do about a path that leads to no file."""
    variable = _SHELL_VARIABLE.search(location)
    if variable is not None:
        return f"Write ${{env:{variable['name']}}} for the variable."
    if location.startswith("~"):
        return "Write the path out: ~ stands for itself."
    if _WINDOWS_PATH.match(location):
        return "Write a path with /, relative to the folder that holds the folder of jobs."
    return "Relative paths start at the folder that holds the folder of jobs. It may still come later."
