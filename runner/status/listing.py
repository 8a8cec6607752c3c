"""The answer of `/jobs`, encoded once per change, and the jobs of a snapshot by name."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import msgspec

from runner.core.documents import job_document
from runner.status.answers import etag_of
from runner.status.snapshot import JobStatus, StatusSnapshot, StatusSource

_LONGEST_NAME = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One snapshot with its encoded listing. `etag` has its quotes."""

    snapshot: StatusSnapshot
    body: bytes
    etag: str
    by_name: Mapping[str, JobStatus]
    encoded: Mapping[str, tuple[JobStatus, bytes]]

    def nearest(self, name: str) -> str | None:
        """The job name most like `name`, if any is like it."""
        close = get_close_matches(name[:_LONGEST_NAME], self.by_name, n=1)
        return close[0] if close else None


class ListingCache:
    """The listing of the newest snapshot. Safe to use from several threads."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._current: Listing | None = None

    def fresh(self) -> Listing | None:
        """The listing if nothing has changed since it was made: no work at all."""
        current = self._current
        return (
            current
            if current is not None and self._source.snapshot().version == current.snapshot.version
            else None
        )

    def current(self) -> Listing:
        """The listing, made anew if something has changed: up to tenths of a second for thousands of jobs."""
        with self._lock:
            listing = self.fresh()
            if listing is None:
                listing = _make_listing(self._source.snapshot(), self._current)
                self._current = listing
            return listing


def _make_listing(snapshot: StatusSnapshot, before: Listing | None) -> Listing:
    known = before.encoded if before is not None else {}
    encoder = msgspec.json.Encoder()
    encoded: dict[str, tuple[JobStatus, bytes]] = {}
    by_name: dict[str, JobStatus] = {}
    for status in snapshot.jobs:
        entry = status.entry
        kept = known.get(entry.path)
        # Cheap: equal fields are mostly the same objects.
        if kept is None or kept[0] != status:
            document = job_document(entry, next_fire=status.next_fire, last_run=status.last_run)
            kept = (status, encoder.encode(document))
        encoded[entry.path] = kept
        # Where a broken file names a job that another file has in force, the name means the one in force.
        if entry.job_name is not None and (entry.job is not None or entry.job_name not in by_name):
            by_name[entry.job_name] = status
    body = b'{"jobs":[' + b",".join(one for _, one in encoded.values()) + b"]}"
    return Listing(
        snapshot=snapshot,
        body=body,
        etag=etag_of(body),
        by_name=by_name,
        encoded=encoded,
    )
