"""What the service and the zygote say to each other. Free of heavy imports: both sides use it."""

import struct
from dataclasses import dataclass

CHILD_REQUEST = b"child"
TAKE_CHILD = b"take"
NO_CHILD = b"none:"
STATUS = struct.Struct("=iqd")
"""How a child ended: its wait status, its largest resident memory in KiB, its CPU time in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ZygoteConfig:
    """The zygote's command line, as JSON."""

    control_fd: int
    sandbox_mode: str
    waiting: int
    read_roots: list[str]
