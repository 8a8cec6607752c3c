"""A NextPath: where an answer says which page comes next, and a note where the first one has no such name."""

import difflib
import re
from itertools import islice
from typing import Any

from runner.core.source import DataSource
from runner.fetch.client import Client
from runner.fetch.json_path import JsonPath
from runner.fetch.missing_names import MissingName, missing_name
from runner.fetch.page_reader import Page, described
from runner.fetch.places import source_key

_MOST_KEYS = 8
# A stranger may send a million, and each takes its time.
_MOST_COMPARED = 1000
# A longer one is no name; and it is not cut, as half a secret would be shown.
_LONGEST_KEY = 64
_CLOSE = 0.6
_SIGNS = re.compile(r"[\W_]+")


class NextPath:
    """One expression of `pagination`, followed in each page.

    `note` is what people should know: a first page with records, and without the name that it leads to, may be the
    last one, or the name is misspelt. Not masked; empty where there is nothing to say.
    """

    def __init__(self, key: str, expression: str, source: DataSource, client: Client) -> None:
        self._path = JsonPath(f"pagination.{key}", expression)
        self._place = f"`{source_key(source, f'pagination.{key}')}: {expression}`"
        self._client = client
        self._is_first = True
        self.note = ""

    def find(self, page: Page) -> Any:
        """What an answer says.

        Raises:
            FetchError: as `JsonPath.search`.
        """
        found = self._path.search(page.document, page.size, self._client.check)
        if self._is_first and found is None and page.records:
            missing = missing_name(self._path.parsed, page.document)
            self.note = "" if missing is None else self._words(missing)
        self._is_first = False
        return found

    def _words(self, missing: MissingName) -> str:
        return (
            f"only the first page was read, and rows may be missing: {self._place} leads to nothing, as there is "
            f"no {missing.name}, but {_there(missing)}. Where the API leaves it out on its last page, write || '' "
            "behind the path"
        )


def _there(missing: MissingName) -> str:
    """What stands where a name was looked for, with the name that is nearest to it."""
    if not isinstance(missing.there, dict) or not missing.there:
        return "an object without keys" if missing.there == {} else described(missing.there)
    keys = [key for key in islice(missing.there, _MOST_COMPARED) if len(key) <= _LONGEST_KEY]
    shown = ", ".join(keys[:_MOST_KEYS])
    more = len(missing.there) - len(keys[:_MOST_KEYS])
    shown = " and ".join(filter(None, (shown, f"{more:,} more" if more else "")))
    by_letters = {_letters(key): key for key in reversed(keys)}
    near = difflib.get_close_matches(_letters(missing.name), by_letters, n=1, cutoff=_CLOSE)
    return f"{shown}; the nearest is {by_letters[near[0]]}" if near else shown


def _letters(name: str) -> str:
    """`nextCursor`, `next_cursor` and `@next.cursor` alike."""
    return _SIGNS.sub("", name).lower()
