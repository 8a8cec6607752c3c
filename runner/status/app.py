"""The application: which path is answered by what, and what every request passes first."""

import importlib.util
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from runner.settings import Secret
from runner.status.listing import ListingCache
from runner.status.middleware import HostCheck, ReadOnly, RequestLog, SecurityHeaders, TokenCheck, is_loopback
from runner.status.pages import STATIC, Pages
from runner.status.readonly import make_remedy
from runner.status.snapshot import StatusSource
from runner.status.views import RequestFaultError, Views


def build_app(
    source: StatusSource,
    *,
    token: Secret,
    version: str,
    host: str = "127.0.0.1",
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The endpoint over `source`.

    Args:
        token: what a request must bring, except to `/healthz` and `/readyz`; empty: nothing.
        host: where it will listen. On an address of this machine alone, and without a token, requests for other
            host names are refused.
    """
    cache = ListingCache(source)
    views = Views(source, cache, Pages(version), version=version, secured=bool(token), clock=clock)
    passed = [Middleware(RequestLog), Middleware(SecurityHeaders)]
    if token:
        passed.append(Middleware(TokenCheck, token=token))
    elif is_loopback(host):
        passed.append(Middleware(HostCheck))
    passed.append(Middleware(ReadOnly, remedy=make_remedy(cache)))
    app = Starlette(
        routes=[
            Route("/", views.index),
            Route("/jobs", views.jobs),
            Route("/jobs/{job_name}", views.job),
            Route("/jobs/{job_name}/runs", views.job_runs),
            Route("/runs/{run_id}", views.run),
            Route("/runs/{run_id}/chart.png", views.chart),
            Route("/healthz", views.healthz),
            Route("/readyz", views.readyz),
            Route("/metrics", views.metrics),
            Route("/version", views.version),
            Route("/openapi.json", views.openapi),
            Route("/docs", views.docs),
            Route("/redoc", views.redoc),
            Mount("/static", _Assets()),
        ],
        middleware=passed,
        exception_handlers={RequestFaultError: views.fault, HTTPException: views.fault},
    )
    # A redirect would be built from the Host header of the request.
    app.router.redirect_slashes = False
    return app


class _Assets(StaticFiles):
    """The style sheet, and Swagger UI and ReDoc from the package that keeps their files."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)
        # The package itself is never imported: that would load a whole web framework.
        spec = importlib.util.find_spec("fastapi_offline")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            self.all_directories.append(str(Path(folder) / "static"))

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """The file, to be kept for a day."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response
