"""A file of nobody's, for what another process writes and this one reads back."""

import os
import tempfile
from typing import BinaryIO


def open_scratch() -> BinaryIO:
    """An empty file without a name. It is in memory where the system has such files, as Linux does: a container
    may have no folder for temporary ones.

    Raises:
        OSError: there is no room for it, or no descriptor left.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("scratch"), "w+b")
    return tempfile.TemporaryFile()
