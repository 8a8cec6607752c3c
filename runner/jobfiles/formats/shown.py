"""Foreign text on its way to a terminal or a log: what may be shown of it, and how wide it is."""

import unicodedata


def clean(text: str) -> str:
    """Text in one line that no terminal takes for a command: controls are replaced, a tab is one blank."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character in "\t\n\r" else "\ufffd" for character in text
    )


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
