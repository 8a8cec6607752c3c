"""The REST service's file of stored jobs → its jobs, each as the plain data it was stored as."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import RunnerError

MAX_BYTES = 64 << 20
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_WRAPPER = "jobs"
_JOB_KEYS = frozenset({"schedule_time", "data_source", "consumer_emails"})
_LONGEST_WHOLE_NUMBER = 18


class StoredJobsError(RunnerError):
    """The file of stored jobs cannot be read at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredJob:
    """One entry of the file.

    `place` says where it stands, such as `item 3`; `name` is its key in a mapping by name, None in a list. `data`
    is what is stored, of any type; `repeated` are its keys that stand more than once, of which the last counts.
    """

    place: str
    name: str | None
    data: Any
    repeated: tuple[str, ...] = ()


def read_stored_jobs(content: bytes, shown: str) -> tuple[StoredJob, ...]:
    """The jobs of a list, of a mapping by name, of either below a key `jobs`, or of one job alone.

    UTF-8, or UTF-16 with a byte-order mark; at most 64 MiB. Whole numbers of more than 18 digits are read as text.

    Raises:
        StoredJobsError: too large, no text, no JSON (with line and column), or neither a list nor a mapping.
    """
    root = _parse(_decode(content, shown), shown)
    if isinstance(root, Mapping) and isinstance(root.get(_WRAPPER), list | dict) and not _JOB_KEYS & root.keys():
        root = root[_WRAPPER]
    if isinstance(root, _Object):
        if _JOB_KEYS & root.keys():
            return (_job("the whole file", None, root),)
        return tuple(_job(f"key {json.dumps(name, ensure_ascii=False)}", name, data) for name, data in root.pairs)
    if isinstance(root, list):
        return tuple(_job(f"item {number}", None, data) for number, data in enumerate(root, start=1))
    raise StoredJobsError(
        f"{shown} holds neither a list nor a mapping of jobs",
        hint="Give the file that JOB_STORAGE_PATH of the REST service named, ./data/jobs.json by default.",
    )


class _Object(dict[str, Any]):
    """A JSON object that knows every pair it was written with."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    @property
    def repeated(self) -> tuple[str, ...]:
        if len(self) == len(self.pairs):
            return ()
        counts = Counter(name for name, _ in self.pairs)
        return tuple(name for name, count in counts.items() if count > 1)


def _job(place: str, name: str | None, data: Any) -> StoredJob:
    repeated = tuple(_repeated(data)) if isinstance(data, _Object) else ()
    return StoredJob(place=place, name=name, data=data, repeated=repeated)


def _repeated(data: _Object) -> Iterator[str]:
    """The repeated keys of a job and of its data source."""
    yield from data.repeated
    source = data.get("data_source")
    if isinstance(source, _Object):
        yield from (f"data_source.{name}" for name in source.repeated)


def _decode(content: bytes, shown: str) -> str:
    if len(content) > MAX_BYTES:
        raise StoredJobsError(
            f"{shown} is larger than {MAX_BYTES >> 20} MiB", hint="Split it into several files of jobs."
        )
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise StoredJobsError(
            f"{shown} is not {encoding.removesuffix('-sig').upper()}: byte {error.start + 1} does not fit",
            hint="Save it as UTF-8.",
        ) from error


def _parse(text: str, shown: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        message = error.msg[:1].lower() + error.msg[1:]
        raise StoredJobsError(
            f"{shown}:{error.lineno}:{error.colno}: this is no JSON: {message}",
            hint="Give the file as the REST service wrote it, or mend it there.",
        ) from error
    except RecursionError as error:
        raise StoredJobsError(
            f"{shown} is nested too deeply", hint="Stored jobs have two or three levels."
        ) from error


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= _LONGEST_WHOLE_NUMBER else digits
