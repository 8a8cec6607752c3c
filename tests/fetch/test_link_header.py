import pytest

from runner.errors import FetchError
from runner.fetch.link_header import next_link


def test_a_broken_header_is_read_in_a_moment():
    assert next_link("<a>;b" + " " * 60_000 + "x; rel=self" + "<" * 60_000) == ""
    assert next_link('<a>; b="' + '\\"' * 60_000) == ""
    with pytest.raises(FetchError, match="names a next page"):
        next_link("<a>;b" + " " * 60_000 + "x; rel=next" + "<" * 60_000)


@pytest.mark.parametrize(
    "header",
    ["", '</next>; rel="self"', '<a>; rel="next-archive"', '<a>; rel=prev; title="rel=next"', "</a>; next"],
)
def test_what_names_no_next_page(header):
    assert next_link(header) == ""
