"""Which files of this machine a source may read: those in the data roots, and never the runner's own."""

import os
import re
import stat
import threading
from pathlib import Path

from runner.core.source import ENV_FILE, THE_SOURCE, DataSource
from runner.errors import FetchError
from runner.fetch.answering import wait_for_answer
from runner.fetch.checked_file import CheckedFile, ending_of
from runner.fetch.context import FetchContext
from runner.fetch.references import References
from runner.opened import NeverReadError, open_for_a_job, real_path, why_none_for_a_job
from runner.state_files import LOCK_NAME, MAIL, RUNS, SINGLE_RUNS

_DATABASE_ENDINGS = ("", "-wal", "-shm", "-journal")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_UNSAFE_IN_CURSOR = frozenset("/*?[\0")
# `.env` of a project → where it was last found to lie.
_env_files: dict[Path, Path] = {}


def source_key(source: DataSource, key: str) -> str:
    """What a message calls a key of a source: `data_source.location`, `data_sources.orders.location`."""
    return f"data_source.{key}" if source.name == THE_SOURCE else f"data_sources.{source.name}.{key}"


def scheme_of(location: str) -> str | None:
    """`s3` of `s3://bucket/key`; None for a path."""
    found = _SCHEME.match(location)
    return found[1].lower() if found else None


def resolve_location(source: DataSource, context: FetchContext, references: References) -> str:
    """The location with its references replaced.

    Raises:
        FetchError: a reference cannot be resolved; or the cursor, which the data decides, would lead elsewhere.
    """
    cursor = context.facts.get("cursor", "")
    if "${run:cursor}" in source.location and (cursor == ".." or _UNSAFE_IN_CURSOR.intersection(cursor)):
        raise FetchError(
            f"the cursor {cursor!r} cannot stand in {source_key(source, 'location')}",
            hint="A cursor in a location has no `/`, `*`, `?` or `[`. Choose another column for `incremental`.",
        )
    return references.resolve(source.location, source_key(source, "location"))


class FileRules:
    """Which files one fetch may read. What this depends on is resolved once, for any number of files."""

    def __init__(self, context: FetchContext) -> None:
        """Waits for the folder of the project, which may be on a network whose server is away, and not for ever.

        Raises:
            FetchError: it gives no answer, and gave none to an earlier fetch; or the run was cancelled.
            ThreadError: no thread can be started for it.
        """
        project = context.project_dir
        self._rule = f" (relative locations start at {project})"
        self._named_roots = context.bounds.data_roots
        self._roots = tuple(Path(os.path.normpath(project / root)) for root in self._named_roots or ())
        self._real_roots: dict[Path, Path] = {}
        run_dir = _real(context.run_dir)
        self._closed = [run_dir]
        self._own = [_real_env_file(project / ENV_FILE, context.cancelled)]
        # The folder of the runner's state is the one with `runs`, which holds the folder of this run.
        if run_dir.parent.name == RUNS:
            state = run_dir.parent.parent
            database = Path(context.environ.get("JOB_STORAGE_PATH") or "runner.db").name
            self._closed += [state / name for name in (RUNS, MAIL, SINGLE_RUNS)]
            self._own += [state / LOCK_NAME, *(state / f"{database}{ending}" for ending in _DATABASE_ENDINGS)]

    def check(self, path: Path) -> CheckedFile:
        """The file at a path, once it is known that this run may read it. It is opened, and looked at as opened.

        With data roots, links are resolved: what is read is the file that was checked.

        Raises:
            FetchError: it is not there, is no regular file, may not be read, lies outside the data roots, is the
                runner's own, or has no name in UTF-8.
        """
        real, found, ending = self._open_and_look(path)
        self._refuse_own(path, real, found)
        if self._named_roots is not None:
            self._require_root(path, real)
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise FetchError(f"{path} is {what}{self._rule}", hint="Name a file in `location`.")
        # The end of the name tells a compression: a link may have it where its target has not.
        resolve = self._named_roots is not None and real.suffix == path.suffix
        place = real if resolve else path
        _require_utf8(place)
        return CheckedFile(
            path=place,
            bytes=found.st_size,
            device=found.st_dev,
            inode=found.st_ino,
            written_ns=found.st_mtime_ns,
            ending=ending,
        )

    def _open_and_look(self, path: Path) -> tuple[Path, os.stat_result, bytes]:
        """Where an opened file really lies, what it is, and how it ends if it is a regular one."""
        try:
            # Opened rather than looked at: only this proves that it may be read.
            handle = open_for_a_job(path)
            try:
                found = os.fstat(handle)
                ending = ending_of(handle, found.st_size) if stat.S_ISREG(found.st_mode) else b""
                return Path(real_path(path, handle)), found, ending
            finally:
                os.close(handle)
        except NeverReadError:
            raise _none_to_read(path) from None
        except FileNotFoundError:
            raise FetchError(
                f"there is no file {path}{self._rule}",
                hint="Check `location`, and that the file is there when the job runs.",
            ) from None
        except OSError as error:
            raise FetchError(
                f"{path} cannot be read: {error.strerror}",
                hint="The service's user must be able to read this file.",
            ) from None
        except ValueError:
            raise FetchError(f"{str(path)!r} is no path", hint="Check `location`.") from None

    def _refuse_own(self, path: Path, real: Path, found: os.stat_result) -> None:
        """Refuse what holds secrets, or other jobs' data: also by a link of either kind."""
        own = real in self._own or bool(why_none_for_a_job(path, str(real)))
        own = own or any(_is_below(real, folder) for folder in self._closed)
        # A hard link has another path, and is the same file.
        if not own and (found.st_nlink < 2 or not any(_same(found, file) for file in self._own)):
            return
        raise _none_to_read(path)

    def _require_root(self, path: Path, real: Path) -> None:
        # First those that have it by their names: another one may lie where nothing answers.
        likely = sorted(self._roots, key=lambda root: not _is_below(real, root))
        if any(_is_below(real, self._real_root(root)) for root in likely):
            return
        shown = ", ".join(self._named_roots or ()) or "none"
        leads = "" if real == path else f": it leads to {real}"
        raise FetchError(
            f"{path} is outside the data roots of the policy ({shown}){leads}",
            hint="Move the file, or have its folder added to `data_roots` in _policy.yaml.",
        )

    def _real_root(self, root: Path) -> Path:
        if root not in self._real_roots:
            self._real_roots[root] = _real(root)
        return self._real_roots[root]


def _none_to_read(path: Path) -> FetchError:
    return FetchError(
        f"{path} is no data: it belongs to the system or to the runner itself",
        hint="`.env`, `.git`, the runner's database, kept mails and runs, /proc and /sys are never a source.",
    )


def _require_utf8(path: Path) -> None:
    """Refuse what neither an order nor DuckDB takes: a name from a file system or an archive of another encoding.

    Raises:
        FetchError: the path is no UTF-8.
    """
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError:
        raise FetchError(
            f"the name of {name.decode(errors='replace')}, or of a folder that it is in, is not UTF-8",
            hint="Rename it.",
        ) from None


def _real_env_file(path: Path, cancelled: threading.Event) -> Path:
    """Where `.env` lies, which may be a link; while nothing answers there, where it was before.

    Raises:
        FetchError, ThreadError: as by `FileRules`.
    """
    try:
        _env_files[path] = wait_for_answer(path, lambda _: _real(path), cancelled=cancelled)
    except FetchError:
        if cancelled.is_set() or path not in _env_files:
            raise
    return _env_files[path]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it; both absolute, links resolved."""
    # As texts: a pattern may match ten thousand files, and the parents of a Path cost more than to open it.
    return f"{path}/".startswith(f"{folder}/".replace("//", "/"))


def _same(found: os.stat_result, path: Path) -> bool:
    try:
        other = path.stat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (other.st_dev, other.st_ino)
