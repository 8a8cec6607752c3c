"""What each path answers. Reads the source, renders; decides nothing about jobs."""

import re
from collections.abc import Callable
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from runner.core.bookmark import CursorValue
from runner.core.documents import Document, job_document, run_document, runs_document
from runner.core.run import Run
from runner.status.answers import encoded_answer, error_answer, etag_matches, etag_of, json_answer, prefers_html
from runner.status.listing import Listing, ListingCache
from runner.status.metrics import CONTENT_TYPE, render_metrics
from runner.status.openapi import openapi_document
from runner.status.pages import Pages
from runner.status.snapshot import JobStatus, StatusSource

DEFAULT_LIMIT = 50
MOST_RUNS = 1000
_RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_VARY = {"Vary": "Accept"}


class RequestFaultError(Exception):
    """The request cannot be answered as it stands: the HTTP status, what is wrong, and what to ask instead."""

    def __init__(self, status: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint


class Views:
    """The endpoints, one method each.

    Those that read the run history or build the listing are plain functions: the framework runs them in a thread.
    """

    def __init__(
        self,
        source: StatusSource,
        cache: ListingCache,
        pages: Pages,
        *,
        version: str,
        secured: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._cache = cache
        self._pages = pages
        self._version = version
        self._clock = clock
        self._openapi = openapi_document(version, secured=secured)

    def index(self, request: Request) -> Response:
        """The page of all jobs."""
        query = request.query_params
        page = query.get("page", "1")
        return _page(
            self._pages.index(
                self._cache.current().snapshot,
                search=query.get("q", "")[:100],
                show=query.get("show", ""),
                page=int(page) if page.isdecimal() and len(page) < 6 else 1,
                now=self._clock(),
            )
        )

    async def jobs(self, request: Request) -> Response:
        """The listing: the same bytes until something changes."""
        listing = self._cache.fresh()
        if listing is None:
            listing = await run_in_threadpool(self._cache.current)
        headers = {"ETag": listing.etag}
        if etag_matches(request.headers, listing.etag):
            return Response(status_code=304, headers={"Cache-Control": "no-cache", **headers})
        return encoded_answer(listing.body, headers=headers)

    def job(self, request: Request) -> Response:
        """One job, as JSON or as a page."""
        name = request.path_params["job_name"]
        listing = self._cache.current()
        status = listing.by_name.get(name)
        if status is None:
            raise _no_job(name, listing)
        if prefers_html(request.headers):
            runs = self._source.runs(name, DEFAULT_LIMIT, None)
            page = self._pages.job(listing.snapshot, status, runs, cursor=self._cursor(status), now=self._clock())
            return _page(page, _VARY)
        return json_answer(self._job_details(status), headers=_VARY)

    def _job_details(self, status: JobStatus) -> Document:
        return job_document(
            status.entry,
            next_fire=status.next_fire,
            last_run=status.last_run,
            details=True,
            cursor=self._cursor(status),
        )

    def _cursor(self, status: JobStatus) -> CursorValue | None:
        job = status.entry.job
        return self._source.cursor(job) if job is not None and job.incremental is not None else None

    def job_runs(self, request: Request) -> Response:
        """The runs of one job, newest first; those of a job that is gone stay readable."""
        name = request.path_params["job_name"]
        runs = self._source.runs(name, _limit(request), _before(request))
        if not runs:
            listing = self._cache.current()
            if name not in listing.by_name and not self._source.runs(name, 1, None):
                raise _no_job(name, listing)
        return json_answer(runs_document(runs))

    def run(self, request: Request) -> Response:
        """One run with what its script printed, as JSON or as a page."""
        run = self._run(request)
        if prefers_html(request.headers):
            return self._run_page(run)
        return json_answer(run_document(run, details=True), headers=_VARY)

    def chart(self, request: Request) -> Response:
        """The chart of one run."""
        run = self._run(request)
        content = self._source.chart(run)
        if content is None:
            raise RequestFaultError(
                404,
                f"The run {run.run_id} has no chart",
                "Its job draws none, or its files are past their retention.",
            )
        # What others must not see must not stay in a cache that they share.
        headers = {"ETag": etag_of(content), "Cache-Control": "private, no-cache"}
        if etag_matches(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="image/png", headers=headers)

    def _run(self, request: Request) -> Run:
        run_id = request.path_params["run_id"]
        run = self._source.run(run_id) if _RUN_ID.fullmatch(run_id) else None
        if run is None:
            raise RequestFaultError(
                404,
                f"There is no run {run_id[:64]!r}",
                "It is past its retention, or never was; GET /jobs/{job_name}/runs lists those of a job.",
            )
        return run

    def _run_page(self, run: Run) -> Response:
        listing = self._cache.current()
        status = listing.by_name.get(run.job_name)
        return _page(self._pages.run(listing.snapshot, run, status, now=self._clock()), _VARY)

    async def healthz(self, _: Request) -> Response:
        """The process answers."""
        return json_answer({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Whether the service does its work: 200 or 503, with the reasons."""
        snapshot = self._source.snapshot()
        document = {
            "ready": snapshot.ready,
            "reasons": list(snapshot.reasons),
            "sandbox": snapshot.fact("sandbox"),
            "jobs": len(snapshot.jobs),
            "generation": snapshot.generation,
        }
        return json_answer(document, 200 if snapshot.ready else 503)

    def metrics(self, _: Request) -> Response:
        """Gauges and counters for Prometheus."""
        text = render_metrics(self._source.snapshot(), self._version)
        return Response(text, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-cache"})

    async def version(self, _: Request) -> Response:
        """What runs here."""
        return json_answer({"version": self._version, "revision": self._source.snapshot().fact("revision")})

    async def openapi(self, _: Request) -> Response:
        """The description that `/docs` and `/redoc` show."""
        return json_answer(self._openapi)

    def docs(self, _: Request) -> Response:
        """Swagger UI."""
        return _page(self._pages.docs())

    def redoc(self, _: Request) -> Response:
        """ReDoc."""
        return _page(self._pages.redoc())

    def fault(self, request: Request, fault: Exception) -> Response:
        """A fault of the request, with its remedy, as JSON or as a page."""
        if isinstance(fault, RequestFaultError):
            status, error, hint = fault.status, fault.error, fault.hint
        else:
            status = fault.status_code if isinstance(fault, HTTPException) else 404
            error = f"There is nothing at {request.url.path[:200]}"
            hint = "GET /docs shows every path there is."
        if prefers_html(request.headers):
            return _page(self._pages.error(self._source.snapshot(), error, hint), _VARY, status)
        return error_answer(status, error, hint, _VARY)


def _page(html: str, headers: dict[str, str] | None = None, status: int = 200) -> Response:
    return HTMLResponse(html, status, {"Cache-Control": "no-cache", **(headers or {})})


def _no_job(name: str, listing: Listing) -> RequestFaultError:
    nearest = listing.nearest(name)
    meant = f"Did you mean {nearest!r}? " if nearest else ""
    return RequestFaultError(
        404,
        f"There is no job {name[:64]!r}",
        f"{meant}GET /jobs lists all; a job is added as a file in the jobs folder and committed.",
    )


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (given.isascii() and given.isdecimal() and len(given) < 6 and 1 <= int(given) <= MOST_RUNS):
        raise RequestFaultError(
            400, f"limit={given[:40]!r} cannot be used", f"Use a whole number from 1 to {MOST_RUNS}."
        )
    return int(given)


def _before(request: Request) -> str | None:
    given = request.query_params.get("before")
    if given is not None and not _RUN_ID.fullmatch(given):
        raise RequestFaultError(
            400, f"before={given[:40]!r} is no run id", "Use the run_id of the last run you have."
        )
    return given
