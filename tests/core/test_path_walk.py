import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.visitor import TreeInterpreter

from runner.core.path_walk import ANYTHING, NotThere, walk, without_filters

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
STEPS = st.sampled_from([".a", ".b", ".c", "[0]", "[-1]", "[2]", "[0][1]", " | a", " | @"])
PLACES = st.lists(STEPS, max_size=4).map(lambda steps: "@" + "".join(steps))
FOLLOW = TreeInterpreter().visit
PROJECTIONS = st.sampled_from(["[*]", "[]", "[:2]", "[?a]", ".*", "[*].a", "[?a].b"])


@given(JSON, st.lists(PLACES, min_size=1, max_size=3).map(" && ".join))
def test_names_places_and_conditions_lead_where_jmespath_says(document, path):
    compiled = jmespath.compile(path)
    found, value = walk(compiled.parsed, document, conditions=True, search=None), compiled.search(document)
    if isinstance(found, NotThere):
        assert value is None
        assert found.name is None or not isinstance(found.there, dict) or found.name not in found.there
    else:
        assert found is value


@given(JSON, PLACES, PROJECTIONS)
def test_what_a_projection_goes_over_counts(document, path, projection):
    whole = jmespath.compile(path + projection)
    over = walk(jmespath.compile(path).parsed, document, conditions=False, search=None)
    found = walk(whole.parsed, document, conditions=False, search=None)
    assert walk(whole.parsed, document, conditions=False, search=FOLLOW) == over
    assert found == (over if over is None or isinstance(over, NotThere) else ANYTHING)
    assert found is ANYTHING or whole.search(document) is None


@pytest.mark.parametrize(
    "path", ["a || b", "to_array(a)", "[a, b]", "{a: b}", "a == b", "!a", "`1`", "(a || b).c"]
)
def test_what_is_for_jmespath_to_say(path):
    assert walk(jmespath.compile(path).parsed, {"a": None}, conditions=True, search=FOLLOW) is ANYTHING


def test_a_condition_that_does_not_count():
    parsed, document = jmespath.compile("a && b.c").parsed, {"a": 1, "b": {}}
    assert walk(parsed, document, conditions=False, search=None) is ANYTHING
    assert walk(parsed, document, conditions=True, search=None) == NotThere(name="c", there={})


@pytest.mark.parametrize(
    ("path", "without"),
    [("a[?b]", "a[*]"), ("a[?b == 'c'].d | [?e]", "a[*].d | [*]"), ("a[1:2].b", "a[1:2].b"), ("a || b", "a || b")],
)
def test_filters_let_all_through(path, without):
    document = {"a": [{"b": "c", "d": 1}, {"d": {"e": 2}}, {"d": 3}]}
    parsed = without_filters(jmespath.compile(path).parsed)
    assert FOLLOW(parsed, document) == jmespath.search(without, document)
