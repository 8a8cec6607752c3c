"""What a CI server would obey in the text of a stranger, by how the servers themselves read a line."""

import json
import re
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.log_commands import disarm, disarm_json, disarm_xml

TEXTS = st.lists(
    st.sampled_from(("::", ":", "#", "##[", "##vso[", "error", " ", "\t", "\n", "\u00a0", "\\", "]", "é")),
    max_size=30,
).map("".join)


def commands(text: str) -> list[str]:
    """The lines that GitHub Actions or Azure Pipelines may take for a command."""
    lines = re.split(r"\r\n|\r|\n", text)
    return [
        line
        for line in lines
        if (line.lstrip().startswith("::") and "::" in line.lstrip()[2:]) or "##[" in line or "##vso[" in line
    ]


@pytest.mark.parametrize(
    "text",
    [
        "::error file=a::hi",
        "one\n  ::set-env name=A::b",
        "one\r\t::add-mask::x",
        "\u00a0::stop-commands::x",
        ":::group::x",
        "at the end ##[error]x",
        "###vso[task.setvariable variable=PATH]x",
        "##teamcity[testStarted name='x']",
    ],
)
def test_a_command_is_none_any_more(text):
    assert disarm(text) != text
    assert not commands(disarm(text))
    assert disarm(text).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    "text", ["", "a::b::c", "  ::date\n", "x = y[::2]", "## heading", "# [1]", "a\n| ::error::x"]
)
def test_other_text_is_left(text):
    assert disarm(text) == text


@given(TEXTS)
def test_no_text_is_obeyed(text):
    assert not commands(disarm(text))


@given(TEXTS)
def test_json_and_xml_say_the_same_without_commands(text):
    document = disarm_json(json.dumps({text: [text]}, indent=2, ensure_ascii=False))
    assert json.loads(document) == {text: [text]}
    assert not commands(document)
    xml = disarm_xml(f"<a>{escape(text)}</a>")
    assert ET.fromstring(xml).text == (text or None)
    assert not commands(xml)
