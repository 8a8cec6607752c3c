"""Texts of strangers made fit to be shown, in a mail, on a page, on a terminal: nothing in them is invisible."""

import re

# Control characters but tab and line end, halves of surrogate pairs, and what turns the direction of text.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
# A file system has room for so many files too, and says the same of both.
NO_ROOM_HINT = (
    "Free some space on the disk of JOB_STORAGE_PATH; where df shows room there, df -i shows whether it can hold "
    "no more files."
)


def visible(text: str) -> str:
    """The text with unfit characters as escapes, such as `\\x1b`. Line ends become `\\n`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNFIT.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """As `visible`, on one line: line ends and tabs become spaces."""
    return visible(text).replace("\n", " ").replace("\t", " ").strip()


def squeezed(text: str, limit: int) -> str:
    """The text in at most `limit` characters: of a longer one the beginning, and the last quarter, which tells the
    place of an error."""
    if len(text) <= limit:
        return text
    end = limit // 4
    return f"{text[: limit - end - 3]} … {text[-end:]}"


def counted(count: int, noun: str) -> str:
    """`1 job`, `2,000 jobs`: of nouns with a plural in s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def kind_words(value: object) -> str:
    """The kind of a value of JSON, for people."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "an array"
        case _:
            return "an object"


def joined(*notes: str) -> str:
    """Notes of one thing in one line, without those that say nothing."""
    return "; ".join(filter(None, notes))
