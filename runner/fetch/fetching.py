"""A DataSource → files: the registry of source types, and the one function a run calls."""

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.core.source import DataSource, SourceType
from runner.errors import FetchError, ThreadError
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.files import fetch_file
from runner.fetch.places import resolve_location, scheme_of
from runner.fetch.references import References
from runner.fetch.words import one_line

__all__ = ["FETCHERS", "FetchContext", "FetchError", "Fetched", "Fetcher", "fetch"]

Fetcher = Callable[[DataSource, FetchContext, References], Fetched]


def _fetch_api(source: DataSource, context: FetchContext, references: References) -> Fetched:
    # Imported on first use: requests costs 0.1 s, and a job that reads a file needs none of it.
    from runner.fetch.http import fetch_http

    return fetch_http(source, context, references)


def _fetch_files(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """Files of this machine, or of an object store."""
    if scheme_of(resolve_location(source, context, references).strip()) is None:
        return fetch_file(source, context, references)
    # Imported on first use, as most files lie here.
    from runner.fetch.object_stores import fetch_store

    return fetch_store(source, context, references)


def _fetch_database(source: DataSource, context: FetchContext, references: References) -> Fetched:
    # Imported on first use: SQLAlchemy costs 0.1 s.
    from runner.fetch.databases import fetch_database

    return fetch_database(source, context, references)


FETCHERS: Mapping[SourceType, Fetcher] = {
    SourceType.API: _fetch_api,
    SourceType.FILE: _fetch_files,
    SourceType.DATABASE: _fetch_database,
}


def fetch(source: DataSource, context: FetchContext) -> Fetched:
    """The data of a source as files.

    Raises:
        FetchError: it cannot be had; message and hint are masked, and no chained exception holds a secret.
    """
    references = References(context.environ, context.facts, context.cancelled)
    try:
        return FETCHERS[source.source_type](source, context, references)
    except (FetchError, ThreadError) as error:
        message, hint = references.mask(error.message), references.mask(error.hint)
    except Exception as error:  # noqa: BLE001 - what a library lets pass may hold a secret, as may its traceback
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = one_line(references.mask(f"{type(error).__name__}: {error}"))
        message = f"{words} ({Path(place.filename).name}, line {place.lineno})"
        hint = "This is a fault of the runner or of a library that it uses: please report it."
    raise FetchError(message, hint=hint)
