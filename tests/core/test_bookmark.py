import pytest

from runner.core.bookmark import Bookmark, Validator
from runner.core.job import Incremental

OLD = (Validator(source="data", request="r", etag="old"),)
NEW = (Validator(source="data", request="r", etag="new"),)


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (Incremental(cursor="at", initial_value=0), True),
        (Incremental(cursor="at", initial_value="0"), False),
        (Incremental(cursor="at", initial_value=1), False),
        (Incremental(cursor="id", initial_value=0), False),
    ],
)
def test_a_changed_load_begins_anew_and_keeps_what_is_known_of_the_apis(other, kept):
    bookmark = Bookmark(cursor=7, validators=OLD, origin=Incremental(cursor="at", initial_value=0).origin)
    found = bookmark.for_origin(other.origin)
    assert found == Bookmark(cursor=7 if kept else None, validators=OLD, origin=other.origin)


@pytest.mark.parametrize(
    ("cursor", "origin", "expected"), [(9, "a", 9), (None, "a", 7), (None, "b", None), (3, "b", 3), (0, "a", 0)]
)
def test_it_moves_with_a_run_and_stays_where_that_saw_no_rows(cursor, origin, expected):
    moved = Bookmark(cursor=7, validators=OLD, origin="a").moved_to(
        Bookmark(cursor=cursor, validators=NEW, origin=origin)
    )
    assert moved == Bookmark(cursor=expected, validators=NEW, origin=origin)
    assert (moved.validator("data"), moved.validator("other")) == (NEW[0], None)
