"""The words for what libyaml refuses, and the places they point at."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.jobfiles.parse import parse
from runner.jobfiles.syntax import describe_syntax_error
from runner.jobfiles.wording.finding import ODD_BLANK_HINT

COMMA = "Put a comma between two items, and a text that holds , : or brackets in quotes."
ALIKE = "Start the keys of one mapping, and the items of one list, in one column."


def told(text):
    _, findings = parse("a.yaml", text)
    found = findings[-1]
    assert found.rule == "yaml-syntax"
    return found.line, found.column, found.message, found.hint


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        # The first character of a value.
        ("a: @x # y\n", 1, 4, "a plain value cannot start with @", 'Quote it: "@x".'),
        ("a: */15 * * *\n", 1, 4, "a plain value cannot start with *", 'Quote it: "*/15 * * *".'),
        ("a: & b\n", 1, 4, "a plain value cannot start with &", 'Quote it: "& b".'),
        ("a: [@x, b]\n", 1, 5, "a plain value cannot start with @", 'Quote it: "@x".'),
        ("a: ? b\n", 1, 4, "a plain value cannot start with ?", 'Quote it: "? b".'),
        ("a: @" + "x" * 100 + "\n", 1, 4, "a plain value cannot start with @", 'Quote it: "@…".'),
        ("a: !<x y\n", 1, 4, "tags (!) are not taken", 'Quote text that starts with !: "!<x y".'),
        ("a: 1\n%x\n", 2, 1, "directives (%) are not taken", "Remove the line, or quote a value that starts with %."),
        ("```yaml\na: 1\n```\n", 1, 1, "``` is Markdown, not YAML", "Remove the lines that start with it."),
        # Tabs.
        ("a:\n\t- x\n", 2, 1, "a tab cannot indent YAML", "Indent with spaces."),
        ("a:\n  b: 1\n  \tc: 2\n", 3, 3, "a tab cannot indent YAML", "Indent with spaces."),
        ("a: |\n\tx\n", 2, 1, "a tab cannot indent YAML", "Indent with spaces."),
        ("a:\n  -\tb: 1\n", 2, 4, "a tab cannot stand here", "Write a blank instead."),
        # Quotes and escapes.
        ('a: "x\nb: 1\n', 1, 4, "this quote is never closed", "Close it, or use a `|` block for text of many lines."),
        ('a: 1\n"b\nc: "\n', 2, 1, "this quote is not closed on its line", "Close it, or write the `:` of the key."),
        ('a: "x\\d"\n', 1, 6, "\\d is no escape", "Double the backslash, or put the text in single quotes."),
        ('a: "x\\x4"\n', 1, 6, "\\x4 has too few digits", "Give \\x 2 hexadecimal digits, \\u 4 and \\U 8."),
        ('a: "\\ud800"\n', 1, 5, "\\ud800 is no character", "Write the character itself, or \\U and its 8 digits."),
        ("a: 'It's x'\n", 1, 8, "text stands after the closing quote", "Remove it, or write '' for a quote within '…'."),
        ('- "a" b\n', 1, 7, "text stands after the closing quote", 'Remove it, or write \\" for a quote within "…".'),
        ('a: "C:\\Users\\x"\n', 1, 7, "\\U has too few digits", "Put the path in single quotes."),
        ("a: ,\n", 1, 4, "a plain value cannot start with ,", 'Quote it: ",".'),
        # Blanks that are none.
        ("a:\n  b: 1\n\xa0 c: 2\n  d: 3\n", 3, 1, "this is U+00A0, not a blank", ODD_BLANK_HINT),
        ("a: |\n\xa0\xa0x = 1\nb: 2\n", 2, 1, "this is U+00A0, not a blank", ODD_BLANK_HINT),
        ("a:\n  b:\u30001\n  c: 2\n", 2, 5, "this is U+3000, not a blank", ODD_BLANK_HINT),
        # Blocks.
        ("a: | x\n", 1, 6, "the text of a | block starts on the next line", "Put it there, indented, or remove the |."),
        ("a: > x\n", 1, 6, "the text of a > block starts on the next line", "Put it there, indented, or remove the >."),
        (
            "a: |0\n  x\n",
            1,
            5,
            "the number after | is 1 to 9",
            "Leave it out: the first line of the text tells how far it is indented.",
        ),
        (
            "a: |10\n  x\n",
            1,
            6,
            "the number after | is 1 to 9",
            "Leave it out: the first line of the text tells how far it is indented.",
        ),
        ("a: |\nx = 1\nb: 2\n", 2, 1, "this line is not indented", "Indent the text of a | block by two blanks."),
        (
            "a: |\n   x\n  y\nb: 1\n",
            3,
            3,
            "this line is indented less than the block above",
            "Indent all lines of a block at least as far as its first.",
        ),
        # Brackets.
        (
            "a: {b: 1, c: ${env:X}/s}\n",
            1,
            14,
            "a text with ${ needs quotes between { and }",
            'Quote it: "${env:X}/s".',
        ),
        ("a: [x${env:X}]\n", 1, 5, "a text with ${ needs quotes between [ and ]", 'Quote it: "x${env:X}".'),
        ('{\n  "a": 1, // x\n  "b": 2\n}\n', 2, 11, "// starts no comment in YAML", "Write # instead, with a blank before it."),
        ('{\n  /* x */\n  "b": 2\n}\n', 2, 3, "/* starts no comment in YAML", "Write # instead, with a blank before it."),
        ('{\n  "a": "//x"\n  "b": 2 # }\n}\n', 3, 3, "this does not fit between { and }", COMMA),
        ("a: {b: 1 c: 2}\n", 1, 11, "this does not fit between { and }", COMMA),
        ("a: ['x' 'y']\n", 1, 9, "this does not fit between [ and ]", COMMA),
        ("a: {b: 1\nc: 2\n", 1, 4, "this { is never closed", "Close it with }; separate its items with commas."),
        ("a: [b, c}\nd: 2\n", 1, 4, "this [ is never closed", "Close it with ]; separate its items with commas."),
        ("a: {{ b }}/s\n", 1, 11, "text stands after the closing }", 'Quote the whole value: "{{ b }}/s".'),
        ("a: [b] c\n", 1, 8, "text stands after the closing ]", 'Quote the whole value: "[b] c".'),
        ("a: [b,, c]\n", 1, 7, "a value is missing here", "Write one, or remove the comma or bracket."),
        # Colons.
        ("a: Sales: b # c\n", 1, 9, "the value of a holds a `: `, and has no quotes", 'Quote it: "Sales: b".'),
        ("a:sales\nb: 2\n", 1, 2, "a blank is missing after this `:`", "Write a: sales."),
        ("a: 1\nb:2\nc: 3\n", 2, 2, "a blank is missing after this `:`", "Write b: 2."),
        ("a\uff1a1\nb: 2\n", 1, 2, "this is U+FF1A, not a colon", "Write : and a blank."),
        ("a: 1\nb UTC\nc: 2\n", 2, 1, "a `:` is missing after this key", "Write `key: value`."),
        ("a: 1\nb = UTC\nc: 2\n", 2, 3, "YAML has no =", "Write `key: value`."),
        ("a: 1\n: x\n", 2, 1, "a key is missing before this `:`", "Write `key: value`."),
        ("a: 1\n{b: 1\n", 2, 1, "this { is never closed", "Close it, or quote text that starts with it."),
        ('"' + "k" * 1500 + '": 1\n', 1, 1503, "this key is longer than 1024 characters", "Shorten it."),
        (
            "a: " + "x" * 1500 + ": 1\n",
            1,
            1504,
            "the value of a holds a `: `, and has no quotes",
            'Quote it: "…".',
        ),
        # Layout.
        (
            "a:\n  b: 1\n    c: 2\n",
            3,
            6,
            "this key is indented deeper than the line above, which has a value",
            "Start it in the column of the line above.",
        ),
        ("a:\n   b: 1\n  c: 2\n", 3, 3, "this line is indented unlike the lines above", ALIKE),
        (
            "a: 1\n- x\n",
            2,
            1,
            "an item of a list cannot stand among keys",
            "Give the list a key of its own, or indent its items alike.",
        ),
        (
            "a:\n  - b\n  c: x\n",
            3,
            3,
            "a key cannot stand among the items of a list",
            "Start every item with `- ` in one column.",
        ),
        ("a: *x b\n", 1, 7, "this does not fit here", "Put it on a line of its own, or quote the whole value."),
        ("a: - b\n", 1, 4, "a list cannot start here", "Put `- ` on a line of its own, below the key."),
        (
            "a: 1\n...\nb: 2\n",
            3,
            1,
            "the document ended above, and there is more text",
            "Write one job a file, without `...`.",
        ),
        (
            "a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n",
            2,
            1,
            "a merge conflict is not resolved here",
            "Keep what is right of both sides, and remove the lines with <<<<<<<, ======= and >>>>>>>.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_to_do(text, line, column, message, hint):
    assert told(text) == (line, column, message, hint)
    assert told(text.replace("\n", "\r\n")) == (line, column, message, hint)


def test_a_complaint_without_words_or_place_is_one_all_the_same():
    found = describe_syntax_error("a.yaml", "a: 1\n", yaml.YAMLError("odd"))
    assert (found.line, found.column, found.message) == (1, 1, "this is no YAML")
    assert found.hint


def test_conflict_marks_within_a_block_are_text():
    text = "a: |\n  <<<<<<< x\nb: [c\nd: 1\n"
    assert told(text)[:3] == (3, 4, "this [ is never closed")


@pytest.mark.parametrize(
    "line",
    [
        "password: @S3cret-value",
        "token: *S3cret-value",
        "auth: {type: basic, password: @S3cret-value}",
        "  X-Api-Key: @S3cret-value",
        "Authorization: Bearer: S3cret-value",
        "password:S3cret-value\nx: 1",
        'password: [S3cret-value] "x"',
        "x: @https://ann:S3cret-value@example.com/",
    ],
)
def test_no_credential_goes_into_a_hint(line):
    _, findings = parse("a.yaml", line + "\n")
    assert findings
    assert "S3cret" not in str([(found.message, found.hint) for found in findings])


@pytest.mark.parametrize("value", ["2025-11-09", "0_1", ".inf", "Yes", "1:30"])
def test_nor_into_a_word_on_a_scalar(value):
    _, findings = parse("a.yaml", f"password: {value}\n")
    assert [found.hint for found in findings] == ["Quote it."]
    assert value not in findings[0].message


FRAGMENTS = [
    "a: ", "b", "- ", "\n", "\n  ", "\n\t", " ", "{", "}", "[", "]", ",", ":", ": ", "#", " # x", "&", "*", "!", "!<", "|", ">", "|0", "'", '"',
    "%", "@", "`", "?", "? ", "\\", '"\\x', "${", "---\n", "...\n", "=", "//", "\uff1a", "<<<<<<< x\n", "\r\n", "\ud7ff",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_no_words_of_libyaml_are_shown(text):
    _, findings = parse("a.yaml", text)
    lines = text.split("\n")
    for found in findings:
        for word in (
            "did not find",
            "found ",
            "while ",
            "expected",
            "token",
            "scalar",
            "indicator",
            "this is not YAML",
        ):
            assert word not in found.message
        assert found.hint
        assert len(found.message) <= 200
        assert len(found.hint) <= 200
        assert 1 <= found.line <= len(lines) + 1
        assert found.column <= len(lines[found.line - 1] if found.line <= len(lines) else "") + 2


@pytest.mark.parametrize(
    "text",
    [
        "a: b\n  " + "- " * 100_000 + ": x\n",
        "a: {" + '"\\' * 60_000 + "\n",
        "a: {b c: 1, " + "'\"" * 60_000 + "\n",
        "a: x\n" + "  b\n" * 50_000 + "  c: d: e\n",
        "a: |\n" + "    b\n" * 40_000 + "  c\nd: 1\n",
        ", " * 60_000 + ": @\n",
        "a: b" + ": " * 100_000,
        "x" * 200_000 + ": @\n" + "y: @\n",
        "|" * 100_000 + "\nx: [\n",
    ],
)
def test_no_fault_takes_long_to_word(cpu_seconds, lines_run, text):
    assert cpu_seconds(parse, "a.yaml", text)[1] < 1
    assert lines_run(parse, "a.yaml", text)[1] < 3 * len(text), "it is read once"
