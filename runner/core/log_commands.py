"""Texts of strangers in the log of a CI job: a server reads commands out of it, such as `::add-mask::` of GitHub.

Sources: actions/runner, `ActionCommand.cs`: a line that begins, after blanks, with `::` and has another `::`, or
`##[` anywhere in it. microsoft/azure-pipelines-agent, `Command.cs`: `##vso[` anywhere. TeamCity has `##teamcity[`.
"""

import re

# Both servers end a line at either sign.
_AT_START = re.compile(r"(?:\A|(?<=[\n\r]))([^\S\n\r]*):(?=:[^\n\r]*::)")
_ANYWHERE = re.compile(r"##(?=\w*\[)")


def disarm(text: str) -> str:
    """A text without commands: a blank stands within the signs that would begin one."""
    if "::" in text:
        text = _AT_START.sub(r"\1: ", text)
    return _ANYWHERE.sub("# #", text) if "##" in text else text


def disarm_json(text: str) -> str:
    """A JSON document without commands, and with the same values. No line of one begins with a colon."""
    return _ANYWHERE.sub(r"\\u0023#", text) if "##" in text else text


def disarm_xml(text: str) -> str:
    """An XML document without commands, and with the same texts."""
    return _ANYWHERE.sub("&#35;#", _AT_START.sub(r"\1&#58;", text))
