"""What the endpoint shows, as values, and the Protocol it asks for them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runner.core.bookmark import CursorValue
from runner.core.catalog import CatalogEntry
from runner.core.job import Job
from runner.core.run import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStatus:
    """One job file with where its job stands. `last_run` is its newest run; times are aware UTC."""

    entry: CatalogEntry
    next_fire: datetime | None = None
    last_run: Run | None = None
    running: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusSnapshot:
    """Everything the endpoint shows, at one moment.

    Args:
        version: differs between any two snapshots of unlike content.
        generation: that of the catalog.
        jobs: keep the entries and runs of jobs that did not change the same objects; comparing them is then cheap.
        reasons: why the service is not ready, one sentence each; empty when it is.
        facts: about the service, key → text for people, in the order shown. `sandbox` is also part of `/readyz`
            and `revision` of `/version`.
        finished: state → how many runs finished in it since the service started.
    """

    version: int
    generation: int
    jobs: tuple[JobStatus, ...] = ()
    ready: bool = True
    reasons: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    finished: tuple[tuple[str, int], ...] = ()

    def fact(self, key: str) -> str | None:
        """One of the facts; None where it is not known."""
        return dict(self.facts).get(key)


class StatusSource(Protocol):
    """Where the endpoint gets its values. Called from several threads at once."""

    def snapshot(self) -> StatusSnapshot:
        """The state of now; cheap, and the same object until something changes."""

    def runs(self, job_name: str | None, limit: int, before: str | None) -> tuple[Run, ...]:
        """At most `limit` runs made before the run `before`, newest first."""

    def run(self, run_id: str) -> Run | None:
        """One run with everything that is known of it."""

    def chart(self, run: Run) -> bytes | None:
        """The kept chart of a run, a PNG; None where there is none."""

    def cursor(self, job: Job) -> CursorValue | None:
        """How far an incremental load has got with what was delivered; None where nothing was."""
