import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from runner.jobfiles.parse import MAX_DEPTH, MAX_NODES, Span, parse

# What turns the direction of text is refused, as control characters are.
REFUSED = "\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters=REFUSED),
    max_size=30,
)
PLAIN_DATA = st.dictionaries(
    PRINTABLE,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | PRINTABLE,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
        max_leaves=15,
    ),
    max_size=5,
)


class Quoted(yaml.SafeDumper):
    """Quotes every text, so that none can be read as something else."""

    def ignore_aliases(self, data):
        return True


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def rules(text):
    return [found.rule for found in parse("a.yaml", text)[1]]


@given(st.text(max_size=200) | st.text(alphabet="ab:-?[]{},&*!|>'\"%@#\n\t 01~<.", max_size=60))
@example("? - a\n: - b\n? ? c\n")
@example("? [a]\n? {b: c}\n? d")
@example("[[a]: b]")
@example("a: |\n\n\n")
@example("[\n" * 1100)
def test_any_text_gives_a_document_or_findings_and_never_raises(text):
    document, findings = parse("a.yaml", text)
    assert findings or document.complete
    lines = text.count("\n") + 2
    assert all(1 <= found.line <= lines and found.column >= 1 for found in findings)


@given(PLAIN_DATA)
def test_quoted_plain_data_comes_back(data):
    document, findings = parse("a.yaml", yaml.dump(data, Dumper=Quoted, allow_unicode=True))
    assert (document.data, findings) == (data, ())


@given(PLAIN_DATA)
def test_every_node_has_its_place(data):
    document, _ = parse("a.yaml", yaml.dump(data, Dumper=Quoted, allow_unicode=True))

    def paths(node, path=()):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            yield (*path, key)
            yield from paths(value, (*path, key))

    expected = set(paths(data))
    assert all(document.has(path) for path in expected)
    assert not any(document.has((*path, "no such key")) for path in expected)
    for path in expected:
        assert document.span(path).line >= 1
        assert document.value(path) == document.value(path[:-1])[path[-1]]


def test_places_of_keys_and_values():
    document, findings = parse("a.yaml", "a: 1\nb:\n  - x y\n  - {c: 'dé'}\n")
    assert not findings
    assert document.key_span(("b",)) == Span(2, 1, 2, 2)
    assert document.span(("a",)) == Span(1, 4, 1, 5)
    assert document.span(("b",)) == Span(2, 1, 2, 2)
    assert document.span(("b", 0)) == Span(3, 5, 3, 8)
    assert document.span(("b", 1, "c")) == Span(4, 9, 4, 13)
    assert document.inside(("b", 1, "c"), 1, 2) == Span(4, 11, 4, 12)
    assert document.span(("b", 7, "z")) == Span(2, 1, 2, 2)


@pytest.mark.parametrize(("header", "indent"), [("|", 4), ("|-  # why", 4), ("|2", 6), ("|+", 6)])
def test_lines_of_a_block_text_are_lines_of_the_file(header, indent):
    text = f"# job\na:\n  s: {header}\n\n" + " " * indent + "x = 1\n" + " " * indent + "  y = 2\n"
    document, findings = parse("a.yaml", text)
    assert not findings
    path = ("a", "s")
    assert document.first_line(path) == 4
    value = document.value(path).split("\n")
    line = next(number for number, content in enumerate(value, 1) if "y = 2" in content)
    column = value[line - 1].index("y") + 1
    place = document.at_line(path, line, column, line, column + 1)
    assert text.split("\n")[place.line - 1][place.column - 1 : place.end_column - 1] == "y"


def test_lines_of_a_folded_text_are_not_told():
    document, _ = parse("a.yaml", "s: >\n  x = 1\n  y = 2\n")
    assert document.at_line(("s",), 1, 3, 1, 4) == document.key_span(("s",))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty-file"), ("# c\n", "empty-file"), ("a: 1\n---\nb: 2\n", "many-documents"), ("a: &x 1", "yaml-feature"),
        ("a: *x", "yaml-feature"), ("*x : 1", "yaml-feature"), ("a: !!str 1", "yaml-feature"), ("!t {a: 1}", "yaml-feature"),
        ("%YAML 1.2\n---\na: 1", "yaml-feature"), ("%TAG ! x:\n---\na: 1", "yaml-feature"), ("<<: {a: 1}", "yaml-feature"),
        ("1: a", "bad-key"), ("no: a", "bad-key"), ("?\n: b", "bad-key"), ("? [a]\n: b", "bad-key"), ("a: 1\na: 2", "duplicate-key"),
        ('a: 1\n"a": 2', "duplicate-key"), ("a: no", "ambiguous-value"), ("a: @b", "yaml-syntax"), ("a: 'b", "yaml-syntax"),
    ],
)  # fmt: skip
def test_what_is_refused(text, rule):
    assert rules(text) == [rule]


def test_one_fault_does_not_hide_the_next():
    assert rules("a: no\nb: &x 1\na: 2\nc: [1:30]\n") == [
        "ambiguous-value",
        "yaml-feature",
        "duplicate-key",
        "ambiguous-value",
    ]


def test_a_duplicate_key_names_both_lines_and_the_first_value_stays():
    document, (found,) = parse("a.yaml", "a: 1\nb: 2\na: {c: [3]}\n")
    assert ("line 1" in found.message, "line 3" in found.message, found.line) == (True, True, 3)
    assert document.data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1, a: 2}", "the key 'a' stands twice on line 1"),
        ("a: 1\na: 2", "the key 'a' stands on line 1 and again on line 2"),
        ("&x a: 1", "anchors (&) are not taken"),
        ("!x a: 1", "tags (!) are not taken"),
        ("? \n: b", "a key is missing here"),
        ("~: b", "the key '~' is not read as text"),
        ("# c\n", "the file holds no keys"),
        ("k" * 900 + ": 1\n" + "k" * 900 + ": 2\n", f"the key {'k' * 40!r} stands on line 1 and again on line 2"),
    ],
)
def test_what_is_told_of_keys(text, message):
    _, (found,) = parse("a.yaml", text)
    assert found.message == message
    assert found.hint


@pytest.mark.parametrize("text", ["%YAML 1.2\n---\na: 1", "&a\nb: 1", "a: &a\n  b: 1", "- &a\n  - 1"])
def test_what_begins_on_a_line_is_pointed_at_there(text):
    _, (found,) = parse("a.yaml", text)
    assert found.end_line == found.line


def test_quoted_text_is_never_ambiguous():
    document, findings = parse("a.yaml", "a: 'no'\nb: \"1:30\"\nc: |\n  no\n")
    assert (document.data, findings) == ({"a": "no", "b": "1:30", "c": "no\n"}, ())


def test_what_was_read_before_a_fault_is_kept():
    document, _ = parse("a.yaml", "job_name: sales\nx: [1\n")
    assert (document.value(("job_name",)), document.complete) == ("sales", False)


@pytest.mark.parametrize("unit", ["[", "{", "[{", "- ", "? ", "{a: ", "[[],", "? - ", "[?", "[\n"])
def test_deep_nesting_ends_soon(cpu_seconds, unit):
    found, seconds = cpu_seconds(rules, unit * (200_000 // len(unit)))
    assert seconds < 0.5
    assert found in (["too-deep"], ["yaml-syntax"], ["bad-key"] * (MAX_DEPTH // 2) + ["too-deep"]) or found[
        -1
    ] in {"too-deep", "yaml-syntax"}


def test_brackets_in_a_script_are_text():
    script = "  x = " + "[" * 5000 + "\n"
    document, findings = parse("a.yaml", "s: |\n" + script)
    assert not findings
    assert document.data["s"].count("[") == 5000


def test_depth_and_nodes_are_bounded_exactly():
    assert rules("[" * MAX_DEPTH + "]" * MAX_DEPTH) == []
    assert rules("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == ["too-deep"]
    assert rules("[" + "1," * (MAX_NODES - 1) + "]") == []
    assert rules("[" + "1," * MAX_NODES + "]") == ["too-many-nodes"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a:\n  - x\n  - {b: no}\n", ("a", 1, "b")),
        ("a:\n  - x\n  - [x, no]\n", ("a", 1, 1)),
        ("a: {b: [[1], [2, [no]]]}\n", ("a", "b", 1, 1, 0)),
        ("- !t {a: 1}\n", (0,)),
        ("a: *x\n", ("a",)),
        ("no\n", ()),
    ],
)
def test_a_refused_value_is_known_by_its_path(text, path):
    document, _ = parse("a.yaml", text)
    assert document.faulty == {path}
    assert document.has(path)
