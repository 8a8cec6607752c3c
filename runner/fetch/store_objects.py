"""In the fetch worker: an object of a store, and its bytes, all of them of one content.

An object may be replaced at any moment, also between two pieces of it that are asked for. So each piece is asked
for of the content that the store has told the size and the version of. It comes as it is kept, for that is what
has this size: the libraries of Google and Azure would unpack what has a `Content-Encoding`, each piece by itself.
"""

import functools
import itertools
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]
from fsspec.asyn import sync  # type: ignore[import-untyped]
from fsspec.utils import glob_translate  # type: ignore[import-untyped]

PIECE_BYTES = 4 << 20
# From the first byte to read to the one behind the last.
Read = Callable[[int, int], bytes]
# Shares of the time for it: the first time it fails, the second and the third.
_AZURE_WAITS = (1 / 7, 2 / 7, 4 / 7)
# What fsspec makes of `**/`, and what it should.
_SOME_FOLDERS, _ANY_FOLDERS = "(?:.+/)?", "(?:.*/)?"
# Where a pattern leads through a folder that may have no name, or has none.
_UNNAMED = re.compile(r"/(?:\*\*)?/")
# Each looks for credentials: one is enough for all threads.
_making = threading.Lock()


class ChangedError(Exception):
    """An object has another content by now."""


class UnlistedError(Exception):
    """A folder that a pattern leads to cannot be listed.

    Args:
        folder: its name.
        fault: what the library says.
    """

    def __init__(self, folder: str, fault: OSError) -> None:
        super().__init__(folder)
        self.folder = folder
        self.fault = fault


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """One object as a store tells of it.

    `size` is in bytes; `version` tells one content from another, and is empty where the store does not say.
    """

    name: str
    size: int
    version: str


def open_store(location: str, *, retry_seconds: float) -> Any:
    """fsspec's file system for an address.

    Args:
        retry_seconds: how long what fails is tried again, about, where the library can be told.

    Raises:
        ImportError: what reads it is not installed. Libraries raise anything else.
    """
    kind = fsspec.get_filesystem_class(urlsplit(location).scheme.lower())
    # `abfs://container@account.…` names the account, and more cannot stand in an address.
    options = kind._get_kwargs_from_urls(location)  # noqa: SLF001
    if family(kind) == "gcs":
        kind = _google_for(kind, retry_seconds)
    system = kind(skip_instance_cache=True, **options)
    if family(kind) == "abfs":
        _shorten_azure(system, retry_seconds)
    return system


def _google_for(kind: Any, retry_seconds: float) -> Any:
    """gcsfs, which waits 1, 2, 4, 8 and 16 seconds, each up to one more, with as many of these as there is time
    for."""
    from gcsfs.retry import retry_request  # type: ignore[import-untyped, unused-ignore]

    ask = getattr(kind._request, "__wrapped__", None)  # noqa: SLF001 - nothing public says how often it tries
    if ask is None:
        return kind
    waits = itertools.accumulate(2**number + 1 for number in range(5))
    tries = 1 + sum(total <= retry_seconds for total in waits)
    return type(kind.__name__, (kind,), {"_request": retry_request(retries=tries)(ask)})


def _shorten_azure(system: Any, retry_seconds: float) -> None:
    """Azure's library waits three times, 15 seconds and more; adlfs hands on nothing that would change it."""
    policy = getattr(getattr(system.service_client, "_config", None), "retry_policy", None)
    if policy is not None:
        policy.get_backoff_time = lambda settings: retry_seconds * _AZURE_WAITS[min(settings["count"], 3) - 1]


def stored_object(name: str, info: Mapping[str, Any]) -> StoredObject:
    """What fsspec tells of an object, whichever store it is from."""
    return StoredObject(
        name=name,
        size=int(info["size"]),
        version=str(info.get("generation") or info.get("ETag") or info.get("etag") or ""),
    )


def objects_like(system: Any, pattern: str) -> Mapping[str, Mapping[str, Any]]:
    """What a pattern matches, folders too: name → what the store tells of it.

    fsspec looks into more folders than a pattern leads to, and leaves out each that it cannot list, without a
    word; here that is a fault of those that the pattern leads to.

    Raises:
        UnlistedError: such a folder cannot be listed. Libraries raise anything else.
    """
    faults: list[UnlistedError] = []
    ask = system._ls  # noqa: SLF001 - what its walk through the folders asks each time

    async def listed(folder: str, *arguments: Any, **options: Any) -> Any:
        try:
            return await ask(folder, *arguments, **options)
        except FileNotFoundError:
            raise  # gone by now
        except OSError as error:
            if _leads_to(pattern, folder):
                faults.append(UnlistedError(folder, error))
            raise

    system._ls = listed  # noqa: SLF001
    try:
        matches = _glob(system, pattern)
    except FileNotFoundError:
        matches = {}
    finally:
        system._ls = ask  # noqa: SLF001
    if faults:
        raise faults[0]
    return matches


def _glob(system: Any, pattern: str) -> Mapping[str, Mapping[str, Any]]:
    """What fsspec finds, but that `**` stands for a folder whose name is empty too, as that of `in//a.csv`, and
    that a pattern may name one, as `in//*.csv` does."""
    unnamed = _UNNAMED.search(pattern)
    if unnamed is None:
        found: Mapping[str, Mapping[str, Any]] = system.glob(pattern, detail=True)
        return found
    found = system.glob(f"{pattern[: unnamed.start()]}/**", detail=True)
    like = re.compile(glob_translate(pattern).replace(_SOME_FOLDERS, _ANY_FOLDERS))
    return {name: info for name, info in found.items() if like.match(name)}


def _leads_to(pattern: str, folder: str) -> bool:
    """Whether a pattern may match what lies in a folder, as far as the names on the way tell."""
    if has_dots(folder) and not has_dots(pattern):
        return False
    for wanted, name in zip(pattern.split("/"), folder.strip("/").split("/"), strict=False):
        if wanted == "**":
            return True
        if not fnmatchcase(name, wanted):
            return False
    return True


def has_dots(name: str) -> bool:
    """Whether a name in it, or a pattern of one, begins with a dot, for which no pattern stands."""
    return name.startswith(".") or "/." in name


def bucket_of(system: Any, name: str) -> str:
    """The bucket of an object, which Azure calls a container."""
    bucket: str = system.split_path(name)[0]
    return bucket


def lacks(system: Any, bucket: str) -> bool:
    """Whether a store says that it has no such bucket. Who may read objects may not always ask that."""
    system.invalidate_cache()
    try:
        system.info(bucket)
    except FileNotFoundError:
        return True
    except Exception:  # noqa: BLE001 - a store's library may raise anything
        return False
    return False


def look_again(system: Any, name: str) -> StoredObject:
    """An object as it is now, whatever was known of it.

    Raises:
        FileNotFoundError: it is gone. Libraries raise anything else.
    """
    system.invalidate_cache()
    return stored_object(name, system.info(name))


def reader(system: Any, found: StoredObject) -> Read:
    """What reads parts of an object, as it was found. Where it has another content by now, reading fails.

    Raises:
        ChangedError: it has another content by now.
    """
    return _READERS.get(family(type(system)), _read_opened)(system, found)


def family(kind: Any) -> str:
    """The store that a class of fsspec is for, as it is called here; empty where it is another one."""
    names = {kind.protocol} if isinstance(kind.protocol, str) else set(kind.protocol)
    return next((known for known in _READERS if known in names), "")


def _read_opened(system: Any, found: StoredObject) -> Read:
    """S3: an opened object is that of its ETag."""
    source = system.open(found.name, "rb", block_size=PIECE_BYTES, cache_type="none")
    if stored_object(found.name, source.details) != found:
        raise ChangedError

    def read(start: int, end: int) -> bytes:
        source.seek(start)
        piece: bytes = source.read(end - start)
        return piece

    return read


def _read_generation(system: Any, found: StoredObject) -> Read:
    """Google: a generation of an object never changes."""
    pinned = {"generation": found.version} if found.version else {}
    with _making:
        kept = _as_kept(system)

    def read(start: int, end: int) -> bytes:
        piece: bytes = kept.cat_file(found.name, start=start, end=end, **pinned)
        return piece

    return read


@functools.cache
def _as_kept(system: Any) -> Any:
    """The same store of Google, which unpacks nothing. It is another one, as what it tells of an object may come
    packed too."""
    unpacking_nothing = {"auto_decompress": False}
    return type(system)(
        *system.storage_args, skip_instance_cache=True, session_kwargs=unpacking_nothing, **system.storage_options
    )


def _read_matching(system: Any, found: StoredObject) -> Read:
    """Azure, by its own library: adlfs asks for no ETag, and leaves the unpacking on."""
    from azure.core import MatchConditions  # type: ignore[import-not-found, unused-ignore]

    container, blob, _ = system.split_path(found.name)
    etag = found.version.strip('"')
    pinned = {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified} if etag else {}

    async def ask(start: int, end: int) -> bytes:
        async with system.service_client.get_blob_client(container, blob) as client:
            part = await client.download_blob(offset=start, length=end - start, decompress=False, **pinned)
            piece: bytes = await part.readall()
            return piece

    def read(start: int, end: int) -> bytes:
        piece: bytes = sync(system.loop, ask, start, end)
        return piece

    return read


_READERS: Mapping[str, Callable[[Any, StoredObject], Read]] = {
    "s3": _read_opened,
    "gcs": _read_generation,
    "abfs": _read_matching,
}
