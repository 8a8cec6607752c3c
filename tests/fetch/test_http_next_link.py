"""Pages whose address stands in the body of the answer before: pagination of type next_link."""

import json
from contextlib import nullcontext
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.job_policy import RunBounds
from runner.core.source import Auth, AuthType, Pagination, PaginationKind
from runner.errors import FetchError

TOKEN = Auth(type=AuthType.BEARER, token="t-12345")
NEXT = Pagination(kind=PaginationKind.NEXT_LINK, link_path="next")
PATHS = {"records_path": "rows", "pagination": NEXT}


@pytest.fixture
def serve(server):
    """Serve documents by their paths with the query; its address."""

    def serve(documents, status=200):
        def route(handler):
            known = handler.path in documents
            handler.answer(documents.get(handler.path, {"detail": "none"}), status=status if known else 404)

        server.routes.update({urlsplit(path).path: route for path in (*documents, "/a/eyJpZCI6NX0")})

    return serve


def page(number, **more):
    return {"rows": [{"n": number}], **more}


def read(fetched):
    return [json.loads(line)["n"] for line in fetched.paths[0].read_text().splitlines()]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("next", lambda link: {"next": link}),
        ('"@odata.nextLink"', lambda link: {"@odata.nextLink": link}),
        (
            "_links.next && join('', [_links.base, _links.next])",
            lambda link: {"_links": {"base": "", "next": link}},
        ),
        (
            "links[?rel == 'next'].href | [0]",
            lambda link: {"links": [{"rel": "next", "href": link}] if link else []},
        ),
    ],
)
@pytest.mark.parametrize(
    "link",
    ["{}/a/rows?page=2&sig=a,b;c", "/a/rows?page=2&sig=a,b;c", " ?page=2&sig=a,b;c ", "rows?page=2&sig=a,b;c#top"],
)
def test_the_address_in_a_body_is_followed(server, serve, fetch_api, path, named, link):
    first, second = page(1) | named(link.format(server.url(""))), page(2) | named(None)
    serve({"/a/rows?q=1": first, "/a/rows?page=2&sig=a,b;c": second})
    pagination = Pagination(kind=PaginationKind.NEXT_LINK, link_path=path)
    fetched = fetch_api(
        server.url("/a/rows"), params=(("q", "1"),), auth=TOKEN, records_path="rows", pagination=pagination
    )
    assert read(fetched) == [1, 2]
    assert [asked[2]["authorization"] for asked in server.seen] == ["Bearer t-12345"] * 2


@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}, {"next": "  "}, {"next": False}])
def test_a_page_without_an_address_is_the_last(server, serve, fetch_api, end):
    serve({"/a": page(1, next="/b"), "/b": page(2, **end)})
    assert read(fetch_api(server.url("/a"), **PATHS)) == [1, 2]


def test_a_page_beside_this_one_may_be_named_without_its_folder(server, serve, fetch_api):
    serve({"/a/1.json": page(1, next="2.json"), "/a/2.json": page(2)})
    assert read(fetch_api(server.url("/a/1.json"), **PATHS)) == [1, 2]


def test_a_post_is_sent_to_the_address_again(server, serve, fetch_api):
    serve({"/a": page(1, next="/b"), "/b": page(2)})
    assert read(fetch_api(server.url("/a"), method="POST", body='{"q": 1}', **PATHS)) == [1, 2]
    assert [(method, body) for method, _, _, body in server.seen] == [("POST", b'{"q": 1}')] * 2


def test_an_address_of_another_host_gets_no_credentials(server, make_server, serve, fetch_api):
    other = make_server()
    other.answer("/more", json.dumps(page(2, next=server.url("/last"))).encode())
    serve({"/a": page(1, next=other.url("/more")), "/last": page(3)})
    fetched = fetch_api(server.url("/a"), auth=TOKEN, headers=(("X-Key", "k-12345"),), **PATHS)
    assert read(fetched) == [1, 2, 3]
    for asked in (other.seen[0], server.seen[-1]):
        assert not {"authorization", "x-key"} & {name.lower() for name in asked[2]}


@pytest.mark.parametrize(
    ("bounds", "link", "words"),
    [
        (RunBounds(allowed_hosts=("127.0.0.1",)), "http://localhost:1/x", "localhost is no host that sources may be"),
        (RunBounds(private_hosts=("127.0.0.1",)), "http://10.0.0.1/x", "10.0.0.1"),
        (RunBounds(private_hosts=("127.0.0.1",)), "//169.254.169.254/latest", "169.254.169.254"),
    ],
)  # fmt: skip
def test_an_address_that_may_not_be_asked_is_refused(server, serve, fetch_api, bounds, link, words):
    serve({"/a": page(1, next=link)})
    with pytest.raises(FetchError, match=words):
        fetch_api(server.url("/a"), bounds=bounds, **PATHS)


def test_bounds_hold_for_all_pages(server, serve, fetch_api):
    serve({f"/a?p={number}": page(number, next=f"?p={number + 1}") for number in range(20)})
    for more, words in (
        ({"pagination": Pagination(kind=NEXT.kind, link_path="next", max_pages=2)}, "more than the 2 pages"),
        ({"max_bytes": 100}, "more than the 100 bytes that `max_bytes` allows"),
    ):
        with pytest.raises(FetchError, match=words):
            fetch_api(server.url("/a?p=0"), **(PATHS | more))


@pytest.mark.parametrize("link", ["/a?p=1", "/a", "?p=1"])
def test_addresses_that_go_in_a_circle_are_told(server, serve, fetch_api, link):
    serve({"/a": page(1, next="/a?p=1"), "/a?p=1": page(2, next=link)})
    with pytest.raises(FetchError, match=r"`pagination\.link_path: next` finds comes a second time") as caught:
        fetch_api(server.url("/a"), **PATHS)
    assert "check `pagination`" in caught.value.hint


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (5, "`pagination.link_path: next` finds a number, no address"),
        (1.5, "finds a number, no address"),
        (True, "finds a boolean, no address"),
        (["/b"], "finds an array, no address"),
        ({"href": "/b"}, "finds an object, no address"),
        ("urn:page:2", "the link to the next page, .* is no http or https address"),
        ("http://[", "names a next page and leads to what is no address"),
        ("/b\\c", "the link to the next page holds a backslash"),
        ("eyJpZCI6NX0", "HTTP 404"),
    ],
)
def test_what_is_no_address_is_told_with_what_to_write(server, serve, fetch_api, found, words):
    serve({"/a/rows": page(1, next=found)})
    with pytest.raises(FetchError, match=words) as caught:
        fetch_api(server.url("/a/rows"), **PATHS)
    assert "For a cursor write `type: cursor`, with `param` and `cursor_path`." in caught.value.hint


def test_a_page_that_fails_is_not_said_to_have_no_address(server, serve, fetch_api):
    serve({"/a": page(1, next="/b"), "/b": page(2, next="/gone?p=3")})
    server.answer("/gone", b'{"detail": "none"}', status=404)
    with pytest.raises(FetchError, match="HTTP 404") as caught:
        fetch_api(server.url("/a"), **PATHS)
    assert "cursor" not in caught.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_whatever_a_path_finds_ends_the_pages_or_is_told(server, serve, fetch_api, found):
    serve({"/a/rows": page(1, next=found)})
    server.routes.setdefault("/", server.routes["/a/rows"])
    bounds = RunBounds(allowed_hosts=("127.0.0.1",))
    is_end = found is None or found is False or (isinstance(found, str) and not found.strip())
    with nullcontext() if is_end else pytest.raises(FetchError) as caught:
        assert read(fetch_api(server.url("/a/rows"), bounds=bounds, **PATHS)) == [1]
    assert is_end or "fault of the runner" not in caught.value.hint
