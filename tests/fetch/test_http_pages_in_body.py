"""Pages whose parameter goes into the JSON body of a POST: pagination with in: body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.source import Pagination, PaginationKind
from runner.errors import FetchError
from runner.fetch.page_params import with_page_param
from runner.fetch.page_reader import from_json
from runner.fetch.request import HttpRequest

PAGE, OFFSET, CURSOR = PaginationKind.PAGE, PaginationKind.OFFSET, PaginationKind.CURSOR
GRAPHQL = Pagination(
    kind=CURSOR,
    param="variables.after",
    in_body=True,
    cursor_path="data.orders.pageInfo.hasNextPage && data.orders.pageInfo.endCursor",
    size_param="variables.first",
    size=2,
)


@pytest.fixture
def posted(server):
    """Serve `/rows`; `answer` gives the document for the body of a request, as JSON or as an object."""

    def serve(answer):
        server.routes["/rows"] = lambda handler: handler.answer(answer(json.loads(server.seen[-1][3] or b"{}")))
        return server.url("/rows")

    return serve


def rows(start, end):
    return [{"n": n} for n in range(start, end)]


def read(fetched):
    return [json.loads(line)["n"] for line in fetched.paths[0].read_text().splitlines()]


def bodies(server):
    assert {path for _, path, *_ in server.seen} == {"/rows"}
    return [body.decode() for *_, body in server.seen]


def graphql(body):
    """As a connection of GraphQL answers to variables `first` and `after`."""
    variables = body.get("variables") or {}
    start = int(variables.get("after") or 0)
    end = min(start + variables.get("first", 2), 5)
    info = {"hasNextPage": end < 5, "endCursor": str(end)}
    return {"data": {"orders": {"nodes": rows(start, end), "pageInfo": info}}}


@pytest.mark.parametrize("variables", [{}, {"variables": {}}, {"variables": {"after": None, "region": "north"}}])
def test_the_cursor_of_graphql_is_a_variable(server, posted, fetch_api, variables):
    asked = {"query": "{ orders }"} | variables
    fetched = fetch_api(
        posted(graphql),
        method="POST",
        body=json.dumps(asked),
        records_path="data.orders.nodes",
        pagination=GRAPHQL,
    )
    assert read(fetched) == [0, 1, 2, 3, 4]
    own = variables.get("variables", {})
    assert [json.loads(body) for body in bodies(server)] == [
        {"query": "{ orders }", "variables": own | {"first": 2} | after}
        for after in ({}, {"after": "2"}, {"after": "4"})
    ]


def test_a_search_is_continued_behind_the_values_of_its_last_record(server, posted, fetch_api):
    """As Elasticsearch does: `search_after` is an array, with numbers as they were in the answer."""

    def search(body):
        start = {None: 0, "b": 2}.get(body.get("search_after", [None])[-1], 4)
        place = b'[1700000000000.10, "%s"]' % b"abcdef"[start // 2 + 1 : start // 2 + 2]
        hits = b", ".join(
            b'{"_source": {"n": %d}, "sort": %s}' % (n, place) for n in range(start, min(start + 2, 4))
        )
        return b'{"hits": {"hits": [%s]}}' % hits

    fetched = fetch_api(
        posted(search),
        method="POST",
        body='{"query": {"match_all": {}}, "boost": 1.0}',
        records_path="hits.hits[]._source",
        pagination=Pagination(kind=CURSOR, param="search_after", in_body=True, cursor_path="hits.hits[-1].sort"),
    )
    assert read(fetched) == [0, 1, 2, 3]
    assert [json.loads(body).get("search_after") for body in bodies(server)] == [
        None,
        [1700000000000.10, "b"],
        [1700000000000.10, "c"],
    ]
    assert '"boost":1.0,"search_after":[1700000000000.10,"b"]' in bodies(server)[1]


@pytest.mark.parametrize(
    "cursor", ["x", "${env:HOME}", "5", 5, 2**64, 1.5, [1, "a"], {"id": {"S": "a"}}, {"a": [None, True]}]
)
def test_a_cursor_keeps_its_type(server, posted, fetch_api, cursor):
    pagination = Pagination(kind=CURSOR, param="at", in_body=True, cursor_path="next")
    url = posted(lambda body: {"rows": rows(0, 1), "next": None if "at" in body else cursor})
    assert read(fetch_api(url, method="POST", body="{}", records_path="rows", pagination=pagination)) == [0, 0]
    found = json.loads(bodies(server)[-1])
    assert found == {"at": cursor}
    assert type(found["at"]) is type(cursor)


@pytest.mark.parametrize("last", [None, "", False, [], {}])
def test_nothing_in_its_place_ends_the_pages(server, posted, fetch_api, last):
    url = posted(lambda body: {"rows": rows(0, 1), "next": last})
    pagination = Pagination(kind=CURSOR, param="at", in_body=True, cursor_path="next")
    assert read(fetch_api(url, method="POST", body="{}", records_path="rows", pagination=pagination)) == [0]


@pytest.mark.parametrize(("kind", "places"), [(PAGE, [1, 2, 3, 4]), (OFFSET, [0, 2, 4, 6])])
def test_pages_and_offsets_are_numbers_in_the_body(server, posted, fetch_api, kind, places):
    def answer(body):
        at, size = body["page"]["at"], body["page"]["size"]
        start = (at - 1) * size if kind is PAGE else at
        return rows(start, min(start + size, 5))

    start = 1 if kind is PAGE else 0
    pagination = Pagination(kind=kind, param="page.at", in_body=True, size_param="page.size", size=2, start=start)
    fetched = fetch_api(posted(answer), method="POST", body='{"q": "\u00fc"}', pagination=pagination)
    assert read(fetched) == [0, 1, 2, 3, 4]
    assert bodies(server) == [f'{{"q":"\u00fc","page":{{"size":2,"at":{place}}}}}' for place in places]


def test_a_secret_in_the_body_stays_in_every_page_and_is_masked(server, posted, fetch_api):
    url = posted(lambda body: {"rows": rows(0, 2), "next": body["key"]})
    pagination = Pagination(kind=CURSOR, param="at", in_body=True, cursor_path="next")
    with pytest.raises(FetchError, match="the cursor for `at` comes a second time") as caught:
        fetch_api(
            url,
            method="POST",
            body='{"key": "${env:KEY}"}',
            environ={"KEY": "s3cret-12345"},
            records_path="rows",
            pagination=pagination,
        )
    assert [json.loads(body)["key"] for body in bodies(server)] == ["s3cret-12345"] * 2
    assert "s3cret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("pagination", "told"),
    [
        (Pagination(kind=PAGE, param="page"), "Write `in: body` under `pagination`"),
        (Pagination(kind=CURSOR, param="variables.after", cursor_path="next"), "such as `variables.after`"),
        (Pagination(kind=OFFSET, param="from", size=2, in_body=True), "Set `pagination.param` to the keys that lead"),
        (Pagination(kind=CURSOR, param="at", in_body=True, cursor_path="next"), "must use the variable"),
    ],
)  # fmt: skip
def test_a_post_that_gives_its_first_page_again_is_told_what_to_write(posted, fetch_api, pagination, told):
    url = posted(lambda body: {"rows": rows(0, 2), "next": "x1"})
    with pytest.raises(FetchError, match=r"seems to be ignored|comes a second time") as caught:
        fetch_api(url, method="POST", body="{}", records_path="rows", pagination=pagination)
    assert told in caught.value.hint


def test_a_cursor_of_several_values_is_told_to_be_for_the_body(posted, fetch_api):
    url = posted(lambda body: {"rows": rows(0, 2), "next": [1, "a"]})
    pagination = Pagination(kind=CURSOR, param="at", cursor_path="next")
    with pytest.raises(FetchError, match="finds an array, no cursor") as caught:
        fetch_api(url, method="POST", body="{}", records_path="rows", pagination=pagination)
    assert "write `in: body`" in caught.value.hint


def test_a_truth_value_is_no_cursor_in_the_body_either(posted, fetch_api):
    url = posted(lambda body: {"rows": rows(0, 2), "next": True})
    with pytest.raises(FetchError, match="finds a boolean, no cursor"):
        fetch_api(
            url,
            method="POST",
            body="{}",
            records_path="rows",
            pagination=Pagination(kind=CURSOR, param="at", in_body=True, cursor_path="next"),
        )


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    SCALARS | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."), min_size=1)


@given(st.dictionaries(TEXTS, JSON, max_size=3), st.lists(NAMES, min_size=1, max_size=3), JSON)
def test_a_value_is_put_into_a_body_and_nothing_else_of_it_changes(body, names, value):
    before = {key: item for key, item in body.items() if key != names[0]}
    request = HttpRequest(method="POST", url="https://a/", headers={}, body=json.dumps(before).encode())
    pagination = Pagination(kind=CURSOR, in_body=True)
    written = with_page_param(request, pagination, ".".join(names), from_json(json.dumps(value).encode()))
    after = json.loads(written.body)
    found = after.pop(names[0])
    for name in names[1:]:
        found = found.pop(name)
    assert json.dumps(found) == json.dumps(value)
    assert json.dumps(after) == json.dumps(before)
