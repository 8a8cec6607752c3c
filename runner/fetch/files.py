"""File sources: the user's files, read in place."""

import os
import time
from pathlib import Path

from runner.core.report import size_words
from runner.core.source import DataSource
from runner.errors import FetchError
from runner.fetch.answering import SILENCE_SECONDS, wait_for_answer
from runner.fetch.checked_file import CheckedFile
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.deadline import Deadline
from runner.fetch.patterns import find_matches, has_pattern
from runner.fetch.places import FileRules, resolve_location
from runner.fetch.references import References

LARGEST_MATCH = 10_000


def fetch_file(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """The files that `location` names: one, or all that a pattern matches, in the order of their paths.

    Nothing is copied. A name that is there as it is written is that file, also with a `[` in it. The search for
    matches is bounded by `timeout_seconds`.

    Raises:
        FetchError: there is none, or one is no regular file, may not be read, or is not the job's to read; or a
            folder that may hold some cannot be read; or they are more than 10,000, or together larger than
            `max_bytes`; or where they lie gives no answer.
    """
    location = resolve_location(source, context, references)
    path = Path(os.path.normpath(context.project_dir / location))
    rules = FileRules(context)
    found = wait_for_answer(
        path,
        lambda deadline: _checked(path, context, rules, deadline),
        cancelled=context.cancelled,
        # A search says by itself that it takes too long: past this it hangs in a file system.
        seconds=context.timeout_seconds + SILENCE_SECONDS,
    )
    size = sum(file.bytes for file in found)
    if size > source.max_bytes:
        raise too_large(str(path), size, source.max_bytes)
    return Fetched(
        paths=tuple(file.path for file in found),
        in_place=tuple(found),
        format=source.format,
        records_path=source.records_path,
        bytes=size,
        secrets=references.secrets,
        description=references.mask(_description(path, found, size)),
    )


def _checked(path: Path, context: FetchContext, rules: FileRules, deadline: Deadline) -> list[CheckedFile]:
    found = []
    for one in _named(path, context):
        # Ten thousand files that answer slowly do answer.
        deadline.renew()
        found.append(rules.check(one))
    return found


def too_large(what: str, size: int, limit: int) -> FetchError:
    """The files of a source are more than the job wants."""
    return FetchError(
        f"{what} has {size_words(size)}, more than the {size_words(limit)} that `max_bytes` allows",
        hint="Name fewer or smaller files in `location`, or raise `max_bytes`.",
    )


def too_many(what: str) -> FetchError:
    """A pattern matches more files than one table is made of."""
    return FetchError(
        f"{what} matches more than {LARGEST_MATCH:,} files",
        hint="Make the pattern in `location` narrower, for example with ${run:scheduled_date}.",
    )


def no_match(what: str, rule: str = "") -> FetchError:
    """A pattern matches nothing, or an object store has nothing of a name."""
    if not has_pattern(what):
        return FetchError(
            f"there is no file {what}",
            hint="Check `location`, and that the file is there when the job runs.",
        )
    return FetchError(
        f"no file matches {what}{rule}",
        hint="Check the pattern in `location`, and that the files are there when the job runs.",
    )


def _named(path: Path, context: FetchContext) -> list[Path]:
    if not has_pattern(str(path)) or _is_there(path):
        return [path]
    end = time.monotonic() + context.timeout_seconds

    def check() -> None:
        if context.cancelled.is_set():
            raise FetchError(f"the run was cancelled while the files of {path} were looked for")
        if time.monotonic() > end:
            raise FetchError(
                f"the files of {path} were not found within {context.timeout_seconds:g} s",
                hint="The pattern covers too many folders: begin it with the folder that holds the files.",
            )

    def unread(error: OSError) -> None:
        raise FetchError(
            f"{error.filename} cannot be looked at, and {path} leads there: {error.strerror}",
            hint="Give the user of the service the right to read it, or write a pattern that does not lead there.",
        )

    matches: set[Path] = set()
    for match in find_matches(path, check=check, unread=unread):
        matches.add(match)
        if len(matches) > LARGEST_MATCH:
            raise too_many(str(path))
    if not matches:
        raise no_match(str(path), f" (relative locations start at {context.project_dir})")
    return sorted(matches)


def _is_there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        # No path at all: to open it tells.
        return True


def _description(path: Path, found: list[CheckedFile], size: int) -> str:
    if len(found) == 1:
        return f"{found[0].path}, {size_words(size)}"
    return f"{len(found):,} files of {path}, {size_words(size)}"
