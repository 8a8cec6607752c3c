"""What a fetch is given, and what it gives back."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchContext:
    """What one fetch may use.

    `project_dir` is what relative locations are resolved against; `run_dir` takes the body of an API answer; both
    are absolute. `environ` and `facts` are what `${env:…}` and `${run:…}` read. `timeout_seconds` bounds the whole
    of an API fetch, `cancelled` ends it early.
    """

    project_dir: Path
    run_dir: Path
    environ: Mapping[str, str]
    facts: Mapping[str, str]
    timeout_seconds: float
    cancelled: threading.Event


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """The data of a run as a file.

    `in_place` says that `path` is the user's own file, not a copy in the run's folder. `secrets` are the texts to
    mask wherever something of this run is shown. `description` is one masked line for the log.
    """

    path: Path
    bytes: int
    in_place: bool
    secrets: frozenset[str]
    description: str
