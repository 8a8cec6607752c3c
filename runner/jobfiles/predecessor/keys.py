"""The keys of a job as the REST service stored it → the keys of a job file, and notes of what changes."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from runner.jobfiles.predecessor.stored_jobs import StoredJob

Data = dict[str, Any]

_FILE_TYPES = {
    "csv": "csv",
    "json": "json",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "jsonlines": "ndjson",
    "parquet": "parquet",
    "pq": "parquet",
    "xlsx": "xlsx",
    "excel": "xlsx",
}
# What the service itself wrote beside a job: all of it is in the run history here, or follows from the job.
_BOOKKEEPING = frozenset(
    {
        "id",
        "job_id",
        "uuid",
        "created",
        "created_at",
        "created_by",
        "updated",
        "updated_at",
        "modified",
        "modified_at",
        "version",
        "status",
        "state",
        "last_run",
        "last_run_at",
        "last_run_time",
        "last_status",
        "last_error",
        "last_result",
        "next_run",
        "next_run_at",
        "next_run_time",
        "next_fire_time",
        "run_count",
        "success_count",
        "failure_count",
        "error_count",
    }
)
_SWITCHES = {
    "enabled": False,
    "active": False,
    "is_active": False,
    "is_enabled": False,
    "paused": True,
    "disabled": True,
}


class NoteKind(StrEnum):
    """What a note asks for: `to_do` a look by the user, `changed` and `left_out` nothing."""

    TO_DO = "to_do"
    CHANGED = "changed"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One thing that is not as it was: which key, what happened and why, and what to do where something is."""

    kind: NoteKind
    key: str
    message: str
    hint: str = ""


class Draft:
    """One job on its way: what its file will hold but for the name, and the notes.

    `old_name` is what it was called; None where no file can be made of it, and a note says why. `known_keys` are
    the `properties` of the job schema: keys of these names are carried over as they are.
    """

    def __init__(self, job: StoredJob, known_keys: Mapping[str, Any]) -> None:
        self.place = job.place
        self.old_name: str | None = None
        self.data: Data = {}
        self._notes: list[Note] = []
        self._known = known_keys
        if not isinstance(job.data, Mapping):
            self.note(NoteKind.TO_DO, "", "this is no job: not an object with keys", "Write its file by hand.")
            return
        stored = dict(job.data)
        name = stored.pop("job_name", job.name)
        if not isinstance(name, str) or not name.strip():
            self.note(NoteKind.TO_DO, "job_name", "the job has no name", "Give it a job_name, and import again.")
            return
        self.old_name = name.strip()
        for key in job.repeated:
            self.note(NoteKind.TO_DO, key, "the key stands more than once: the last one counts", "Look at both.")
        self._take(stored)

    def note(self, kind: NoteKind, key: str, message: str, hint: str = "") -> None:
        """Note something."""
        self._notes.append(Note(kind=kind, key=key, message=message, hint=hint))

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes so far: first those that ask for something."""
        return tuple(sorted(self._notes, key=lambda note: list(NoteKind).index(note.kind)))

    def _take(self, stored: Data) -> None:
        converters: Mapping[str, Callable[[Any], None]] = {
            "schedule_time": self._schedule,
            "data_source": self._source,
            "processing_script": self._script,
            "consumer_emails": self._recipients,
        }
        for key, convert in converters.items():
            value = stored.pop(key, None)
            # The check of the written file names required keys that are missing.
            if value is not None:
                convert(value)
        for key, value in stored.items():
            if key in _SWITCHES and isinstance(value, bool):
                self._switch(key, value)
            else:
                self._other(key, value, self.data, self._known)

    def _schedule(self, value: Any) -> None:
        self.data["schedule_time"] = value.strip() if isinstance(value, str) else _plain(value)

    def _script(self, value: Any) -> None:
        key = "processing_script"
        if not isinstance(value, str):
            self.data[key] = _plain(value)
            return
        if not value.strip():
            self.note(NoteKind.CHANGED, key, "it was blank: the data is mailed as it is")
            return
        if "\r" in value:
            value = value.replace("\r\n", "\n").replace("\r", "\n")
            self.note(NoteKind.CHANGED, key, "line ends are LF now")
        # A line end at the end means nothing to Python, and a block text reads best with one.
        self.data[key] = value.rstrip() + "\n"

    def _recipients(self, value: Any) -> None:
        key = "consumer_emails"
        if isinstance(value, str):
            value = [part for part in re.split(r"[,;\n]", value) if part.strip()]
            self.note(NoteKind.CHANGED, key, "one text is a list now")
        if not isinstance(value, list):
            self.data[key] = _plain(value)
            return
        addresses: list[Any] = []
        for item in value:
            address = self._address(item) if isinstance(item, str) else _plain(item)
            if isinstance(address, str) and address.lower() in {str(known).lower() for known in addresses}:
                self.note(NoteKind.CHANGED, key, f"{in_quotes(address)} stood there twice")
            else:
                addresses.append(address)
        self.data[key] = addresses

    def _address(self, text: str) -> str:
        text = text.strip()
        if text.endswith(">"):
            _, address = parseaddr(text)
            if address:
                self.note(NoteKind.CHANGED, "consumer_emails", f"{in_quotes(text)} is the bare address now")
                return address
        return text

    def _switch(self, key: str, value: bool) -> None:
        if value is _SWITCHES[key]:
            self.data["suspend"] = True
            self.note(NoteKind.CHANGED, key, "it is suspend: true now")
        else:
            self.note(NoteKind.LEFT_OUT, key, "a job is in force unless it says suspend: true")

    def _source(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            self.data["data_source"] = _plain(value)
            return
        stored = dict(value)
        source: Data = {}
        self.data["data_source"] = source
        kind, location = stored.pop("source_type", None), stored.pop("location", None)
        file_type = stored.pop("file_type", None)
        if kind is not None:
            source["source_type"] = kind.strip().lower() if isinstance(kind, str) else _plain(kind)
        if location is not None:
            source["location"] = location.strip() if isinstance(location, str) else _plain(location)
        self._file_type(source, file_type)
        known = self._known.get("data_source", {}).get("properties", {})
        for key, item in stored.items():
            self._other(key, item, source, known, prefix="data_source.")

    def _file_type(self, source: Data, given: Any) -> None:
        key = "data_source.file_type"
        kind, location = source.get("source_type"), source.get("location")
        given = given.strip().lower().lstrip(".") or None if isinstance(given, str) else _plain(given)
        known = _FILE_TYPES.get(given) if isinstance(given, str) else None
        if kind == "api":
            if known not in {None, "json", "xlsx"}:
                source["response_format"] = known
                self.note(NoteKind.CHANGED, key, f"it is response_format: {known} now")
            elif given is not None:
                self.note(
                    NoteKind.LEFT_OUT, key, "an API has none: its answer is JSON unless response_format says else"
                )
            return
        if given is None:
            suffix = PurePosixPath(location).suffix.lstrip(".").lower() if isinstance(location, str) else ""
            known = _FILE_TYPES.get(suffix)
            if known is not None:
                source["file_type"] = known
                self.note(NoteKind.CHANGED, key, f"it was missing: {known}, as the file's name ends")
            return
        source["file_type"] = known or given
        if known is None:
            message = f"{in_quotes(str(given))} files are not read here"
            self.note(NoteKind.TO_DO, key, message, "Have the file written as csv, json, ndjson, parquet or xlsx.")
        elif known != given:
            self.note(NoteKind.CHANGED, key, f"{given} is called {known} here")

    def _other(self, key: str, value: Any, target: Data, known: Mapping[str, Any], *, prefix: str = "") -> None:
        """A key beside the five: carried over where job files have it, else told of."""
        name = prefix + key
        if value is None:
            self.note(NoteKind.LEFT_OUT, _shown_key(name), "it was empty")
        elif key in known:
            target[key] = _plain(value)
        elif key in _BOOKKEEPING:
            self.note(NoteKind.LEFT_OUT, name, "the service's own record of the job")
        else:
            message = "job files have no such key: it is left out"
            self.note(NoteKind.TO_DO, _shown_key(name), message, "See whether the job needs it.")


def _plain(value: Any) -> Any:
    """Data that a job file can hold: NaN and infinities as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def in_quotes(text: str) -> str:
    """A text of the file as it is shown in a note: in quotes, and not longer than 80 characters."""
    return json.dumps(text if len(text) <= 80 else text[:79] + "…", ensure_ascii=False)


def _shown_key(name: str) -> str:
    return name if name.isprintable() and len(name) <= 80 else in_quotes(name)
