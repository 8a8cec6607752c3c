"""The snapshot as HTML pages."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from runner.core.bookmark import CursorValue
from runner.core.catalog import SyncState
from runner.core.chart import chart_words
from runner.core.delivery import Delivery, DeliveryState
from runner.core.job import Retry
from runner.core.plan_values import masked_text
from runner.core.report import (
    checks_words,
    count_words,
    duration_words,
    local_time,
    note_words,
    short_revision,
    state_words,
)
from runner.core.run import Run
from runner.core.words import visible
from runner.status.snapshot import JobStatus, StatusSnapshot

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
_PER_PAGE = 200
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def _unsent(delivery: Delivery) -> bool:
    """A mail that somebody waits for in vain; one that is pending is on its way."""
    return delivery.state in {DeliveryState.DEFERRED, DeliveryState.DEAD, DeliveryState.HELD}


# What the summary counts, and what `/?show=` filters by.
GROUPS: dict[str, tuple[str, Callable[[JobStatus], bool]]] = {
    "invalid": ("with an invalid file", lambda one: one.entry.sync is SyncState.INVALID),
    "failed": ("failed last", lambda one: one.last_run is not None and one.last_run.state.failed),
    "unsent": (
        "with mails not sent",
        lambda one: one.last_run is not None and any(map(_unsent, one.last_run.deliveries)),
    ),
    "running": ("running now", lambda one: one.running),
    "suspended": ("suspended", lambda one: one.entry.job is not None and one.entry.job.suspend),
    "removed": ("removed, about to go", lambda one: one.entry.sync is SyncState.REMOVED_PENDING),
}


def _digest_of(folder: Path) -> str:
    """What tells the files of a folder from those of another build: browsers keep them for a day, by address."""
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return hashlib.sha256(content).hexdigest()[:12]


class Pages:
    """The pages, one method each; they answer the HTML text. `now` is what relative times count from."""

    def __init__(self, version: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            finalize=_shown_value,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(version=version, assets=_digest_of(STATIC))
        self._environment.filters.update(
            local=local_time,
            relative=relative_words,
            latest=latest_moment,
            retry_words=retry_words,
            duration=duration_words,
            count=count_words,
            masked=masked_text,
            chart_words=chart_words,
            checks_words=checks_words,
            note_words=note_words,
            state_words=state_words,
            commit=short_revision,
            job_page=job_page,
            label=lambda key: key.replace("_", " ").capitalize(),
        )

    def index(self, snapshot: StatusSnapshot, *, search: str, show: str, page: int, now: datetime) -> str:
        """All jobs by name, 200 to a page; `search` and `show` narrow them down."""
        chosen = [one for one in snapshot.jobs if _matches(one, search) and _shown(one, show)]
        chosen.sort(key=lambda one: (one.entry.job_name or one.entry.path, one.entry.path))
        last_page = max(1, -(-len(chosen) // _PER_PAGE))
        page = min(max(page, 1), last_page)
        counts = [(key, words, sum(map(test, snapshot.jobs))) for key, (words, test) in GROUPS.items()]
        return self._render(
            "index.html",
            snapshot=snapshot,
            now=now,
            jobs=chosen[(page - 1) * _PER_PAGE : page * _PER_PAGE],
            found=len(chosen),
            counts=[one for one in counts if one[2]],
            search=search,
            show=show if show in GROUPS else "",
            page=page,
            last_page=last_page,
        )

    def job(
        self,
        snapshot: StatusSnapshot,
        status: JobStatus,
        runs: Sequence[Run],
        *,
        cursor: CursorValue | None = None,
        now: datetime,
    ) -> str:
        """One job: what it does, how it stands, its last runs. `cursor` is how far an incremental load has got."""
        return self._render("job.html", snapshot=snapshot, status=status, runs=runs, cursor=cursor, now=now)

    def run(self, snapshot: StatusSnapshot, run: Run, status: JobStatus | None, *, now: datetime) -> str:
        """One run: facts, checks, chart, mails, error, output. Times are those of the job's zone, UTC where it is
        gone."""
        job = status.entry.job if status is not None else None
        return self._render(
            "run.html",
            snapshot=snapshot,
            run=run,
            now=now,
            zone=job.timezone if job else "UTC",
            known=status is not None,
            chart=job.chart if job else None,
        )

    def error(self, snapshot: StatusSnapshot, error: str, hint: str) -> str:
        """What is not there, and where to look instead."""
        return self._render("error.html", snapshot=snapshot, error=error, hint=hint)

    def docs(self) -> str:
        """The frame of Swagger UI."""
        return self._render("docs.html")

    def redoc(self) -> str:
        """The frame of ReDoc."""
        return self._render("redoc.html")

    def _render(self, template: str, **values: object) -> str:
        return self._environment.get_template(template).render(values)


def job_page(job_name: str | None) -> str:
    """The address of the page of a job; empty where none leads to it: an invalid file may say `../x`."""
    if not job_name or "/" in job_name or job_name in {".", ".."}:
        return ""
    return f"/jobs/{quote(job_name, safe='')}"


def relative_words(moment: datetime, now: datetime) -> str:
    """`in 3 h`, `90 min ago`, `now`: whole units, the next larger one from two of it on; nothing is rounded up."""
    seconds = int((moment - now).total_seconds())
    if not seconds:
        return "now"
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(seconds) >= 2 * size), (1, "s"))
    amount = abs(seconds) // size
    return f"in {amount} {unit}" if seconds > 0 else f"{amount} {unit} ago"


def latest_moment(run: Run) -> datetime:
    """When the last thing happened to a run: what its age counts from. Its scheduled time may be of any year."""
    return run.finished_at or run.started_at or run.queued_at


def retry_words(retry: Retry) -> str:
    """`1, after up to 1 min`; `3, after up to 1 min, the last after up to 4 min`."""
    longest = retry.max_delay_seconds
    first = min(retry.backoff_seconds, longest)
    last = min(retry.backoff_seconds * 2 ** (retry.limit - 1), longest)
    words = f"{retry.limit}, after up to {duration_words(first)}"
    return words if last <= first else f"{words}, the last after up to {duration_words(last)}"


def _shown_value(value: object) -> object:
    """Every text that a page shows: what is invisible in it is shown as an escape."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _matches(status: JobStatus, search: str) -> bool:
    entry = status.entry
    texts = [entry.job_name or "", entry.path]
    if entry.job is not None:
        texts += [entry.job.description, entry.job.owner or "", *entry.job.tags]
    words = search.lower().split()
    return all(any(word in text.lower() for text in texts) for word in words)


def _shown(status: JobStatus, show: str) -> bool:
    return show not in GROUPS or GROUPS[show][1](status)
