"""What a fetch is given, and what it gives back."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.bookmark import CursorValue, Validator
from runner.core.job_policy import RunBounds
from runner.core.source import FileType
from runner.fetch.checked_file import CheckedFile


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchContext:
    """What one fetch may use.

    `project_dir` is what relative locations are resolved against; `run_dir` takes what is fetched; both are
    absolute. `environ` and `facts` are what `${env:…}` and `${run:…}` read. `timeout_seconds` bounds the whole
    of a fetch over a network, `cancelled` ends it early. `bounds` are those of the folder's policy. `validator`
    is what the last delivered run had of this source: with it, an API is asked whether that has changed. `cursor`
    is how far an incremental load had got, with its type: a number is compared as one. `cursor_column` is the
    column of this source that tells how far it gets; None where another one does, or none.
    """

    project_dir: Path
    run_dir: Path
    environ: Mapping[str, str]
    facts: Mapping[str, str]
    timeout_seconds: float
    cancelled: threading.Event
    bounds: RunBounds = field(default_factory=RunBounds)
    validator: Validator | None = None
    cursor: CursorValue | None = None
    cursor_column: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """The data of a source as files: one table, in the order of `paths`.

    `format` is that of the files, `records_path` where the records are in them: an API that is asked page by
    page, or that says it has no content, is kept as NDJSON. `secrets` are the texts to mask wherever something
    of this run is shown. `description` is one masked line for the log. `unchanged` says that there are no files,
    as nothing has changed since `validator` was given; otherwise `validator` is the one for the next time.
    `note` is what people should know of the data: one masked line; empty where there is nothing to say.
    `in_place` are those of the files that are not the run's own: others may write to them while it reads.
    """

    paths: tuple[Path, ...]
    format: FileType
    records_path: str | None = None
    bytes: int
    secrets: frozenset[str]
    description: str
    validator: Validator | None = None
    unchanged: bool = False
    note: str = ""
    in_place: tuple[CheckedFile, ...] = ()
