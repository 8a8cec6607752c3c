"""File sources: the user's file, read in place."""

import os
import stat
from pathlib import Path

from runner.core.report import size_words
from runner.core.source import DataSource
from runner.errors import FetchError
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.references import References


def fetch_file(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """The file that `location` names. Nothing is copied.

    Raises:
        FetchError: it is not there, is no regular file, or may not be read.
    """
    location = references.resolve(source.location, "data_source.location")
    path = Path(os.path.normpath(context.project_dir / location))
    rule = "" if Path(location).is_absolute() else f" (relative locations start at {context.project_dir})"
    try:
        # Opened rather than looked at: only this proves that it may be read. Non-blocking: a FIFO cannot hold it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise FetchError(
            f"there is no file {path}{rule}",
            hint="Check `location`, and that the file is there when the job runs.",
        ) from None
    except OSError as error:
        raise FetchError(
            f"{path} cannot be read: {error.strerror}", hint="The service's user must be able to read this file."
        ) from None
    except ValueError:
        raise FetchError(f"{location!r} is no path", hint="Check `location`.") from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise FetchError(f"{path} is {what}{rule}", hint="Name a file in `location`.")
    return Fetched(
        paths=(path,),
        format=source.format,
        records_path=source.records_path,
        bytes=found.st_size,
        in_place=True,
        secrets=references.secrets,
        description=references.mask(f"{path}, {size_words(found.st_size)}"),
    )
