"""Where a script was when its process crashed: Python tells it on standard error, before the process ends."""

import faulthandler
import re

_STANDARD_ERROR = 2
# What `faulthandler` begins with. Other ends that Python calls fatal have words of their own, which are kept.
_BEGIN = re.compile(
    r"^Fatal Python error: "
    r"(?:Segmentation fault|Aborted|Bus error|Floating[ -]point exception|Illegal instruction)$",
    re.MULTILINE,
)


def tell_of_crashes() -> None:
    """From now on this process tells where it was when it crashes. Of the thread that does alone: what others have
    in hand may be what is broken."""
    faulthandler.enable(file=_STANDARD_ERROR, all_threads=False)


def own_words(output: str) -> str:
    """What a process that crashed printed itself."""
    return _BEGIN.split(output, maxsplit=1)[0]


def line_of_crash(output: str, path: str) -> int | None:
    """The line of the file at `path` where its code was last; None where Python tells of none."""
    told = output[len(own_words(output)) :]
    # Letters that are not ASCII are told as escapes.
    written = re.escape(path.encode("ascii", "backslashreplace").decode())
    found = re.search(rf'^  File "{written}", line ([0-9]{{1,9}}) in ', told, re.MULTILINE)
    return int(found[1]) if found else None
