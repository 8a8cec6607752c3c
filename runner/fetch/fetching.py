"""A DataSource → a file: the registry of source types, and the one function a run calls."""

from collections.abc import Callable, Mapping

from runner.core.source import DataSource, SourceType
from runner.errors import FetchError
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.files import fetch_file
from runner.fetch.references import References

__all__ = ["FETCHERS", "FetchContext", "FetchError", "Fetched", "Fetcher", "fetch"]

Fetcher = Callable[[DataSource, FetchContext, References], Fetched]


def _fetch_api(source: DataSource, context: FetchContext, references: References) -> Fetched:
    # Imported on first use: requests costs 0.1 s, and a job that reads a file needs none of it.
    from runner.fetch.http import fetch_http

    return fetch_http(source, context, references)


FETCHERS: Mapping[SourceType, Fetcher] = {SourceType.API: _fetch_api, SourceType.FILE: fetch_file}


def fetch(source: DataSource, context: FetchContext) -> Fetched:
    """The data of a source as a file.

    Raises:
        FetchError: it cannot be had; message and hint are masked, and no chained exception holds a secret.
    """
    references = References(context.environ, context.facts)
    try:
        return FETCHERS[source.source_type](source, context, references)
    except FetchError as error:
        message, hint = references.mask(error.message), references.mask(error.hint)
    raise FetchError(message, hint=hint)
