"""An API that is asked page by page: the records of all pages in one file, one a line."""

from collections.abc import Iterator

from runner.core.source import DataSource, Pagination
from runner.errors import FetchError
from runner.fetch.bodies import Bodies
from runner.fetch.client import Client
from runner.fetch.page_params import with_page_param
from runner.fetch.page_reader import PageReader, as_lines
from runner.fetch.paging import paging_of
from runner.fetch.request import HttpRequest, shown_url


class Pages:
    """All pages of one source.

    Raises:
        FetchError: a path of `pagination` is no JMESPath.
    """

    def __init__(
        self, source: DataSource, pagination: Pagination, request: HttpRequest, client: Client, bodies: Bodies
    ) -> None:
        if pagination.size_param and pagination.size is not None:
            request = with_page_param(request, pagination, pagination.size_param, pagination.size)
        self._paging = paging_of(source, pagination, request, client, PageReader(source, client, bodies))
        self._client = client
        self._url = request.url
        self._most = pagination.max_pages

    @property
    def note(self) -> str:
        """What people should know of the pages that were read; not masked, empty where there is nothing to say."""
        return self._paging.note

    def read(self) -> Iterator[bytes]:
        """The records of one page after the other, as lines of JSON. Numbers keep every digit.

        Raises:
            FetchError: a page is no JSON, has no array of records or is too large, the pages go in a circle or are
                all the same, there are more of them than `max_pages`; or as `Client.ask`.
            requests.RequestException, urllib3.exceptions.HTTPError: as `Client.ask`.
        """
        following: HttpRequest | None = self._paging.first
        number = 0
        while following is not None:
            page = self._client.ask(following, self._paging.read)
            number += 1
            following = self._paging.following(page)
            if number > self._most and (page.records or following is not None):
                raise FetchError(
                    f"{shown_url(self._url)} has more than the {self._most} pages that `pagination.max_pages` "
                    "allows",
                    hint="Ask for less with `params`, for more records a page, or raise `pagination.max_pages`.",
                )
            yield as_lines(page.records)
