"""In the fetch worker: objects of a store, several at a time, streamed into the run's folder."""

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from runner.fetch.patterns import has_pattern
from runner.fetch.store_objects import (
    PIECE_BYTES,
    ChangedError,
    StoredObject,
    UnlistedError,
    bucket_of,
    has_dots,
    lacks,
    look_again,
    objects_like,
    open_store,
    reader,
    stored_object,
)
from runner.fetch.worker_faults import WorkerError
from runner.fetch.worker_orders import FaultKind, StoreOrder, WorkerFault, WorkerOutcome

T = TypeVar("T")

# Objects that are read at the same time: what a small one takes is the way to the store and back. Each has a piece
# or two in memory.
_AT_ONCE = 8
# Readings of an object that changes meanwhile.
_READINGS = 3
# What a name ends in, of which the reader of a file takes its compression: `.csv.gz`.
_ENDING = re.compile(r"(?:\.[A-Za-z0-9]{1,8}){1,2}\Z")
# An object whose name no file should have, such as `..`, gets another one.
_PLAIN_NAME = re.compile(r"[^.\x00-\x1f\ud800-\udfff][^\x00-\x1f\ud800-\udfff]*")
_LONGEST_NAME = 200
# How a packed object begins, and how the name of its file ends: its own may not, where it is packed by its
# `Content-Encoding`, which S3 does not tell.
_PACKINGS = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_DENIED = re.compile(
    r"(?i)credential|forbidden|access ?denied|authenticat|authoriz|anonymous|public ?access ?is ?not ?permitted"
)
_DENYING = frozenset({"401", "403"})
_ERRNO = re.compile(r"\A\[Errno \d+\] ")


def download(order: StoreOrder) -> WorkerOutcome:
    """Carry out an order. The outcome of files that are too large says how large they are.

    Raises:
        WorkerError: there is no such object or bucket, it may not be read, or there are too many. Of several
            faults it is that of the first object.
        OSError: a file cannot be written.
    """
    try:
        system = open_store(order.location, retry_seconds=order.retry_seconds)
    except ImportError as error:
        raise WorkerError(FaultKind.DRIVER, error.name or str(error)) from None
    except Exception as error:  # noqa: BLE001 - a store's library may raise anything
        raise _store_error(error) from None
    found = sorted(_asked(partial(_find, system, order)), key=lambda one: one.name)
    if not found:
        raise _nothing_found(system, order.location)
    if len(found) > order.max_files:
        raise WorkerError(FaultKind.COUNT, "")
    work = _Download(system=system, order=order, found=found, bytes=sum(one.size for one in found))
    if work.bytes > order.max_bytes:
        return _too_large(work.bytes)
    try:
        paths = _together(work.fetch, range(len(found)))
    except _TooLargeError:
        return _too_large(work.bytes)
    return WorkerOutcome(paths=tuple(map(str, paths)), bytes=work.bytes)


def _nothing_found(system: Any, location: str) -> WorkerError:
    bucket = bucket_of(system, system._strip_protocol(location))  # noqa: SLF001 - as in `_find`
    return WorkerError(*((FaultKind.BUCKET, bucket) if lacks(system, bucket) else (FaultKind.MISSING, "")))


class _TooLargeError(Exception):
    """The objects have grown past `max_bytes` since they were found."""


@dataclass(kw_only=True)
class _Download:
    """One order under way. `bytes` is what all objects have, as far as is known; thread-safe."""

    system: Any
    order: StoreOrder
    found: Sequence[StoredObject]
    bytes: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, index: int) -> Path:
        """Download one object; its file.

        Raises:
            _TooLargeError, WorkerError, OSError: as `download`.
        """
        one = self.found[index]
        folder = Path(self.order.folder)
        try:
            if len(self.found) == 1:
                return self._copy_whole(one, folder / f"{self.order.stem}{_ending_of(one)}")
            return self._copy_whole(one, _own_place(one, folder / f"{self.order.stem}-{index + 1:05d}"))
        except WorkerError as error:
            if error.kind is FaultKind.MISSING:
                raise WorkerError(FaultKind.STORE, f"{one.name} is listed there, and cannot be found") from None
            raise

    def _copy_whole(self, one: StoredObject, path: Path) -> Path:
        """Download an object, anew where it changes meanwhile: half of the one content and half of the other is
        neither."""
        for _ in range(_READINGS):
            try:
                return _copy(self.system, one, path)
            except (ChangedError, WorkerError) as error:
                now = _asked(partial(look_again, self.system, one.name))
                if isinstance(error, WorkerError) and now == one:
                    raise
            self._resize(one, now)
            one = now
        raise WorkerError(FaultKind.STORE, f"{one.name} was written to each time it was read")

    def _resize(self, before: StoredObject, now: StoredObject) -> None:
        with self.lock:
            self.bytes += now.size - before.size
            if self.bytes > self.order.max_bytes:
                raise _TooLargeError


def _together(work: Callable[[int], Path], items: Sequence[int]) -> list[Path]:
    """What `work` makes of all items, in their order, or the fault of the first that has one. Those that are under
    way then end with the process."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _find(system: Any, order: StoreOrder) -> list[StoredObject]:
    """The objects that a location names. A name that is there as written is that object. A pattern does not stand
    for a leading dot, as with files of this machine."""
    name = system._strip_protocol(order.location)  # noqa: SLF001 - how fsspec's own functions part an address
    try:
        info = system.info(name)
        if info["type"] == "directory" and not has_pattern(name):
            raise WorkerError(FaultKind.STORE, "it is a folder: name a file in it, or a pattern such as *.csv")
        if info["type"] == "file":
            return [stored_object(name, info)]
    except FileNotFoundError:
        pass
    if not has_pattern(name):
        return []
    return [
        stored_object(path, info)
        for path, info in objects_like(system, name).items()
        # An object whose name ends in `/` is how consoles make an empty folder.
        if info["type"] == "file" and not path.endswith("/") and (has_dots(name) or not has_dots(path))
    ]


def _ending_of(one: StoredObject) -> str:
    found = _ENDING.search(one.name)
    return found[0] if found else ""


def _own_place(one: StoredObject, stem: Path) -> Path:
    """The path of one of several objects: under its own name, by which people know it, in a folder of its own.

    Raises:
        OSError: the folder cannot be made.
    """
    name = one.name.rpartition("/")[2]
    if not _PLAIN_NAME.fullmatch(name) or len(name.encode()) > _LONGEST_NAME:
        return stem.with_name(f"{stem.name}{_ending_of(one)}")
    stem.mkdir(exist_ok=True)
    return stem / name


def _copy(system: Any, one: StoredObject, path: Path) -> Path:
    """Stream one object into a file, as it was found; its name ends as the object is packed."""
    read = _asked(partial(reader, system, one))
    with path.open("wb") as target:
        for start in range(0, one.size, PIECE_BYTES):
            end = min(start + PIECE_BYTES, one.size)
            piece = _asked(partial(read, start, end))
            if len(piece) != end - start:
                raise WorkerError(FaultKind.STORE, f"{one.name} breaks off: it is not as long as the store says")
            target.write(piece)
    with path.open("rb") as written:
        head = written.read(4)
    packing = next((ending for mark, ending in _PACKINGS.items() if head.startswith(mark)), "")
    return path if path.name.lower().endswith(packing) else path.rename(f"{path}{packing}")


def _asked(ask: Callable[[], T]) -> T:
    """What a store answers, or its fault; a fault of this machine's disk is another one."""
    try:
        return ask()
    except (WorkerError, ChangedError):
        raise
    except Exception as error:  # noqa: BLE001 - a store's library may raise anything
        raise _store_error(error) from None


def _store_error(error: Exception) -> WorkerError:
    if isinstance(error, UnlistedError):
        fault = _store_error(error.fault)
        return WorkerError(fault.kind, f"the folder {error.folder} cannot be listed: {fault}")
    words = _ERRNO.sub("", str(error)) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return WorkerError(FaultKind.MISSING, words)
    status = str(getattr(error, "status_code", None) or getattr(error, "code", ""))
    if (
        isinstance(error, PermissionError)
        or status in _DENYING
        or _DENIED.search(f"{type(error).__name__} {words}")
    ):
        return WorkerError(FaultKind.DENIED, words)
    return WorkerError(FaultKind.STORE, words)


def _too_large(size: int) -> WorkerOutcome:
    return WorkerOutcome(bytes=size, fault=WorkerFault(kind=FaultKind.SIZE, message=""))
