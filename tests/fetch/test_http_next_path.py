"""What is said where the first answer has no such name as the path to the next page leads to."""

import json

import pytest

from runner.core.source import Pagination, PaginationKind

FIRST = "only the first page was read, and rows may be missing: "


def paths_to(path):
    yield "cursor_path", Pagination(kind=PaginationKind.CURSOR, param="at", cursor_path=path)
    yield "link_path", Pagination(kind=PaginationKind.NEXT_LINK, link_path=path)


@pytest.fixture
def notes(server, fetch_api):
    """The notes of a fetch by cursor and by link, where the first answer is this one."""

    def run(document, path, **settings):
        server.answer("/rows", json.dumps(document).encode())
        found = set()
        for key, pagination in paths_to(path):
            fetched = fetch_api(server.url("/rows"), pagination=pagination, **settings)
            found.add(fetched.note.replace(key, "PATH"))
        return found

    return run


@pytest.mark.parametrize(
    ("document", "path", "there"),
    [
        ({"meta": {"total": 1, "nextCursor": "x"}}, "meta.next_cursr", "next_cursr, but total, nextCursor; the nearest is meta.nextCursor. "),
        ({"@odata.nextLink": "/x"}, '"odata.nextlink"', "odata.nextlink, but rows, @odata.nextLink; the nearest is @odata.nextLink. "),
        ({"meta": {"next_cursor": "x"}}, "next_cursor", "next_cursor, but rows, meta; the nearest is meta.next_cursor. "),
        ({"next_page": "x"}, "next", "next, but rows, next_page; the nearest is next_page. "),
        ({"meta": {}, "next": "/x"}, "meta.next", "next, but an object without keys; the nearest is next. "),
        ({"meta": [{"next": "x"}], "next": "/x"}, "meta.next", "next, but an array; the nearest is next. "),
        ({"m": {"k" * 65: 1, "a\nb": 1, "nxt": 1}}, "m.next", "next, but a b, nxt and 1 more; the nearest is m.nxt. "),
        ({"m": {**{f"k{n}": 1 for n in range(900)}, "nextt": 1}}, "m.next", "next, but k0, k1, k2, k3, k4, k5, k6, k7 and 893 more; the nearest is m.nextt. "),
    ],
)  # fmt: skip
def test_a_first_answer_that_seems_to_call_it_otherwise_is_told(notes, document, path, there):
    (note,) = notes({"rows": [{"n": 1}], **document}, path, records_path="rows")
    assert note.startswith(
        f"{FIRST}`data_source.pagination.PATH: {path}` leads to nothing, as there is no {there}"
    )
    assert note.endswith("Where the API leaves it out on its last page, write || '' behind the path")


def test_as_many_records_as_were_asked_for_may_not_be_all(server, fetch_api):
    server.answer("/rows", b'{"rows": [{"n": 1}, {"n": 2}]}')
    told = set()
    for size in (2, 3):
        pagination = Pagination(
            kind=PaginationKind.CURSOR, param="at", cursor_path="next", size=size, size_param="n"
        )
        told.add((size, fetch_api(server.url("/rows"), records_path="rows", pagination=pagination).note[:45]))
    assert told == {(2, FIRST[:45]), (3, "")}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"rows": [{"n": 1}], "next": None}, "next"),
        # As the last page is with OData, Salesforce, HubSpot and Google.
        ({"rows": [{"n": 1}], "@odata.context": "x", "@odata.deltaLink": "x"}, '"@odata.nextLink"'),
        ({"rows": [{"n": 1}], "totalSize": 1, "done": True, "records": []}, "nextRecordsUrl"),
        ({"rows": [{"n": 1}], "total": 1}, "paging.next.after"),
        ({"rows": [{"n": 1}], "nextSyncToken": "x"}, "nextPageToken"),
        # What is deep, or in the records, is nothing of the pages.
        ({"rows": [{"next": 1}], "a": {"b": {"c": {"d": {"next": 1}}}}}, "next"),
        ({"rows": [{"n": 1}], "next": ""}, "next"),
        ({"rows": [{"n": 1}], "meta": None}, "meta.next"),
        ({"rows": [{"n": 1}]}, "next || ''"),
        ({"rows": [{"n": 1}], "links": []}, "links[?rel == 'next'].href | [0]"),
        # Nothing is behind a page without records, and many leave the name out there.
        ({"rows": []}, "next"),
    ],
)
def test_nothing_is_told_where_the_api_says_that_there_is_no_more(notes, document, path):
    assert notes(document, path, records_path="rows") == {""}


def test_a_later_page_may_leave_the_name_out(server, fetch_api):
    server.answer("/rows", b'{"rows": [{"n": 1}], "next": "/last"}')
    server.answer("/last", b'{"rows": [{"n": 2}]}')
    pagination = Pagination(kind=PaginationKind.NEXT_LINK, link_path="next")
    fetched = fetch_api(server.url("/rows"), records_path="rows", pagination=pagination)
    assert (fetched.note, len(fetched.paths[0].read_text().splitlines())) == ("", 2)


def test_a_secret_among_the_names_is_masked(notes):
    document = {"rows": [{"n": 1}], "meta": {"s3cret-12345": 1}, "next": "/x"}
    settings = {"headers": (("X-Key", "${env:KEY}"),), "environ": {"KEY": "s3cret-12345"}}
    (note,) = notes(document, "meta.next", records_path="rows", **settings)
    assert "no next, but ***; the nearest is next." in note
