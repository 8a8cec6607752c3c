"""A folder without a job file: empty because somebody said so in git, or because what belongs there is away.

Git knows no empty folders. A mount that is gone leaves one: nobody has removed any job by that.
"""

from runner.jobfiles.files import FileSource
from runner.jobfiles.layers import DEFAULTS_FILE, POLICY_FILE

KEEP_FILE = ".gitkeep"


def is_empty_on_purpose(files: FileSource, folder: str) -> bool:
    """Whether a folder of jobs without any says, by a file at its top, that it is the one from git."""
    return any(
        files.probe(f"{folder}/{name}", by_content=False) is not None
        for name in (KEEP_FILE, DEFAULTS_FILE, POLICY_FILE)
    )
