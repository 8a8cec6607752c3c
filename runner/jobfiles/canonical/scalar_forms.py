"""A text → how it is written in YAML so that every reader, of YAML 1.1 or 1.2, reads it exactly."""

import re

from runner.jobfiles.read import BAD_CHARACTER, find_bad_character
from runner.jobfiles.scalars import resolve_plain

# https://yaml.org/spec/1.2.2/#53-indicator-characters, and what two dots or dashes more would make of a line.
_START = re.compile(r"[?:,\[\]{}#&*!|>'\"%@`]|-(?![A-Za-z0-9_/])|\.\.\.|<<\Z")
_INSIDE = re.compile(r":[ \t]|[ \t]#|[\t\r\n]|:\Z|[ ]\Z")
_FLOW = re.compile(r"[,\[\]{}?]|:(?![A-Za-z0-9/])")
_INDENTED_START = re.compile(r"\n*[ \t]")
# Quotes, what cannot be told from other characters, and what no file may hold raw.
_ESCAPED = re.compile(r"[\"\\\t\n\r\xa0\ufff0-\uffff]|" + BAD_CHARACTER)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\x1b": "\\e"}


def one_line(text: str, *, flow: bool = False) -> str:
    """A text on one line: plain where it can stand so, else in double quotes. `flow`: between [ ] or { }."""
    return text if _is_plain(text, flow=flow) else quoted(text)


def quoted(text: str) -> str:
    """A text in double quotes."""
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def literal(text: str) -> tuple[str, list[str]] | None:
    """A text as a literal block: what stands beside the key, and its lines without their indentation of two.

    None where a block cannot carry it exactly: without a letter in it, or with characters that need an escape.
    """
    if not text.strip() or "\r" in text or _first_bad(text):
        return None
    if text.endswith("\n\n"):
        chomping, body = "+", text[:-1]
    elif text.endswith("\n"):
        chomping, body = "", text[:-1]
    else:
        chomping, body = "-", text
    # Its first line would be taken for the indentation of all.
    indentation = "2" if _INDENTED_START.match(text) else ""
    return f"|{indentation}{chomping}", body.split("\n")


def folded(text: str, width: int) -> tuple[str, list[str]] | None:
    """A text of one line, or one with a line end, as a folded block filled to a width; None as `literal`."""
    body = text.removesuffix("\n")
    words = body.split(" ")
    if "" in words or any(character in body for character in "\n\t\r") or _first_bad(body):
        return None
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return (">" if body != text else ">-"), lines


def _is_plain(text: str, *, flow: bool) -> bool:
    if not text or text[0] == " " or _START.match(text) or _INSIDE.search(text):
        return False
    if flow and _FLOW.search(text):
        return False
    # What one reader of YAML takes for text and another does not is refused or something else here.
    return resolve_plain(text) == text and not _first_bad(text)


def _first_bad(text: str) -> bool:
    return find_bad_character("", text) is not None


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
