"""Pages of which `records_path` leaves some records out, or takes them apart."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from runner.core.source import Pagination, PaginationKind
from runner.errors import FetchError

PAGE, OFFSET = PaginationKind.PAGE, PaginationKind.OFFSET
PAGES = [
    Pagination(kind=PAGE, param="page"),
    Pagination(kind=PAGE, param="page", size=3),
    Pagination(kind=OFFSET, param="skip", size=3),
]


@pytest.fixture
def orders(server):
    """Serve the orders that are given, three a page; its address."""

    def serve(all_orders, wrap=lambda page: {"items": page}):
        def route(handler):
            query = {name: int(values[0]) for name, values in parse_qs(urlsplit(handler.path).query).items()}
            start = query["skip"] if "skip" in query else 3 * query["page"]
            handler.answer(wrap(all_orders[start : start + 3]))

        server.routes["/rows"] = route
        return server.url("/rows")

    return serve


def read(fetched):
    return [json.loads(line) for line in fetched.paths[0].read_text().splitlines()]


@pytest.mark.parametrize("pagination", PAGES)
@pytest.mark.parametrize(
    ("records_path", "found"),
    [
        ("items[?open].n", [0, 1, 8]),
        ("items[?open].name", ["a"]),
        ("items[*].name", ["a"]),
        ("items[:1].n", [0, 3, 6, 9]),
    ],
)
def test_pages_of_which_little_is_left_are_not_the_last(
    server, orders, fetch_api, pagination, records_path, found
):
    rows = [{"n": n, "open": n in (0, 1, 8)} for n in range(10)]
    rows[8]["name"] = "a"
    assert read(fetch_api(orders(rows), records_path=records_path, pagination=pagination)) == found
    asked = [urlsplit(path).query for _, path, *_ in server.seen]
    assert len(asked) == len(set(asked)) == 5


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_offsets_count_orders_and_not_the_lines_in_them(orders, fetch_api, lines):
    rows = [{"lines": [[n, line] for line in range(n % 3 * lines)]} for n in range(8)]
    fetched = fetch_api(orders(rows), records_path="items[].lines[*] | []", pagination=PAGES[2])
    assert read(fetched) == [line for row in rows for line in row["lines"]]


def test_an_array_within_an_array_of_one_is_counted_itself(server, orders, fetch_api):
    url = orders([{"n": n} for n in range(7)], wrap=lambda page: {"results": [{"items": page}]})
    for pagination in PAGES:
        assert len(read(fetch_api(url, records_path="results[].items[]", pagination=pagination))) == 7


@pytest.mark.parametrize(
    "records_path",
    ["items[].lines[]", "items[?lines] | sort_by(@, &n)", "items[?lines] || `[]`", "items[?lines] | [?n > `-1`]"],
)
def test_a_page_of_which_nothing_is_left_ends_no_pages_where_there_are_more(orders, fetch_api, records_path):
    rows = [{"n": n, "lines": [{"n": n}] if n // 3 != 1 else []} for n in range(9)]
    with pytest.raises(
        FetchError, match=r"`records_path` finds no records in page 2 of .*/rows, and behind it there"
    ):
        fetch_api(orders(rows), records_path=records_path, pagination=PAGES[0])
    assert len(read(fetch_api(orders(rows[:6]), records_path=records_path, pagination=PAGES[0]))) == 3
