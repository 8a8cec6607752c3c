"""Jobs as the REST service stored them → what their files will hold, each under a name of its own."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.jobfiles.predecessor.keys import Draft, Note, NoteKind, in_quotes
from runner.jobfiles.predecessor.stored_jobs import StoredJob

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME_LENGTH = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """A stored job as a job file says it.

    `old_name` is what it was called, None where it had no name; `job_name` is None where no file is made of it.
    `data` is plain data, keys in any order.
    """

    place: str
    old_name: str | None
    job_name: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


def convert_jobs(jobs: Iterable[StoredJob], *, known_keys: Mapping[str, Any]) -> tuple[Conversion, ...]:
    """What becomes of each job, in the order of the file. Names are unique; a name that fits is nobody else's.

    `known_keys` are the `properties` of the job schema: keys of these names are carried over as they are.
    """
    drafts = [Draft(job, known_keys) for job in jobs]
    taken: dict[str, Draft] = {}
    for draft in drafts:
        if draft.old_name and _NAME.fullmatch(draft.old_name):
            taken.setdefault(draft.old_name, draft)
    twins: dict[tuple[str, str], str] = {}
    return tuple(_name(draft, taken, twins) for draft in drafts)


def _name(draft: Draft, taken: dict[str, Draft], twins: dict[tuple[str, str], str]) -> Conversion:
    old_name = draft.old_name
    if old_name is None:
        return _conversion(draft, None)
    content = (old_name, json.dumps(draft.data, sort_keys=True))
    if content in twins:
        draft.note(NoteKind.LEFT_OUT, "job_name", f"the same job as {twins[content]}", "One file is enough.")
        return _conversion(draft, None)
    twins[content] = draft.place
    wanted = _fitting(old_name)
    name = wanted
    number = 2
    while taken.setdefault(name, draft) is not draft:
        ending = f"_{number}"
        name = wanted[: _NAME_LENGTH - len(ending)] + ending
        number += 1
    if name != wanted:
        message = f"another job is called {wanted} already: this one is now {name}"
        draft.note(NoteKind.TO_DO, "job_name", message, "Keep one of the two, or give this one a name of its own.")
    elif name != old_name:
        draft.note(NoteKind.CHANGED, "job_name", f"{in_quotes(old_name)} is now {name}")
    return _conversion(draft, name)


def _fitting(name: str) -> str:
    """The nearest name of small letters, digits, _ and -."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    fitting = re.sub(r"[^a-z0-9_-]+", "_", folded).lstrip("_-")[:_NAME_LENGTH]
    # A mark that was at the end of the old name stays; one that stands for something else goes.
    return (fitting if name[-1:] in {"_", "-"} else fitting.rstrip("_-")) or "job"


def _conversion(draft: Draft, job_name: str | None) -> Conversion:
    data = {} if job_name is None else {"job_name": job_name, **draft.data}
    return Conversion(place=draft.place, old_name=draft.old_name, job_name=job_name, data=data, notes=draft.notes)
