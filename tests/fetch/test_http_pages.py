import json
import socket
import struct
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from runner.core.job_policy import RunBounds
from runner.core.source import Auth, AuthType, FileType, Pagination, PaginationKind
from runner.errors import FetchError
from runner.fetch import page_reader

PAGE, OFFSET = PaginationKind.PAGE, PaginationKind.OFFSET
CURSOR, LINK = PaginationKind.CURSOR, PaginationKind.LINK_HEADER
TOKEN = Auth(type=AuthType.BEARER, token="t-12345")


@pytest.fixture
def paged(server):
    """Serve `/rows`; `answer` gives the document for the parameters of a request, headers, and a status if not 200."""

    def serve(answer):
        def route(handler):
            query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
            document, headers, *status = answer(query)
            handler.answer(document, headers, status=status[0] if status else 200, sized=False)

        server.routes["/rows"] = route
        return server.url("/rows")

    return serve


def rows(start, end):
    return [{"n": n} for n in range(start, end)]


def read(fetched):
    return [json.loads(line)["n"] for line in fetched.paths[0].read_text().splitlines()]


def queries(server):
    return [urlsplit(path).query for _, path, *_ in server.seen]


def test_pages_by_number_end_with_a_short_one(server, paged, fetch_api, make_context):
    url = paged(lambda query: ({"items": rows(3 * int(query["page"]) - 3, min(3 * int(query["page"]), 7))}, {}))
    fetched = fetch_api(
        url + "?page=9&q=a%20b",
        records_path="items",
        pagination=Pagination(kind=PAGE, param="page", start=1, size=3, size_param="per_page"),
    )
    assert read(fetched) == list(range(7))
    assert (fetched.format, fetched.records_path) == (FileType.NDJSON, None)
    assert fetched.paths == (make_context().run_dir / "input-data.ndjson",)
    assert fetched.bytes == fetched.paths[0].stat().st_size
    # The last one sees that there is nothing behind the short page.
    assert queries(server) == [f"q=a%20b&per_page=3&page={page}" for page in (1, 2, 3, 4)]
    assert fetched.description == f"3 pages from {url}?…, 56 bytes"


@pytest.mark.parametrize("kind", [PAGE, OFFSET])
def test_a_server_that_gives_fewer_records_than_it_is_asked_for_is_found_out(server, paged, fetch_api, kind):
    def answer(query):
        start = 2 * (int(query["at"]) - 1) if kind is PAGE else int(query["at"])
        return rows(start, min(start + 2, 5)), {}

    start = 1 if kind is PAGE else 0
    pagination = Pagination(kind=kind, param="at", start=start, size=100, size_param="limit")
    with pytest.raises(FetchError, match="gives 2 records a page, `pagination") as caught:
        fetch_api(paged(answer), pagination=pagination)
    assert caught.value.hint.startswith("Set `pagination.size` to 2")
    assert read(fetch_api(server.url("/rows"), pagination=replace(pagination, size=2))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("kind", "start"), [(PAGE, 0), (PAGE, 1), (OFFSET, 0), (OFFSET, 1)])
def test_a_server_that_leaves_records_out_of_a_page_is_found_out(paged, fetch_api, kind, start):
    """As one does that hides some of a page from who asks: what is behind that page would be lost."""

    def answer(query):
        place = int(query["at"]) - start
        first = 3 * place if kind is PAGE else place
        return [row for row in rows(first, min(first + 3, 11)) if row["n"] != 5], {}

    pagination = Pagination(kind=kind, param="at", start=start, size=3)
    told = r"page 2 of .* has 2 records, `pagination\.size` says 3, and behind it there are more"
    with pytest.raises(FetchError, match=told) as caught:
        fetch_api(paged(answer), pagination=pagination)
    assert caught.value.hint.startswith("Remove `pagination.size`" if kind is PAGE else "Ask by page or by cursor")


@pytest.mark.parametrize(
    "beyond",
    [([], {}), (rows(3, 5), {}), (rows(0, 3), {}), (b"", {}, 204), ({"error": "no page"}, {}, 400)],
)
def test_a_short_last_page_is_the_last_where_nothing_else_is_behind_it(server, paged, fetch_api, beyond):
    known = {"1": (rows(0, 3), {}), "2": (rows(3, 5), {})}
    url = paged(lambda query: known.get(query["page"], beyond))
    fetched = fetch_api(url, pagination=Pagination(kind=PAGE, param="page", start=1, size=3, max_pages=2))
    assert read(fetched) == [0, 1, 2, 3, 4]
    assert queries(server) == ["page=1", "page=2", "page=3"]


def test_what_is_added_while_the_last_page_is_read_is_nothing_that_was_left_out(server, paged, fetch_api):
    def answer(query):
        offset = int(query["offset"])
        return rows(offset, min(offset + 3, 5 if len(server.seen) < 3 else 6)), {}

    fetched = fetch_api(paged(answer), pagination=Pagination(kind=OFFSET, param="offset", size=3))
    assert read(fetched) == [0, 1, 2, 3, 4]
    assert queries(server) == ["offset=0", "offset=3", "offset=6"]


@pytest.mark.parametrize("first", [True, False])
def test_a_null_beside_errors_is_no_empty_page(paged, fetch_api, first):
    failed = {"data": {"rows": None, "next": None}, "errors": [{"message": "rate limited"}]}
    known = {"data": {"rows": rows(0, 2), "next": "b"}}
    url = paged(lambda query: (failed if first or query else known, {}))
    with pytest.raises(FetchError, match=r"page . of .* finds nothing: .*rate limited") as caught:
        fetch_api(
            url,
            records_path="data.rows",
            pagination=Pagination(kind=CURSOR, param="after", cursor_path="data.next"),
        )
    assert caught.value.hint.startswith("Its list `errors` says why")


@pytest.mark.parametrize(
    "beyond",
    [([], {}), (rows(0, 2), {}), (b"", {}, 204), (b"<html>", {}, 404), ({"error": "no such page"}, {}, 400)],
)
def test_a_short_first_page_may_be_all_there_is(server, paged, fetch_api, beyond):
    url = paged(lambda query: (rows(0, 2), {}) if query["page"] == "1" else beyond)
    fetched = fetch_api(url, pagination=Pagination(kind=PAGE, param="page", start=1, size=3))
    assert read(fetched) == [0, 1]
    assert queries(server) == ["page=1", "page=2"]
    assert fetched.description.startswith(f"1 page from {url}")


@pytest.mark.parametrize(
    ("beyond", "words"),
    [
        ((b"<html>", {}), "answers a web page"),
        (
            ({"error": "rate limited"}, {}),
            r'page 2 of .* has no array of records: it holds an object: {"error": "rate',
        ),
        ((b"slow down", {}, 429), "HTTP 429 .*: slow down"),
        ((b"", {}, 503), "HTTP 503"),
        ((b"", {}, 403), "HTTP 403"),
        ((rows(0, 200), {}), r"more than the 1\.0 kB that `max_bytes` allows"),
        ((b"", {"Location": "http://localhost:1/"}, 302), "localhost is no host that sources may be fetched from"),
    ],
)
def test_a_short_first_page_is_not_taken_for_all_where_nobody_can_tell(paged, fetch_api, beyond, words):
    url = paged(lambda query: (rows(0, 2), {}) if query["page"] == "1" else beyond)
    with pytest.raises(FetchError, match=words) as caught:
        fetch_api(
            url,
            pagination=Pagination(kind=PAGE, param="page", start=1, size=3),
            max_bytes=1000,
            bounds=RunBounds(allowed_hosts=("127.0.0.1",)),
        )
    assert "This is what is behind a short page: an API says by an empty page" in caught.value.hint


@pytest.mark.parametrize("size", [None, 2])
def test_a_page_that_there_is_not_ends_the_pages_where_the_api_says_so(server, paged, fetch_api, size):
    def answer(status, kind):
        known = {"1": (rows(0, 2), {}), "2": (rows(2, 4), {})}
        beyond = ({"detail": "Invalid page."}, {"Content-Type": kind}, status)
        return paged(lambda query: known.get(query["page"], beyond))

    pagination = Pagination(kind=PAGE, param="page", start=1, size=size)
    assert read(fetch_api(answer(404, "application/problem+json"), pagination=pagination)) == [0, 1, 2, 3]
    # What stands in front of an API answers so too; and 400 is also said of pages that are too far away.
    for status, kind in ((404, "text/html"), (400, "application/json"), (410, "application/json")):
        with pytest.raises(FetchError, match=f"HTTP {status} "):
            fetch_api(answer(status, kind), pagination=pagination)


def test_a_first_page_that_there_is_not_is_a_fault(paged, fetch_api):
    url = paged(lambda query: ({"detail": "Not found."}, {"Content-Type": "application/json"}, 404))
    with pytest.raises(FetchError, match="HTTP 404 "):
        fetch_api(url, pagination=Pagination(kind=PAGE, param="page", start=1))


PAGINATIONS = [
    Pagination(kind=PAGE, param="p", start=1),
    Pagination(kind=PAGE, param="p", start=1, size=1),
    Pagination(kind=OFFSET, param="p", start=1, size=1),
    Pagination(kind=CURSOR, param="p", cursor_path="next"),
]


def second_page(answer):
    """Two pages of one record each, and between them the answer given."""

    def pages_of(query):
        number = int(query.get("p", 1))
        return answer if number == 2 else ({"items": rows(number, number + 1), "next": number + 1}, {})

    return pages_of


@pytest.mark.parametrize("pagination", PAGINATIONS)
@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"error": "rate limited"}, '`records_path: items` finds nothing: {"error": "rate limited"}'),
        ({"items": "none"}, '`records_path: items` finds a text: {"items": "none"}'),
        ("err", '`records_path: items` finds nothing: "err"'),
        (None, "`records_path: items` finds nothing: null"),
    ],
)
def test_a_later_page_without_what_holds_its_records_fails(server, paged, fetch_api, pagination, document, found):
    url = paged(second_page((document, {})))
    with pytest.raises(FetchError) as caught:
        fetch_api(url, records_path="items", pagination=pagination)
    assert caught.value.message == f"page 2 of {url} has no array of records: {found}"
    assert 'write `records_path: "items || `[]`"`' in caught.value.hint


@pytest.mark.parametrize("pagination", PAGINATIONS)
@pytest.mark.parametrize(
    "answer", [({"items": []}, {}), ({"items": None}, {}), (b"", {}), (b" \n", {}), (b"", {}, 204)]
)
def test_an_empty_page_ends_the_pages(server, paged, fetch_api, pagination, answer):
    fetched = fetch_api(paged(second_page(answer)), records_path="items", pagination=pagination)
    assert read(fetched) == [1]
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("records_path", "document", "status"),
    [
        ("items", {"items": None}, 200),
        ("data.items[*].order", {"data": {"items": None}}, 200),
        (None, None, 200),
        ("items", b"", 204),
    ],
)
def test_an_empty_first_page_is_an_empty_result(server, paged, fetch_api, records_path, document, status):
    url = paged(lambda query: (document, {}, status))
    fetched = fetch_api(url, records_path=records_path, pagination=PAGINATIONS[1])
    assert (read(fetched), fetched.bytes, len(server.seen)) == ([], 0, 1)


@pytest.mark.parametrize("records_path", ["items", "data.items"])
def test_a_first_page_without_what_holds_its_records_fails(paged, fetch_api, records_path):
    url = paged(lambda query: ({"data": None}, {}))
    with pytest.raises(FetchError, match=r"page 1 of .* has no array of records"):
        fetch_api(url, records_path=records_path, pagination=PAGINATIONS[0])


def test_the_other_expression_that_a_hint_names_ends_the_pages(paged, fetch_api):
    url = paged(second_page(({"page": 2}, {})))
    fetched = fetch_api(url, records_path="items || `[]`", pagination=PAGINATIONS[0])
    assert read(fetched) == [1]


def test_offsets_count_what_was_given(server, paged, fetch_api):
    url = paged(lambda query: (rows(int(query["skip"]), min(int(query["skip"]) + 3, 7)), {}))
    fetched = fetch_api(url, pagination=Pagination(kind=OFFSET, param="skip", size=2))
    assert read(fetched) == list(range(7))


def test_pages_without_a_size_end_with_an_empty_one(server, paged, fetch_api):
    url = paged(lambda query: (rows(0, 2) if query["p"] == "0" else b"", {}))
    assert read(fetch_api(url, pagination=Pagination(kind=PAGE, param="p"))) == [0, 1]
    assert queries(server) == ["p=0", "p=1"]


def test_offsets_go_on_by_the_size(server, paged, fetch_api):
    url = paged(lambda query: (rows(int(query["skip"]), min(int(query["skip"]) + 2, 4)), {}))
    fetched = fetch_api(url, pagination=Pagination(kind=OFFSET, param="skip", size=2))
    assert read(fetched) == [0, 1, 2, 3]
    assert queries(server) == ["skip=0", "skip=2", "skip=4"]


def test_a_cursor_may_be_of_the_last_record(paged, fetch_api):
    """As APIs have it that are asked for what is behind an id."""
    url = paged(lambda query: (rows(int(query["after"]) + 1, min(int(query["after"]) + 3, 5)), {}))
    fetched = fetch_api(
        url,
        params=(("after", "-1"),),
        pagination=Pagination(kind=CURSOR, param="after", cursor_path="[-1:].n | [0]"),
    )
    assert read(fetched) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("last", [None, "", False])
def test_cursors_are_followed_until_there_is_none(server, paged, fetch_api, last):
    cursors = {"start": "a/b c", "a/b c": 17, "17": last}
    url = paged(lambda query: ({"rows": rows(0, 1), "meta": {"next": cursors[query["after"]]}}, {}))
    fetched = fetch_api(
        url,
        records_path="rows",
        params=(("after", "start"), ("x", "1")),
        pagination=Pagination(kind=CURSOR, param="after", cursor_path="meta.next"),
    )
    assert read(fetched) == [0, 0, 0]
    assert queries(server) == ["after=start&x=1", "x=1&after=a%2Fb+c", "x=1&after=17"]


@pytest.mark.parametrize(
    "link",
    [
        '<{}>; rel="next"',
        '</first>; rel="prev", <{}>; title="a, b; c"; rel="last NEXT"',
        "<{}>;rel=next",
        '</x>; title="; rel=next"; rel=self, <{}>; rel=next',
        r'<{}>; title="page \"2\", the next"; rel="next"',
        "<{}>; rel='next'",
    ],
)
def test_links_are_followed(server, paged, fetch_api, link):
    url = paged(
        lambda query: (
            rows(0, 1),
            {"Link": '</>; rel="prev"' if "p" in query else link.format("/rows?p=2&sig=a,b;c")},
        )
    )
    fetched = fetch_api(url, params=(("q", "1"),), auth=TOKEN, pagination=Pagination(kind=LINK))
    assert read(fetched) == [0, 0]
    assert queries(server) == ["q=1", "p=2&sig=a,b;c"]
    assert server.seen[1][2]["authorization"] == "Bearer t-12345"


@pytest.mark.parametrize(
    ("link", "told"), [("", "is missing"), ('</>; rel="first"', "names no page with rel=next")]
)
def test_a_full_first_page_without_a_link_is_told_of(paged, fetch_api, link, told):
    url = paged(lambda query: (rows(0, 2), {"Link": link} if link else {}))
    notes = [fetch_api(url, pagination=Pagination(kind=LINK, size=size)).note for size in (2, 3, None)]
    words = "it has 2 records, as many as `pagination.size` says, and its header Link"
    assert notes == [f"only the first page was read, and rows may be missing: {words} {told}", "", ""]


def test_a_full_last_page_is_nothing_to_be_told_of(paged, fetch_api):
    url = paged(lambda query: (rows(0, 2), {} if "p" in query else {"Link": "<?p=2>; rel=next"}))
    assert fetch_api(url, pagination=Pagination(kind=LINK, size=2)).note == ""


@pytest.mark.parametrize("link", ['/rows?p=2; rel="next"', '</rows?p=2>; rel="next', '</rows?p=2> rel="next"'])
def test_a_link_that_cannot_be_read_ends_no_pages(paged, fetch_api, link):
    url = paged(lambda query: (rows(0, 1), {"Link": f"</>; rel=first, {link}"}))
    with pytest.raises(FetchError, match="the header Link names a next page, but not as such a header does"):
        fetch_api(url, pagination=Pagination(kind=LINK))
    assert read(fetch_api(url, pagination=Pagination(kind=PAGE, param="p", start=1, size=2))) == [0]


def test_a_link_to_another_host_gets_no_credentials(server, make_server, paged, fetch_api):
    other = make_server()
    other.answer("/more", b'[{"n": 1}]', Link=f'<{server.url("/last")}>; rel="next"')
    server.answer("/last", b'[{"n": 2}]')
    url = paged(
        lambda query: (rows(0, 1), {"Link": f"<{other.url('/more')}>; rel=next", "Set-Cookie": "s=c-12345"})
    )
    settings = {"auth": TOKEN, "headers": (("X-Key", "k-12345"),), "pagination": Pagination(kind=LINK)}
    assert read(fetch_api(url, **settings)) == [0, 1, 2]
    for asked in (other.seen[0], server.seen[-1]):
        assert not {"authorization", "x-key", "cookie"} & {name.lower() for name in asked[2]}


@pytest.mark.parametrize(
    ("more", "told"), [({"method": "POST", "body": '{"query": "{ rows }"}'}, True), ({}, False)]
)
def test_a_cursor_that_an_api_looks_for_in_the_body_is_told_to_be_in_the_address(paged, fetch_api, more, told):
    url = paged(lambda query: ({"rows": rows(0, 1), "next": 5}, {}))
    pagination = Pagination(kind=CURSOR, param="p", cursor_path="next")
    with pytest.raises(FetchError, match="comes a second time") as caught:
        fetch_api(url, records_path="rows", pagination=pagination, **more)
    assert ("`p` is sent in the address, not in `body`" in caught.value.hint) is told


def test_a_link_to_a_host_that_the_policy_does_not_allow(server, paged, fetch_api):
    url = paged(lambda query: (rows(0, 1), {"Link": f"<{server.url('/x', host='localhost')}>; rel=next"}))
    with pytest.raises(FetchError, match="localhost is no host that sources may be fetched from"):
        fetch_api(url, pagination=Pagination(kind=LINK), bounds=RunBounds(allowed_hosts=("127.0.0.1",)))


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        (PAGE, lambda query: ([dict(query)], {}), "more than the 2 pages that `pagination.max_pages` allows"),
        (CURSOR, lambda query: ({"rows": [], "next": query.get("p", "") + "x"}, {}), "more than the 2 pages"),
        (CURSOR, lambda query: ({"rows": rows(0, 1), "next": 5}, {}), "cursor for `p` comes a second time"),
        (LINK, lambda query: (rows(0, 1), {"Link": "</rows?p=1>; rel=next"}), "header Link comes a second time"),
        (LINK, lambda query: (rows(0, 1), {"Link": "<?>; rel=next"}), "header Link comes a second time"),
        (CURSOR, lambda query: ({"rows": rows(0, 1), "next": [5]}, {}), "`pagination.cursor_path: next` finds an array"),
        (PAGE, lambda query: ({"data": [], "rows": []}, {}), "no array of records: it holds an object"),
        (PAGE, lambda query: (b'{"a": 1', {}), "cannot be read as JSON: Input data was truncated"),
        (PAGE, lambda query: (b'[{"a": NaN}]', {}), "cannot be read as JSON: JSON is malformed"),
        (PAGE, lambda query: (b'[{"a": "\\ud83d"}]', {}), "has a half of a surrogate pair, which is no character"),
        (PAGE, lambda query: (b'["\xff"]', {}), "no UTF-8 text"),
        (PAGE, lambda query: (b"[" * 100_000, {}), "nested too deep"),
        (PAGE, lambda query: (b"", {}), "has an empty body"),
        (PAGE, lambda query: (b"<html>Log in</html>", {}), "answers a web page"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("no_collection")
def test_pages_that_are_none(server, paged, fetch_api, kind, answer, words):
    pagination = Pagination(kind=kind, param="p", cursor_path="next", max_pages=2)
    with pytest.raises(FetchError, match=words):
        fetch_api(paged(answer), records_path="rows" if kind is CURSOR else None, pagination=pagination)
    assert len(server.seen) <= 3


@pytest.mark.parametrize(
    ("method", "cursor", "remedy"),
    [
        ("GET", "x1", "Set `pagination.param` to what the API calls it."),
        ("GET", "https://api.example.com/rows?after=5", "is an address, and no cursor: write `type: next_link`"),
        ("POST", "/services/data/query/01g-2000", "is an address, and no cursor"),
        ("POST", "x1", "such as `variables.p`"),
    ],
)
def test_a_cursor_that_is_ignored_is_told_as_that(paged, fetch_api, method, cursor, remedy):
    url = paged(lambda query: ({"rows": rows(0, 2), "next": cursor}, {}))
    pagination = Pagination(kind=CURSOR, param="p", cursor_path="next")
    with pytest.raises(FetchError, match="the cursor for `p` comes a second time") as fault:
        fetch_api(url, method=method, records_path="rows", pagination=pagination)
    assert "the parameter `p` seems to be ignored" in fault.value.hint
    assert remedy in fault.value.hint


def test_a_cursor_that_comes_again_with_another_page_is_no_ignored_one(paged, fetch_api):
    url = paged(lambda query: ({"rows": rows(0, 2) if query else rows(2, 4), "next": "x1"}, {}))
    pagination = Pagination(kind=CURSOR, param="p", cursor_path="next")
    with pytest.raises(FetchError, match="the cursor for `p` comes a second time") as fault:
        fetch_api(url, records_path="rows", pagination=pagination)
    assert fault.value.hint == "The API must say nothing more after its last page; check `pagination`."


def test_exactly_max_pages_are_taken(server, paged, fetch_api):
    url = paged(lambda query: (rows(int(query["p"]), 2)[:1], {}))
    assert read(fetch_api(url, pagination=Pagination(kind=PAGE, param="p", max_pages=2))) == [0, 1]


@pytest.mark.parametrize(
    ("pagination", "asked"),
    [
        (Pagination(kind=PAGE, param="page", start=1), "page=1 page=2"),
        (Pagination(kind=PAGE, param="page", start=1, size=2, size_param="s"), "s=2&page=1 s=2&page=2"),
        (Pagination(kind=OFFSET, param="from", size=2), "from=0 from=2"),
    ],
)
def test_a_server_that_ignores_the_parameter_is_found_out(server, paged, fetch_api, pagination, asked):
    url = paged(lambda query: ({"items": rows(0, 2)}, {}))
    with pytest.raises(FetchError) as caught:
        fetch_api(url, records_path="items", pagination=pagination)
    assert caught.value.message.endswith(
        f"/rows is, byte for byte, the page before it: the parameter `{pagination.param}` seems to be ignored"
    )
    assert caught.value.message.startswith("page 2 of ")
    assert "`pagination.param`" in caught.value.hint
    assert " ".join(queries(server)) == asked


def test_a_page_may_have_the_records_of_the_page_before_it(paged, fetch_api):
    url = paged(lambda query: ({"page": query["p"], "items": [{"n": 0}] * (int(query["p"]) < 2)}, {}))
    assert read(fetch_api(url, records_path="items", pagination=Pagination(kind=PAGE, param="p"))) == [0, 0]


def test_pages_of_one_kind_of_record_may_be_equal(paged, fetch_api):
    given = [{"n": 1}] * 250
    url = paged(lambda query: (given[int(query["skip"]) :][:100], {}))
    assert read(fetch_api(url, pagination=Pagination(kind=OFFSET, param="skip", size=100))) == [1] * 250


def test_numbers_keep_every_digit_and_functions_their_meaning(paged, fetch_api):
    records = (
        b'{"a":12345678901234567890123,"b":0.1234567890123456789012,"c":1.10,"d":1E-7,"e":1e999,"f":-0.0}',
        b'{"a":2,"b":0.5,"c":1.1,"d":"\\n\xc3\xa4"}',
    )
    url = paged(lambda query: (b'\xef\xbb\xbf{"rows": [\n' + b",\n".join(records) + b"]}", {}))
    fetched = fetch_api(url, records_path="sort_by(rows[?c == `1.1`], &b)", pagination=Pagination(kind=LINK))
    assert fetched.paths[0].read_bytes() == records[0] + b"\n" + records[1].replace(b"\\n", b"\\n") + b"\n"


DOUBLED = "items" + "|[@,@][]" * 40
NESTED = "items" + "|[@,@]" * 60
QUOTED = "items" + "|to_string([@])" * 30


@pytest.mark.parametrize(
    "path", [DOUBLED, NESTED, QUOTED, f"items[?length({DOUBLED}) > `1`]", f"map(&@{'|[@,@][]' * 40}, items)"]
)
def test_an_expression_does_not_fill_the_memory_of_the_service(paged, fetch_api, path):
    url = paged(lambda query: ({"items": [{"n": 1}], "next": None}, {}))
    pagination = Pagination(kind=CURSOR, param="after", cursor_path="next")
    with pytest.raises(
        FetchError, match=r"`records_path: .*` may make more than 536.9 MB of an answer of \d+ bytes"
    ):
        fetch_api(url, records_path=path, pagination=pagination)
    pagination = replace(pagination, cursor_path=path)
    with pytest.raises(FetchError, match=r"`pagination.cursor_path: .*` may make more than"):
        fetch_api(url, records_path="items", pagination=pagination)


# Each names a part of the answer once; what it makes of that is large all the same.
@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "items"),
    [
        ("[join(items[0], items[1])]", ["x" * (4 << 20), [""] * 100]),
        (f"items[].{{{'k' * 400}: @}}", [1] * (2 << 20)),
    ],
)
def test_what_an_expression_makes_of_small_records_does_not_fill_the_memory(paged, fetch_api, path, items):
    url = paged(lambda query: ({"items": items, "next": None}, {}))
    pagination = Pagination(kind=CURSOR, param="after", cursor_path="next")
    with pytest.raises(FetchError, match=r"`records_path: .*` makes more than 536.9 MB of an answer of \d"):
        fetch_api(url, records_path=path, pagination=pagination, timeout_seconds=60.0)


@pytest.mark.long
def test_an_expression_that_takes_long_ends_with_the_time_of_the_fetch(paged, fetch_api):
    url = paged(lambda query: ({"items": [1] * (1 << 20), "next": None}, {}))
    pagination = Pagination(kind=CURSOR, param="after", cursor_path="next")
    path = f"items[?{' && '.join(['@'] * 90)} && `false`]"
    with pytest.raises(FetchError, match="within 2 s"):
        fetch_api(url, records_path=path, pagination=pagination, timeout_seconds=2.0)
    left = [thread for thread in threading.enumerate() if thread.name == "fetch"]
    for thread in left:
        thread.join(5.0)
    assert not any(thread.is_alive() for thread in left)


@pytest.mark.parametrize(
    ("path", "records"),
    [
        ("items[?state == 'a text of some length'] | [].{n: n, m: n}", [{"n": 1, "m": 1}]),
        ("items[?contains(state, 'text')] | sort_by(@, &n)[*].[n, state] | [*].{n: [0]}", [{"n": 1}]),
        (
            "map(&merge(@, {m: to_string(n)}), items || `[]`)",
            [{"n": 1, "state": "a text of some length", "m": "1"}],
        ),
    ],
)
def test_an_expression_may_do_much_with_a_large_page(paged, fetch_api, path, records):
    answer = {"items": [{"n": 1, "state": "a text of some length"}], "more": "x" * (15 << 20), "next": None}
    url = paged(lambda query: (answer, {}))
    pagination = Pagination(kind=CURSOR, param="after", cursor_path="next")
    fetched = fetch_api(url, records_path=path, pagination=pagination)
    assert [json.loads(line) for line in fetched.paths[0].read_text().splitlines()] == records


def test_max_bytes_counts_all_pages(server, paged, fetch_api):
    url = paged(lambda query: (rows(int(query["p"]), 50) + rows(0, int(query["p"])), {}))
    size = len(json.dumps(rows(0, 50)))
    with pytest.raises(
        FetchError, match=r"goes on, with the 1\.1 kB of the pages before it, more than the 1\.4 kB"
    ):
        fetch_api(url, max_bytes=int(size * 2.5), pagination=Pagination(kind=PAGE, param="p"))
    assert len(server.seen) == 3


def test_a_page_has_a_size_that_it_may_have(paged, fetch_api, monkeypatch):
    monkeypatch.setattr(page_reader, "PAGE_BYTES", 1000)
    with pytest.raises(FetchError, match=r"is larger than the 1\.0 kB that one page may have") as caught:
        fetch_api(paged(lambda query: (rows(0, 500), {})), pagination=Pagination(kind=PAGE, param="p"))
    assert "size_param" in caught.value.hint


def test_a_page_that_fails_is_asked_for_again_by_itself(server, paged, fetch_api):
    fails = iter([False, True, False, False])

    def answer(query):
        return b"" if (broken := next(fails)) else rows(0, int(query["p"]) % 2), (
            {"Content-Length": "99"} if broken else {}
        )

    url = paged(answer)
    fetched = fetch_api(url, retries=1, pagination=Pagination(kind=PAGE, param="p", start=1))
    assert (read(fetched), queries(server)) == ([0], ["p=1", "p=2", "p=2"])


def test_pages_without_end_are_told_at_the_deadline(server, paged, fetch_api):
    def answer(query):
        if query.get("p") == "3":
            server.ending.wait(5)
        return {"rows": rows(0, 1), "next": int(query.get("p", "0")) + 1}, {}

    with pytest.raises(FetchError, match=r"was not fetched in 0.4 s, in which 3 pages came before$") as caught:
        fetch_api(
            paged(answer),
            pagination=Pagination(kind=CURSOR, param="p", cursor_path="next"),
            records_path="rows",
            timeout_seconds=0.4,
        )
    assert "silent" not in caught.value.hint


def test_closed_connections_are_let_go(server, paged, fetch_api):
    opened = []

    def answer(query):
        opened.append(len(list(Path("/proc/self/fd").iterdir())))
        return rows(int(query["p"]), 40)[:1], {}

    fetch_api(paged(answer), pagination=Pagination(kind=PAGE, param="p"))
    assert max(opened) < opened[0] + 20


def test_a_large_body_takes_no_memory(server, fetch_api):
    chunk, count = b"x" * (1 << 20), 64

    def route(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(count):
            handler.wfile.write(chunk)

    server.routes["/"] = route
    tracemalloc.start()
    try:
        assert fetch_api(server.url(), file_type=FileType.CSV, timeout_seconds=60).bytes == count * len(chunk)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def closing_route(*, pages, reset):
    """Pages of one record, on connections that are kept for one answer and end with the next request, before a byte
    of its answer, as where a server's patience ends just then; with `reset` roughly."""

    def route(handler):
        if getattr(handler, "has_answered", False):
            if reset:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            return
        number = int(parse_qs(urlsplit(handler.path).query)["page"][0])
        handler.has_answered, handler.close_connection, handler.protocol_version = True, False, "HTTP/1.1"
        handler.answer(rows(number, number + 1) if number <= pages else [])

    return route


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("method", "retries"), [("GET", 0), ("GET", 3), ("POST", 0), ("POST", 3)])
def test_a_kept_connection_that_ends_between_pages_costs_no_page(
    server, fetch_api, caplog, method, retries, reset
):
    pagination = Pagination(kind=PAGE, param="page", size=1, start=1)
    server.routes["/rows"] = closing_route(pages=3, reset=reset)
    fetched = fetch_api(server.url("/rows"), pagination=pagination, method=method, retries=retries)
    assert read(fetched) == [1, 2, 3]
    # Each page but the first was asked for twice; of a POST nobody knows what the first time has done.
    assert len(server.seen) == (7 if method == "GET" else 4)
    assert not caplog.records


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_new_connection_that_ends_is_told(server, fetch_api, method):
    server.routes["/rows"] = lambda handler: None
    with pytest.raises(FetchError, match="broke off"):
        fetch_api(server.url("/rows"), pagination=Pagination(kind=PAGE, param="page"), method=method)
    assert len(server.seen) == 1


def test_kept_connections_that_end_are_opened_anew_under_tls(make_server, tls_context, ca_file, fetch_api):
    server = make_server(tls_context)
    server.routes["/rows"] = closing_route(pages=3, reset=False)
    fetched = fetch_api(
        server.url("/rows", scheme="https"),
        pagination=Pagination(kind=PAGE, param="page", size=1, start=1),
        environ={"SSL_CERT_FILE": str(ca_file)},
    )
    assert read(fetched) == [1, 2, 3]


def test_pages_in_the_character_set_that_their_server_names(paged, fetch_api):
    def answer(query):
        text = '[{"n": "é"}]' if query["page"] == "1" else "[]"
        return text.encode("latin-1"), {"Content-Type": "application/json; charset=ISO-8859-1"}

    assert read(fetch_api(paged(answer), pagination=Pagination(kind=PAGE, param="page", start=1))) == ["é"]
