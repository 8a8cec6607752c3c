"""The only place that runs git; and the revision of job files. Without git, or outside a repository: none."""

import logging
import math
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from runner.children import run_child
from runner.errors import RunnerError
from runner.scratch import open_scratch

_log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10.0
# So many times what it took a git that failed or hung, it is not asked again: edits wait for it.
_PAUSE_SHARE = 30
# Listing a large tree, or looking for the common ancestor of two long histories.
LONG_TIMEOUT_SECONDS = 120.0
# A repository can name programs that git runs: job files may come from anyone.
_NOTHING_FOREIGN = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
DIRTY = "+dirty"
_STATUS = (
    "status",
    "--porcelain=v2",
    "--branch",
    "-z",
    "--untracked-files=normal",
    "--no-renames",
)
# A folder of jobs may be a submodule: what is changed in it is in no commit of the repository around it.
_WITH_SUBMODULES = "--ignore-submodules=none"
_WITHOUT_SUBMODULES = "--ignore-submodules=all"
_SUBMODULE_MODE = "160000"
# Their state moves with every commit, checkout and `git add`.
_STATE_FILES = ("HEAD", "index", "logs/HEAD")

StateKey = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Revisions:
    """One state of a repository. `commit` is empty where there is none; `dirty` are paths relative to the project
    folder, those of untracked folders with `/` at the end; an empty one stands for the whole project."""

    commit: str = ""
    dirty: frozenset[str] = frozenset()

    def of(self, *paths: str) -> str:
        """The revision of something made of these files: the commit, `+dirty` after it where one differs."""
        if not self.commit:
            return ""
        return self.commit + (DIRTY if any(self._is_dirty(path) for path in paths) else "")

    def _is_dirty(self, path: str) -> bool:
        if path in self.dirty or "" in self.dirty:
            return True
        parts = path.split("/")
        return any("/".join(parts[:count]) + "/" in self.dirty for count in range(1, len(parts)))


class GitError(RunnerError):
    """Git is missing, there is no repository, or git refuses."""


class Repository:
    """The repository that holds a project folder; asked again only when it or the files have changed, or where git
    has failed or hung: that is told once, for it may pass. Until it is asked then there is no revision.

    Args:
        monotonic: seconds; only differences count.
    """

    def __init__(
        self,
        project_dir: Path,
        environ: Mapping[str, str] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project_dir = project_dir
        self._environ = clean_environment(os.environ if environ is None else environ)
        self._state: tuple[Path, StateKey] | None = None
        self._revisions = Revisions()
        self._told = ""
        self._monotonic = monotonic
        self._ask_at = -math.inf

    def revisions(self, *, files_changed: bool) -> Revisions:
        """The state now; from memory while neither files nor the repository's own state files have changed."""
        project = self._project_dir.resolve()
        root = find_root(project)
        if root is None:
            self._state = None
            return Revisions()
        # Asked for before git is: a commit in between is seen by the next call.
        state = (root, _state_key(root))
        began = self._monotonic()
        if (files_changed or state != self._state) and began >= self._ask_at:
            self._state = None
            self._revisions, fault = _ask_revisions(root, project, self._environ)
            if not fault:
                self._state = state
            elif fault != self._told:
                _log.warning("%s", fault)
            if fault:
                ended = self._monotonic()
                self._ask_at = ended + _PAUSE_SHARE * (ended - began)
            self._told = fault
        return self._revisions


def find_root(folder: Path) -> Path | None:
    """The nearest folder at or above that holds `.git`."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git asks nobody, takes no lock, looks at no other repository, fetches nothing, and
    takes objects and paths as they are."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        # A partial clone fetches what it lacks, by programs that its configuration names: no transport is allowed.
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "LC_ALL": "C",
    }


def run_git(folder: str, *arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder to its end, whatever it answers. `environ` is one of `clean_environment`.

    Raises:
        GitError: git is not installed, or does not end in time.
    """
    try:
        command = ("git", *_NOTHING_FOREIGN, "-C", folder, *arguments)
        return run_child(command, environ=environ, seconds=LONG_TIMEOUT_SECONDS)
    except (OSError, ValueError) as error:
        raise _cannot_run(error) from error
    except subprocess.TimeoutExpired as error:
        raise GitError(
            f"git {arguments[0]} takes longer than {LONG_TIMEOUT_SECONDS:.0f} s", hint="Run git gc, and try again."
        ) from error


def start_git(
    folder: str, *arguments: str, environ: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a git that answers what it is asked on its standard input; and the file of its complaints.

    Raises:
        GitError: git is not installed.
    """
    # A file, not a pipe: nobody reads it while answers are waited for.
    complaints = open_scratch()
    try:
        process = subprocess.Popen(
            ("git", *_NOTHING_FOREIGN, "-C", folder, *arguments),
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
    except OSError as error:
        complaints.close()
        raise _cannot_run(error) from error
    return process, complaints


def _cannot_run(error: Exception) -> GitError:
    """The error for a git that does not start."""
    if isinstance(error, FileNotFoundError):
        return GitError("git is not installed", hint="Install git: this command reads commits.")
    return GitError(f"git cannot be run: {error}", hint="Try git status in the same folder.")


def read_revisions(root: Path, project: Path, environ: Mapping[str, str]) -> Revisions:
    """Commit and changed files of a folder by one `git status`; none, and a warning, where git fails or hangs."""
    revisions, fault = _ask_revisions(root, project, environ)
    if fault:
        _log.warning("%s", fault)
    return revisions


def _ask_revisions(root: Path, project: Path, environ: Mapping[str, str]) -> tuple[Revisions, str]:
    """Commit and changed files of a folder, and why there are none where git fails or hangs."""
    prefix = _prefix(root, project)
    ask = partial(_ask, root, prefix.rstrip("/") or ".", environ)
    try:
        try:
            return _parse_status(ask(*_STATUS, _WITH_SUBMODULES), prefix), ""
        except subprocess.CalledProcessError as error:
            # One submodule that cannot be read, as its repository is gone or another user's, fails all of it.
            submodules = _submodules(ask("ls-files", "--stage", "-z"))
            if not submodules:
                raise
            _log.warning("git does not tell what is changed in submodules of %s: %s", project, _said(error))
            return _parse_status(ask(*_STATUS, _WITHOUT_SUBMODULES), prefix, submodules), ""
    except FileNotFoundError:
        _log.debug("git is not installed: jobs have no revision")
        return Revisions(), ""
    except (OSError, subprocess.SubprocessError) as error:
        return Revisions(), f"git does not tell the revision of {project}: {_said(error)}"


def _ask(root: Path, place: str, environ: Mapping[str, str], *arguments: str) -> str:
    """What git answers about a place in a repository.

    Raises:
        OSError: git cannot be run.
        subprocess.SubprocessError: it fails, or does not end in time.
    """
    command = ("git", *_NOTHING_FOREIGN, "-C", os.fspath(root), *arguments, "--", place)
    done = run_child(command, environ=environ, seconds=TIMEOUT_SECONDS)
    done.check_returncode()
    return done.stdout.decode("utf-8", "surrogateescape")


def _said(error: Exception) -> str:
    """What git said of an error."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it takes longer than {error.timeout:.0f} s. Try git status in the same folder"
    return (getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip() or str(error)


def _submodules(output: str) -> frozenset[str]:
    """The folders of submodules, with `/` at the end, among the entries of git-ls-files(1) with --stage and -z."""
    entries = (record.partition("\t") for record in output.split("\0"))
    return frozenset(f"{path}/" for entry, _, path in entries if entry.startswith(_SUBMODULE_MODE))


def _prefix(root: Path, project: Path) -> str:
    inside = project.relative_to(root).as_posix()
    return "" if inside == "." else inside + "/"


def _parse_status(output: str, prefix: str, unknown: frozenset[str] = frozenset()) -> Revisions:
    """Porcelain v2 with -z (git-status(1)): paths are relative to the root, and renames are shown as two files.
    What is `unknown` may be changed."""
    commit = ""
    changed = set(unknown)
    for record in output.split("\0"):
        kind, _, rest = record.partition(" ")
        if record.startswith("# branch.oid "):
            commit = record.removeprefix("# branch.oid ")
        elif kind in {"1", "u", "?"}:
            # Fields before the path: 8 of a changed entry, 10 of an unmerged one, none of an untracked one.
            *fields, path = rest.split(" ", {"1": 7, "u": 9, "?": 0}[kind])
            # Whatever is below a submodule may differ.
            changed.add(f"{path}/" if fields and fields[1].startswith("S") else path)
    if commit in {"", "(initial)"}:
        return Revisions()
    dirty = {path.removeprefix(prefix) for path in changed if path.startswith(prefix)}
    if any(path.endswith("/") and prefix.startswith(path) for path in changed):
        dirty.add("")  # the whole project is untracked
    return Revisions(commit=commit, dirty=frozenset(dirty))


def _state_key(root: Path) -> StateKey:
    git_dir = _git_dir(root)
    return tuple(_file_state(git_dir / name) for name in _STATE_FILES)


def _git_dir(root: Path) -> Path:
    """Of a worktree or submodule, `.git` is a file that names the folder."""
    place = root / ".git"
    try:
        if place.is_file():
            return (
                root / place.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()
            )
    except OSError:
        pass
    return place


def _file_state(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
