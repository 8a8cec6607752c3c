"""The values of an effective job, and where each comes from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """What gives a value."""

    FILE = "file"
    DEFAULTS = "defaults"
    POLICY = "policy"
    SETTING = "setting"
    BUILT_IN = "built_in"


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectiveValue:
    """One value of an effective job.

    `path` is such as `("data_source", "location")`. `source` is a file for `file`, `defaults` and `policy`, the
    name of a setting for `setting`, and empty for what is built in; `line` is known of the first two.
    """

    path: tuple[str | int, ...]
    value: Any
    origin: Origin
    source: str = ""
    line: int | None = None

    @property
    def name(self) -> str:
        """The path with dots between."""
        return ".".join(str(part) for part in self.path)
