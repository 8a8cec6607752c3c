"""Other people's words, as a message shows them: those of a server, a driver, a store."""

from runner.fetch.references import References

_LONGEST = 500


def one_line(text: str) -> str:
    """White space folded, control and invisible characters as escapes."""
    folded = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in folded)


def shown_words(text: str, references: References) -> str:
    """One masked line of at most 500 characters.

    Masked before it is folded and cut: half a secret would not be recognised.
    """
    line = one_line(references.mask(" ".join(references.mask_cut(text).split())))
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
