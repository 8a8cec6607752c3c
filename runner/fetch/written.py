"""Files in the folder of a run that a fetch writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import requests

from runner.errors import FetchError


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file in the run's folder, written anew.

    Raises:
        FetchError: the disk does not take it.
    """
    try:
        with path.open("wb") as file:
            yield file
    except requests.RequestException:
        raise  # an OSError too, but not the disk's
    except OSError as error:
        raise FetchError(
            f"the answer cannot be stored in {path.parent}: {error.strerror}",
            hint="Look at the free space and the rights of the folder of JOB_STORAGE_PATH.",
        ) from None
