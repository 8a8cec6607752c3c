import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fetch.missing_names import MissingName, missing_name

DOCUMENT = {
    "data": {"nodes": [{"id": 1}], "info": {"more": True, "end": None, "zero": 0, "none": ""}},
    "links": [{"rel": "self", "href": "/a"}],
    "@odata.nextLink": None,
    "empty": [],
    "null": None,
}


@pytest.mark.parametrize(
    ("path", "name", "there"),
    [
        ("next", "next", DOCUMENT),
        ("data.info.next", "next", DOCUMENT["data"]["info"]),
        ("data.page.next", "page", DOCUMENT["data"]),
        ("@.data | info | next", "next", DOCUMENT["data"]["info"]),
        ('"@odata.nextlink"', "@odata.nextlink", DOCUMENT),
        ("data.nodes[-1].sort", "sort", {"id": 1}),
        ("data.nodes.next", "next", [{"id": 1}]),
        ("data.info.more.next", "next", True),
        ("link[?rel == 'next'].href | [0]", "link", DOCUMENT),
        ("data.edges[].cursor", "edges", DOCUMENT["data"]),
        ("page.*.next", "page", DOCUMENT),
        ("data.info.mor && data.info.end", "mor", DOCUMENT["data"]["info"]),
        ("data.info.more && data.info.cursor", "cursor", DOCUMENT["data"]["info"]),
        ("data.info.zero && data.info.cursor", "cursor", DOCUMENT["data"]["info"]),
    ],
)
def test_the_first_name_that_is_not_there(path, name, there):
    assert missing_name(jmespath.compile(path).parsed, DOCUMENT) == MissingName(name=name, there=there)


@pytest.mark.parametrize(
    "path",
    [
        "@", "null", '"@odata.nextLink"', "null.next", "data.info.end.next", "empty[0].next", "empty[-1].next",
        "data.nodes[5].next", "links[?rel == 'next'].href | [0]", "links[1:].href | [0]", "links[*].next",
        "data.info.none && data.info.cursor", "null && next", "empty && next", "next || ''", "not_null(next, other)",
        "null[0].a", "null[?a].b", "[next, other]", "{a: next}",
    ],
)  # fmt: skip
def test_nothing_is_missing_where_all_is_there_or_may_be_left_out(path):
    assert missing_name(jmespath.compile(path).parsed, DOCUMENT) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "[0]", "[-1]"]), min_size=1, max_size=4)


@given(JSON, PATHS)
def test_what_is_found_misses_no_name(document, steps):
    path = jmespath.compile("@" + "".join(step if step.startswith("[") else f".{step}" for step in steps))
    missing = missing_name(path.parsed, document)
    assert path.search(document) is None or missing is None
    assert missing is None or not isinstance(missing.there, dict) or missing.name not in missing.there
