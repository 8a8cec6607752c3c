"""Three promises hold for whatever parses: the data is the same, no comment is lost, and a second pass changes nothing."""

import io
import json
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from runner.jobfiles.canonical.form import canonical_form, same_data, write_data
from runner.jobfiles.canonical.layout_reader import list_comments
from runner.jobfiles.parse import parse
from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(
    [
        *(ROOT / "jobs.d").glob("*.yaml"),
        *(ROOT / "tests/acceptance/jobfiles").glob("*/*.yaml"),
        ROOT / "runner/scaffold/files/example.yaml",
    ]
)
SHAPES = (
    "job_name",
    "tests",
    "name",
    "expect",
    "given",
    "data_source",
    "location",
    "source_type",
    "x",
    "on",
    "~",
    "a b",
)
TEXTS = (
    *(
        "",
        "a",
        "no",
        "1:30",
        "2020-01-01",
        "0123",
        "1e3",
        "=",
        "~",
        "<<",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "-a",
        "-",
        "?",
        ":",
    ),
    *(
        "a,b",
        "{a}",
        "${env:A}",
        "https://x.example/?a=b",
        "@daily",
        "*",
        "&a",
        "!a",
        "%a",
        "`a",
        "'a'",
        '"a"',
        "a\\b",
    ),
    *(
        " a",
        "a ",
        "a:",
        "null",
        "True",
        ".5",
        "1.",
        "0x1F",
        "+1",
        ".inf",
        "...",
        "---",
        "--- a",
        "zoë",
        "日本",
        "😀",
        "[]",
    ),
    *(
        "a\nb",
        "a\n",
        "\na",
        "a\n\n",
        " a\nb",
        "\ta\nb",
        "a\n b\n",
        "a \n \nb\n",
        "\n",
        " \n",
        "a\n  ",
        "#a\n",
        "a\tb",
    ),
    *(
        "\x07",
        "\x85",
        "\u2028",
        "\u202e",
        "a\n\u2066b\n",
        "\ufeff",
        "a\r\nb",
        "a\rb",
        "x\n\x00",
        "word " * 40 + "end",
        "word " * 40 + "end\n",
    ),
)
BARE = ("1", "-2.5", "0x1F", "true", "null", "~", "", "False", "1.0e+3")


def form(text, schema=JOB_SCHEMA):
    return canonical_form("jobs.d/a.yaml", text, schema.data)


def formatted(text, schema=JOB_SCHEMA):
    """The canonical form of an indented text."""
    return form(textwrap.dedent(text), schema).text


def hold_promises(text):
    """What is promised of any text; the canonical form where there is one."""
    document, findings = parse("a", text)
    canonical = form(text)
    if findings:
        assert canonical.text is None
        assert canonical.findings == form(text).findings
        return None
    assert canonical.findings == ()
    written = canonical.text
    again, faults = parse("a", written)
    assert faults == ()
    assert same_data(document.data, again.data)
    assert sorted(list_comments(text)) == sorted(list_comments(written))
    assert form(written).text == written
    assert "\r" not in written
    assert written.endswith("\n")
    assert not written.endswith("\n\n")
    assert not written.startswith(("\n", "\ufeff"))
    return written


def other_readers(text):
    """The data as a reader of YAML 1.1 and one of YAML 1.2 see it."""
    return yaml.safe_load(text), YAML(typ="safe", pure=True).load(io.StringIO(text))


@st.composite
def notes(draw, indent):
    """Comments and blank lines before a node, at any indentation."""
    lines = draw(st.lists(st.sampled_from(["", "#c", "# ä: [", "#", "# - x", "  "]), max_size=2))
    return "".join(
        " " * draw(st.integers(0, indent + 3)) + line + "\n" if "#" in line else line + "\n" for line in lines
    )


@st.composite
def ends(draw):
    """The end of a line."""
    return draw(
        st.sampled_from(
            [
                "\n",
                "\n",
                "\n",
                " # e\n",
                "   #: f\n",
                " # l\n" + " " * draw(st.integers(5, 14)) + "# m\n",
                "  \n",
                "\n\n\n",
            ]
        )
    )


@st.composite
def scalars(draw, indent, *, flow):
    """A scalar in any style, as the text after its `- ` or `key: `."""
    text = draw(st.sampled_from(TEXTS))
    match draw(st.sampled_from(["plain", "double", "single", "literal", "folded", "bare"])):
        case "bare":
            return draw(st.sampled_from(BARE))
        case "single" if text.isprintable():
            return "'" + text.replace("'", "''") + "'"
        case "plain" if text.isprintable():
            return text
        case "literal" | "folded" as style if not flow and "\r" not in text:
            mark = {"literal": "|", "folded": ">"}[style]
            chomping = draw(st.sampled_from(["", "-", "+"]))
            comment = draw(st.sampled_from(["", " # h"]))
            width = draw(st.integers(1, 4))
            lines = "".join(" " * (indent + width) + line + "\n" for line in text.split("\n"))
            indentation = str(width) if text[:1] in (" ", "\t", "\n") else ""
            return f"{mark}{indentation}{chomping}{comment}\n{lines}"
    return json.dumps(text, ensure_ascii=draw(st.booleans())).replace("\x7f", "\\x7f")


@st.composite
def flows(draw, depth, indent):
    """A flow collection, perhaps on several lines."""
    is_mapping = draw(st.booleans())
    parts = []
    for index in range(draw(st.integers(0, 3))):
        node = (
            draw(flows(depth - 1, indent)) if depth and draw(st.booleans()) else draw(scalars(indent, flow=True))
        )
        part = f"{draw(st.sampled_from(SHAPES[:-3]))}{index}: {node}" if is_mapping else node
        gap = draw(
            st.sampled_from(
                [
                    "",
                    "",
                    " ",
                    f"\n{' ' * (indent + 1)}",
                    f" # g\n{' ' * (indent + 1)}",
                    f"\n # h\n\n{' ' * (indent + 1)}",
                ]
            )
        )
        parts.append(gap + part)
    end = draw(
        st.sampled_from(["", f" # i\n{' ' * (indent + 1)}", f"\n{' ' * (indent + 1)}# j\n{' ' * (indent + 1)}"])
    )
    return ("{{{}}}" if is_mapping else "[{}]").format(",".join(parts) + end)


@st.composite
def blocks(draw, depth, indent):
    """The lines of a block collection that stands at `indent`."""
    is_mapping = draw(st.booleans()) or indent == 0
    pieces = []
    keys = draw(st.lists(st.sampled_from(SHAPES[:-3]), min_size=1, max_size=3, unique=True))
    for key in keys:
        prefix = " " * indent + (f"{key}:" if is_mapping else "-")
        kind = draw(st.sampled_from(["scalar", "scalar", "flow", "block", "compact"] if depth else ["scalar"]))
        pieces.append(draw(notes(indent)))
        if kind == "block":
            deeper = indent + draw(st.integers(1, 4))
            pieces.append(prefix + draw(ends()) + draw(notes(deeper)) + draw(blocks(depth - 1, deeper)))
        elif kind == "compact" and not is_mapping:
            pieces.append(prefix + " " + draw(blocks(depth - 1, indent + 2)).lstrip(" "))
        else:
            node = draw(flows(depth - 1, indent) if kind == "flow" else scalars(indent, flow=False))
            between = draw(
                st.sampled_from([" ", " ", " ", f" # k\n{' ' * (indent + 2)}", f"\n\n{' ' * (indent + 2)}"])
            )
            pieces.append(prefix + between + node + ("" if node.endswith("\n") else draw(ends())))
    return "".join(pieces)


@st.composite
def documents(draw):
    """A file: any block mapping, with comments at every place and line ends of either kind."""
    head = draw(
        st.sampled_from(["", "# yaml-language-server: $schema=a\n", "# head\n\n", "---\n", "--- # d\n", "\n"])
    )
    text = (
        head
        + draw(blocks(3, 0))
        + draw(notes(4))
        + draw(st.sampled_from(["", "# end", "...\n", "...\n# after\n"]))
    )
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@pytest.mark.long
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(documents())
def test_promises_hold_for_any_document(text):
    assume(not parse("a", text)[1])
    written = hold_promises(text)
    data = parse("a", text)[0].data
    assert list(other_readers(written)) == [data, data]


FRAGMENTS = [
    "a",
    ": ",
    "- ",
    "\n",
    "  ",
    "\n  ",
    "# c",
    " # d\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    "|",
    ">",
    "+",
    "-",
    "'",
    '"',
    "?",
    "b",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25))
def test_promises_hold_for_any_text(parts):
    hold_promises("".join(parts))


@pytest.mark.long
@settings(max_examples=60)
@given(st.text() | st.sampled_from(TEXTS), st.sampled_from(["", "\n", "\n\n"]))
def test_any_text_is_written_so_that_every_reader_reads_it(text, end):
    data = {"job_name": text, "tags": [text + end, {text: text}], "processing_script": end + text}
    written = write_data(data, JOB_SCHEMA.data)
    assume(written is not None)
    assert list(other_readers(written)) == [data, data]
    assert form(written).text == written


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_promises_hold_for_the_examples(path):
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    written = hold_promises(text)
    if path.parent.name in {"jobs.d", "files"}:
        assert written == text, "what the project shows is in canonical form"
    assert written is not None or path.parent.name == "bad"


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_can_be_written(text):
    if "\ud800" not in text:
        assert write_data({"a": text}, {}) is not None


def test_keys_take_the_order_of_the_schema_at_every_level():
    assert formatted(
        """\
        unknown: 1
        tests:
          - expect: {row_count: 1, columns: [a]}
            name: one
        consumer_emails: [a@example.com]
        data_source:
          location: x
          source_type: file
        another: 2
        job_name: a
        """
    ) == textwrap.dedent(
        """\
        job_name: a
        data_source:
          source_type: file
          location: x
        consumer_emails: [a@example.com]
        tests:
          - name: one
            expect: {columns: [a], row_count: 1}
        unknown: 1
        another: 2
        """
    )


def test_what_the_schema_does_not_name_keeps_its_order():
    text = "data_source:\n  headers:\n    Z: a\n    A: b\n  body:\n    z: 1\n    a: 2\n"
    assert form(text).text == text


def test_keys_that_only_old_readers_take_for_true_stay_plain_where_they_are_known():
    text = (
        "checks:\n  - on: input\n    unique: a\n  - {on: input, unique: b}\nchart:\n  y: b\n  x: a\n  kind: bar\n"
        'tests:\n  - given:\n      data:\n        - {"on": 1, "y": 2}\n'
    )
    assert form(text).text == (
        "checks:\n  - unique: a\n    on: input\n  - {unique: b, on: input}\nchart:\n  kind: bar\n  x: a\n  y: b\n"
        'tests:\n  - given:\n      data:\n        - {"on": 1, "y": 2}\n'
    )


def test_comments_move_with_their_keys():
    assert formatted(
        """\
        # yaml-language-server: $schema=x
        # about the schedule
        schedule_time: '@daily'  # every day

        # about the name
        job_name: a # short
        tags:
        - b
          # the last tag
        # about suspension
        suspend: true
        # the end
        """
    ) == textwrap.dedent(
        """\
        # yaml-language-server: $schema=x
        # about the name
        job_name: a  # short
        tags:
          - b
          # the last tag
        # about suspension
        suspend: true
        # about the schedule
        schedule_time: "@daily"  # every day
        # the end
        """
    )


def test_comments_above_a_blank_line_at_the_start_stay_there():
    assert (
        formatted("# head\n\n# of tags\ntags: [a]\njob_name: b\n")
        == "# head\n\njob_name: b\n# of tags\ntags: [a]\n"
    )


def test_a_comment_that_goes_on_below_stays_aligned():
    assert formatted("tags:\n- a # one\n    # two\n- b\n") == "tags:\n  - a  # one\n       # two\n  - b\n"
    # Where nothing can stand below the line, all of it stands above.
    assert formatted('owner: "a\\nb" # one\n              # two\n') == "# one\n# two\nowner: |-\n  a\n  b\n"


def test_comments_inside_brackets_open_them():
    assert formatted("tags: [a, # one\n  # two\n  b,\n  # three\n  ] # four\n") == textwrap.dedent(
        """\
        tags:  # four
          - a  # one
          # two
          - b
          # three
        """
    )


def test_long_brackets_are_opened_and_short_ones_put_on_one_line():
    short, long = "a" * 20, "b" * 60
    assert formatted(f"tags: [\n  {short},\n  {short} ]\n") == f"tags: [{short}, {short}]\n"
    assert formatted(f"tags: [{long}, {long}]\n") == f"tags:\n  - {long}\n  - {long}\n"


@pytest.mark.parametrize(
    ("value", "block"),
    [
        ("'a'", "|-\n  a\n"),
        ('"a\\nb"', "|-\n  a\n  b\n"),
        ('"a\\nb\\n"', "|\n  a\n  b\n"),
        ('"a\\n\\n"', "|+\n  a\n\n...\n"),
        ('"  a\\nb\\n"', "|2\n    a\n  b\n"),
        ('"a\\tb\\n"', "|\n  a\tb\n"),
        ('"a\\rb\\n"', '"a\\rb\\n"\n'),
        ('" \\n"', '" \\n"\n'),
        ('"\\a\\n"', '"\\x07\\n"\n'),
        (">\n  a\n  b\n", "|\n  a b\n"),
    ],
)
def test_scripts_are_literal_blocks_where_a_block_carries_them(value, block):
    assert form(f"processing_script: {value}\n").text == f"processing_script: {block}"


def test_a_description_that_was_wrapped_stays_wrapped():
    words = " ".join(["word"] * 30)
    assert formatted(f"description: {words}\n") == f"description: {words}\n"
    wrapped = formatted(f"description: {words[:74]}\n  {words[75:]}\n")
    assert wrapped.startswith("description: >-\n  word")
    assert max(map(len, wrapped.splitlines())) <= 100


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("'a'", "a"),
        ('"a"', "a"),
        ("'it''s'", "it's"),
        ("'no'", '"no"'),
        ("'1:30'", '"1:30"'),
        ("'~'", '"~"'),
        ("'a: b'", '"a: b"'),
        ("~", "null"),
        ("", "null"),
        ("True", "true"),
        ("0x1F", "0x1F"),
        ("1.50", "1.50"),
    ],
)
def test_quotes_stand_where_they_are_needed(written, canonical):
    assert form(f"description: {written}\n").text == f"description: {canonical}\n"


def test_a_text_that_does_not_parse_is_told_of_and_not_written():
    canonical = form("job_name: [\n")
    assert canonical.text is None
    assert [found.rule for found in canonical.findings] == ["yaml-syntax"]


@pytest.mark.parametrize("broken", ["b: 1\n", "a: 2\n", "a: [\n", "a: 1\n# c\n# c\n"])
def test_a_form_that_breaks_a_promise_is_not_given_out(monkeypatch, broken):
    monkeypatch.setattr("runner.jobfiles.canonical.form.write_layout", lambda layout, order: broken)
    canonical = form("a: 1 # c\n")
    assert canonical.text is None
    assert [found.rule for found in canonical.findings] == ["not-formatted"]


def test_a_fault_of_the_writer_ends_only_its_own_file(monkeypatch):
    monkeypatch.delattr("runner.jobfiles.canonical.layout.Scalar.is_text")
    assert [found.rule for found in form("a: 1\n").findings] == ["not-formatted"]


def test_settings_files_have_the_order_of_their_own_schemas():
    assert formatted("timeout_seconds: 5\nowner: a@example.com\n", DEFAULTS_SCHEMA).startswith("owner")
    assert formatted("max_memory_mb: 64\nallowed_hosts: [a.example.com]\n", POLICY_SCHEMA).startswith(
        "allowed_hosts"
    )


def test_numbers_of_data_are_numbers_to_every_reader():
    data = {"a": 1e16, "b": 1e-7, "c": 1.5e300, "d": -0.0, "e": 10**18, "f": None, "g": [True]}
    written = write_data(data, {}, header=("# h",))
    assert written.startswith("# h\n")
    assert list(other_readers(written)) == [data, data]


def test_data_that_cannot_be_read_back_is_not_written():
    assert write_data({"a": "\ud800"}, {}) is None
    assert write_data({"a": 10**30}, {}) is None
