from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from runner.core.bookmark import Validator
from runner.core.source import Auth, AuthType, FileType, OnUnchanged, Pagination, PaginationKind

ROWS = b'[{"a": 1}]'
MODIFIED = "Sun, 09 Nov 2025 13:00:00 GMT"
SKIP = {"on_unchanged": OnUnchanged.SKIP}


@pytest.fixture
def changing(server):
    """Serve `/` with a validator, and 304 where it is asked with that."""

    def route(handler):
        known = handler.headers.get("If-None-Match") == '"v1"'
        handler.send_response(304 if known else 200)
        handler.send_header("ETag", '"v1"')
        handler.send_header("Last-Modified", MODIFIED)
        handler.end_headers()
        handler.wfile.write(b"" if known else ROWS)

    server.routes["/"] = server.routes["/old"] = route
    return server


def test_an_api_is_asked_whether_anything_has_changed(changing, fetch_api, make_context):
    settings = {
        **SKIP,
        "params": (("key", "${env:KEY}"),),
        "auth": Auth(type=AuthType.HEADER, header="X-Api-Key", token="${env:KEY}"),
    }
    first = fetch_api(changing.url(), environ={"KEY": "k-12345"}, **settings)
    assert first.validator == Validator(
        source="data", request=first.validator.request, etag='"v1"', last_modified=MODIFIED
    )
    assert changing.seen[0][2]["x-api-key"] == "k-12345"
    assert not {"if-none-match", "if-modified-since"} & {name.lower() for name in changing.seen[0][2]}
    first.paths[0].unlink()
    second = fetch_api(changing.url(), environ={"KEY": "k-67890"}, validator=first.validator, **settings)
    assert (second.unchanged, second.paths, second.bytes) == (True, (), 0)
    assert second.validator == first.validator
    assert changing.seen[1][2]["if-modified-since"] == MODIFIED
    assert second.description == f"HTTP 304 from {changing.url()}: nothing has changed"
    assert not list(make_context().run_dir.iterdir())


@pytest.mark.parametrize(
    "changes",
    [{"params": (("day", "2"),)}, {"headers": (("Accept", "text/csv"), ("X-A", "1"))}, {"location": "/old"}],
)
def test_the_answer_to_another_question_says_nothing(changing, fetch_api, changes):
    known = fetch_api(changing.url(), params=(("day", "1"),), **SKIP).validator
    settings = {"params": (("day", "1"),), **SKIP, **changes}
    fetched = fetch_api(changing.url(settings.pop("location", "/")), validator=known, **settings)
    assert not fetched.unchanged
    assert fetched.validator.request != known.request
    assert "if-none-match" not in {name.lower() for name in changing.seen[1][2]}


@pytest.mark.parametrize(
    ("before", "after", "unchanged"),
    [
        ("/?key=k-12345", "/?key=k-67890", True),
        ("/?day=1", "/?day=2", False),
        ("/", "/old", False),
        ("/", None, False),
    ],
)
def test_an_address_that_is_a_secret_tells_one_api_from_another(
    changing, make_server, fetch_api, before, after, unchanged
):
    other = make_server()
    other.routes.update(changing.routes)
    after = other.url() if after is None else changing.url(after)
    known = fetch_api("${env:AT}", environ={"AT": changing.url(before)}, **SKIP).validator
    assert fetch_api("${env:AT}", environ={"AT": after}, validator=known, **SKIP).unchanged is unchanged


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {**SKIP, "method": "POST"},
        {**SKIP, "headers": (("If-None-Match", '"v0"'),)},
        {**SKIP, "pagination": Pagination(kind=PaginationKind.LINK_HEADER)},
    ],
)
def test_no_validator_is_kept_where_it_is_of_no_use(changing, fetch_api, settings):
    fetched = fetch_api(changing.url(), **settings)
    assert fetched.validator is None
    assert fetched.bytes


@pytest.mark.parametrize(
    "headers", [{}, {"ETag": "x" * 1025}, {"ETag": '"\xe9"'}, {"ETag": '"v1"', "status": 203}]
)
def test_no_validator_without_a_good_one(server, fetch_api, headers):
    server.answer("/", ROWS, **headers)
    assert fetch_api(server.url(), file_type=FileType.NDJSON, **SKIP).validator is None


@pytest.mark.parametrize(
    ("modified", "kept"),
    [
        (timedelta(seconds=-1), True),
        (timedelta(0), False),
        (timedelta(hours=1), False),
        ("yesterday", False),
        ("Sun, 09 Nov 2025 12:00:00 +99999999999999", False),
    ],
)
@pytest.mark.parametrize("etag", ["", '"v1"'])
def test_a_time_in_which_there_may_be_another_change_is_no_validator(server, fetch_api, modified, kept, etag):
    answered = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
    text = modified if isinstance(modified, str) else format_datetime(answered + modified, usegmt=True)

    def route(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
        for name, value in {
            "Date": format_datetime(answered, usegmt=True),
            "Last-Modified": text,
            "ETag": etag,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(ROWS)

    server.routes["/"] = route
    known = fetch_api(server.url(), **SKIP).validator
    found = (known.etag, known.last_modified) if known else ("", "")
    assert found == (etag, text if kept else "")


def test_a_redirect_to_another_host_is_asked_too(changing, make_server, fetch_api):
    front = make_server()
    front.answer("/", status=302, Location=changing.url())
    known = fetch_api(front.url(), **SKIP).validator
    assert fetch_api(front.url(), validator=known, **SKIP).unchanged


@pytest.mark.parametrize(
    ("told", "unchanged"), [('"v1"', True), ('W/"v1"', True), (None, True), ('"v2"', False), ("v1", False)]
)
def test_an_answer_that_tells_of_another_content_is_none_that_nothing_has_changed(
    server, fetch_api, told, unchanged
):
    def route(handler):
        asked = "If-None-Match" in handler.headers
        handler.send_response(304 if asked else 200)
        if told is not None or not asked:
            handler.send_header("ETag", told if asked else '"v1"')
        handler.end_headers()
        handler.wfile.write(b"" if asked else ROWS)

    server.routes["/"] = route
    known = fetch_api(server.url(), **SKIP).validator
    fetched = fetch_api(server.url(), validator=known, **SKIP)
    assert (fetched.unchanged, fetched.bytes) == ((True, 0) if unchanged else (False, len(ROWS)))
    assert len(server.seen) == 2 + (not unchanged)
