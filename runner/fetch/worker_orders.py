"""What crosses between the service and a fetch worker: JSON on its standard input and output."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

T = TypeVar("T")


class FaultKind(StrEnum):
    """What a worker failed at."""

    DRIVER = "driver"
    CONNECT = "connect"
    QUERY = "query"
    TABLE = "table"
    NO_TYPE = "no type"
    CURSOR = "cursor"
    SIZE = "size"
    COUNT = "count"
    MISSING = "missing"
    BUCKET = "bucket"
    DENIED = "denied"
    STORE = "store"
    DISK = "disk"
    MEMORY = "memory"
    INTERNAL = "internal"


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseOrder:
    """Write the rows of a query to the Parquet file `path`.

    `url` is that of SQLAlchemy, for SQLite the plain path of the file. `query` holds parameters `:run_fact`.
    `cursor_column` tells how far an incremental load gets; None: none of these columns does.
    """

    dialect: str
    url: str
    query: str
    parameters: dict[str, int | float | str]
    path: str
    max_bytes: int
    timeout_seconds: float
    cursor_column: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreOrder:
    """Download what `location` names into `folder`; the files' names begin with `stem`. What fails is tried again
    for about `retry_seconds`."""

    location: str
    folder: str
    stem: str
    max_bytes: int
    max_files: int
    retry_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOrder:
    """One order; one of the two is set."""

    database: DatabaseOrder | None = None
    store: StoreOrder | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerFault:
    """Why there is no data. `message` is in a library's own words where there are any: not masked."""

    kind: FaultKind
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOutcome:
    """The files, and how much they hold; or the fault."""

    paths: tuple[str, ...] = ()
    bytes: int = 0
    rows: int = 0
    fault: WorkerFault | None = None


def encode(value: WorkerOrder | WorkerOutcome) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(value) + b"\n"


def decode(line: bytes, kind: type[T]) -> T:
    """The value of one line.

    Raises:
        ValueError: it is none of that kind.
    """
    return msgspec.json.decode(line, type=kind)
