"""A Bookmark: how far a job has got. It is moved when a run has been delivered, so that nothing is left out."""

from dataclasses import dataclass, replace

CursorValue = int | float | str
"""The largest value of the cursor column so far. Times are ISO 8601 text; a decimal number that no float holds is
text too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Validator:
    """By what an API tells whether its data has changed since (RFC 9110, section 8.8).

    `request` is a digest of the job and of what was asked: an answer to another question says nothing.
    """

    source: str
    request: str
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bookmark:
    """How far a job has got with its data: the high-water mark of a load, and the state of its APIs.

    `origin` says which load `cursor` is of, as `Incremental.origin` does: it means nothing to another one.
    """

    cursor: CursorValue | None = None
    validators: tuple[Validator, ...] = ()
    origin: str = ""

    def validator(self, source: str) -> Validator | None:
        """That of one source; None where there is none."""
        return next((one for one in self.validators if one.source == source), None)

    def for_origin(self, origin: str) -> "Bookmark":
        """What of it holds for a load: one with another column or another start begins anew."""
        return self if self.origin == origin else replace(self, cursor=None, origin=origin)

    def moved_to(self, newer: "Bookmark") -> "Bookmark":
        """The bookmark after a run that got to `newer`: one that saw no rows leaves the cursor where it was."""
        if newer.cursor is None and newer.origin == self.origin:
            return replace(newer, cursor=self.cursor)
        return newer
