"""A NextPath: where an answer says which page comes next, with a note where the first may call it otherwise."""

import difflib
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from runner.core.source import DataSource, Pagination
from runner.core.words import kind_words
from runner.fetch.client import Client
from runner.fetch.json_path import JsonPath
from runner.fetch.missing_names import MissingName, missing_name
from runner.fetch.page_reader import Page
from runner.fetch.places import source_key

_MOST_KEYS = 8
# A stranger may send a million, and each takes its time.
_MOST_COMPARED = 1000
_DEEPEST = 4
# A longer one is no name; and it is not cut, as half a secret would be shown.
_LONGEST_KEY = 64
# `nxt` is near to `next`. `@odata.deltaLink`, which a last page has, is not to `@odata.nextLink`.
_CLOSE = 0.85
_SHORTEST = 4
_SIGNS = re.compile(r"[\W_]+")


class NextPath:
    """One expression of `pagination`, followed in each page.

    `note` is what people should know: the first page has records, but not the name that the expression leads to.
    With many an API this is the last page. Where that has a name like it, or exactly as many records as were asked
    for, the expression may be wrong. Not masked; empty where there is nothing to say.
    """

    def __init__(
        self, key: str, expression: str, source: DataSource, pagination: Pagination, client: Client
    ) -> None:
        self._path = JsonPath(f"pagination.{key}", expression)
        self._place = f"`{source_key(source, f'pagination.{key}')}: {expression}`"
        self._page_size = pagination.size
        self._client = client
        self._is_first = True
        self.note = ""

    def find(self, page: Page) -> Any:
        """What an answer says.

        Raises:
            FetchError: as `JsonPath.search`.
        """
        found = self._path.search(page.document, page.size, self._client.check)
        if self._is_first and found is None and page.given.count:
            missing = missing_name(self._path.parsed, page.document)
            self.note = "" if missing is None else self._words(missing, page)
        self._is_first = False
        return found

    def _words(self, missing: MissingName, page: Page) -> str:
        near = _nearest(missing.name, page.document)
        # Where the answer is an array, no page of it ever has a name.
        is_last = isinstance(page.document, dict) and page.given.count != self._page_size
        if is_last and not near:
            return ""
        seen = "; the nearest is ".join(filter(None, (_there(missing), near)))
        return (
            f"only the first page was read, and rows may be missing: {self._place} leads to nothing, as there is "
            f"no {missing.name}, but {seen}. Where the API leaves it out on its last page, write || '' behind the "
            "path"
        )


def _there(missing: MissingName) -> str:
    """What stands where a name was looked for."""
    if not isinstance(missing.there, dict) or not missing.there:
        return "an object without keys" if missing.there == {} else kind_words(missing.there)
    shown = [key for key in islice(missing.there, _MOST_KEYS) if len(key) <= _LONGEST_KEY]
    more = len(missing.there) - len(shown)
    return " and ".join(filter(None, (", ".join(shown), f"{more:,} more" if more else "")))


def _nearest(name: str, document: object) -> str:
    """The keys that lead to what a document calls nearly so, or longer; empty where there is no such thing."""
    wanted = _letters(name)
    keys = {_letters(path[-1]): ".".join(path) for path in islice(_paths(document), _MOST_COMPARED)}
    close = difflib.get_close_matches(wanted, keys, n=1, cutoff=_CLOSE)
    longer = [letters for letters in keys if len(wanted) >= _SHORTEST and wanted in letters]
    return next((keys[letters] for letters in (*close, *longer)), "")


def _paths(document: object) -> Iterator[tuple[str, ...]]:
    """The keys to all that stands in the objects of a document, not within arrays; those at the top first."""
    level: list[tuple[tuple[str, ...], object]] = [((), document)]
    for _ in range(_DEEPEST):
        below: list[tuple[tuple[str, ...], object]] = []
        for path, value in level:
            if isinstance(value, dict):
                below += (((*path, key), inner) for key, inner in value.items() if len(key) <= _LONGEST_KEY)
        yield from (path for path, _ in below)
        level = below


def _letters(name: str) -> str:
    """`nextCursor`, `next_cursor` and `@next.cursor` alike."""
    return _SIGNS.sub("", name).lower()
