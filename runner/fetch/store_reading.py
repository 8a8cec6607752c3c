"""In the fetch worker: objects of a store, streamed into the run's folder."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]

from runner.fetch.patterns import has_pattern
from runner.fetch.worker_faults import WorkerError
from runner.fetch.worker_orders import FaultKind, StoreOrder, WorkerFault, WorkerOutcome

_PIECE = 4 << 20
# What a name ends in, of which the reader of a file takes its compression: `.csv.gz`.
_ENDING = re.compile(r"(?:\.[A-Za-z0-9]{1,8}){1,2}\Z")
_DENIED = re.compile(r"(?i)credential|forbidden|access ?denied|unauthorized|AuthenticationFailed|anonymous")


def download(order: StoreOrder) -> WorkerOutcome:
    """Carry out an order. The outcome of files that are too large says how large they are.

    Raises:
        WorkerError: there is no such object, it may not be read, or there are too many.
        OSError: a file cannot be written.
    """
    try:
        kind = fsspec.get_filesystem_class(urlsplit(order.location).scheme.lower())
        # `abfs://container@account.…` names the account, and more cannot stand in an address.
        system = kind(skip_instance_cache=True, **kind._get_kwargs_from_urls(order.location))  # noqa: SLF001
    except ImportError as error:
        raise WorkerError(FaultKind.DRIVER, error.name or str(error)) from None
    except Exception as error:  # noqa: BLE001 - a store's library may raise anything
        raise _store_error(error) from None
    found = _asked(lambda: _find(system, order))
    if not found:
        raise WorkerError(FaultKind.MISSING, "")
    if len(found) > order.max_files:
        raise WorkerError(FaultKind.COUNT, "")
    size = sum(found.values())
    if size > order.max_bytes:
        return _too_large(size)
    paths: list[str] = []
    taken = 0
    for number, name in enumerate(sorted(found), start=1):
        ending = _ENDING.search(name)
        stem = order.stem if len(found) == 1 else f"{order.stem}-{number:05d}"
        path = Path(order.folder) / f"{stem}{ending[0] if ending else ''}"
        try:
            taken += _copy(system, name, path, order.max_bytes - taken)
        except WorkerError as error:
            if error.kind is FaultKind.MISSING:
                raise WorkerError(FaultKind.STORE, f"{name} is listed there, and cannot be found") from None
            raise
        if taken > order.max_bytes:
            return _too_large(taken)
        paths.append(str(path))
    return WorkerOutcome(paths=tuple(paths), bytes=taken)


def _find(system: Any, order: StoreOrder) -> dict[str, int]:
    """The objects that a location names, with their sizes. A name that is there as written is that object. A
    pattern does not stand for a leading dot, as with files of this machine."""
    name = system._strip_protocol(order.location)  # noqa: SLF001 - how fsspec's own functions part an address
    try:
        info = system.info(name)
        if info["type"] == "directory" and not has_pattern(name):
            raise WorkerError(FaultKind.STORE, "it is a folder: name a file in it, or a pattern such as *.csv")
        if info["type"] == "file":
            return {name: int(info["size"])}
    except FileNotFoundError:
        pass
    if not has_pattern(name):
        return {}
    matches = system.glob(name, detail=True)
    return {
        path: int(info["size"])
        for path, info in matches.items()
        # An object whose name ends in `/` is how consoles make an empty folder.
        if info["type"] == "file" and not path.endswith("/") and (_has_dots(name) or not _has_dots(path))
    }


def _has_dots(name: str) -> bool:
    return name.startswith(".") or "/." in name


def _copy(system: Any, name: str, path: Path, room: int) -> int:
    """Stream one object into a file; how many bytes, which is more than `room` where it has grown meanwhile."""
    taken = 0
    source = _asked(lambda: system.open(name, "rb", block_size=_PIECE, cache_type="readahead"))
    with path.open("wb") as target:
        while taken <= room and (piece := _asked(lambda: source.read(_PIECE))):
            taken += target.write(piece)
    return taken


def _asked(ask: Callable[[], Any]) -> Any:
    """What a store answers, or its fault; a fault of this machine's disk is another one."""
    try:
        return ask()
    except WorkerError:
        raise
    except Exception as error:  # noqa: BLE001 - a store's library may raise anything
        raise _store_error(error) from None


def _store_error(error: Exception) -> WorkerError:
    words = str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return WorkerError(FaultKind.MISSING, words)
    if isinstance(error, PermissionError) or _DENIED.search(f"{type(error).__name__} {words}"):
        return WorkerError(FaultKind.DENIED, words)
    return WorkerError(FaultKind.STORE, words)


def _too_large(size: int) -> WorkerOutcome:
    return WorkerOutcome(bytes=size, fault=WorkerFault(kind=FaultKind.SIZE, message=""))
