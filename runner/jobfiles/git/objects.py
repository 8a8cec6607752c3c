"""What a repository holds: commits, the entries of their trees, and contents. Nothing is checked out."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from runner.children import end_child
from runner.jobfiles.git.repository import GitError, clean_environment, run_git, start_git
from runner.jobfiles.read import MAX_BYTES

LINK = "120000"
_SUBMODULE = "160000"
# Neither an option nor an expression such as HEAD~3.
_BRANCH = re.compile(r"[A-Za-z0-9_][\w./+-]*")
_FETCH = "git fetch origin {branch}:refs/remotes/origin/{branch}"
# As many questions as fit into a pipe together: while they are written nobody reads the answers.
_ASKED_AT_ONCE = 500
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or link of a tree: its mode in octal digits, and the id of its content."""

    mode: str
    object_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit, and the name it was found by."""

    name: str
    object_id: str


class ObjectStore:
    """The objects of the repository that holds a folder; to be closed, best as a context manager.

    `root` is the top of its files, or of a bare repository the repository itself; links are resolved.

    Raises:
        GitError: no git, no repository here, or one that git refuses to read.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self._environ = clean_environment(os.environ if environ is None else environ)
        # In a bare repository, or a sparse one, there may be no such folder.
        self._folder = os.fspath(next(place for place in (folder, *folder.parents) if place.is_dir()))
        self.bare = self._say("rev-parse", "--is-inside-work-tree") != "true"
        self.root = self._say("rev-parse", "--absolute-git-dir" if self.bare else "--show-toplevel")
        self._process: tuple[subprocess.Popen[bytes], IO[bytes]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads contents."""
        if self._process is None:
            return
        process, complaints = self._process
        self._process = None
        end_child(process, "git cat-file")
        complaints.close()

    def find_commit(self, name: str) -> Commit:
        """The commit of a name, or of `origin/` and the name where that alone is known.

        Raises:
            GitError: there is none; the hint says how to have it.
        """
        for candidate in (name, f"refs/remotes/origin/{name}"):
            found = self._commit_id(candidate)
            if found:
                return Commit(name=candidate.removeprefix("refs/remotes/"), object_id=found)
        raise self._no_commit(name)

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor of two commits; None where this clone knows none."""
        done = run_git(self._folder, "merge-base", one, other, environ=self._environ)
        return _text(done.stdout).split("\n")[0] or None if done.returncode == 0 else None

    def is_shallow(self) -> bool:
        """Whether the history is cut."""
        return self._say("rev-parse", "--is-shallow-repository") == "true"

    def entries(self, commit_id: str) -> dict[str, Entry]:
        """Files and links of a commit by path from the root, with `/`; bytes that are no UTF-8 as surrogates.

        Submodules are left out.
        """
        done = run_git(self._folder, "ls-tree", "-r", "-z", "--full-tree", commit_id, environ=self._environ)
        if done.returncode != 0:
            raise _refusal(done)
        found = {}
        for record in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
            if record:
                fields, _, path = record.partition("\t")
                mode, _, object_id = fields.split(" ")
                if mode != _SUBMODULE:
                    found[path] = Entry(mode, object_id)
        return found

    def contents(self, object_ids: Iterable[str]) -> Iterator[bytes]:
        """Contents in the order asked for, each cut one byte after the most that a job file may hold."""
        wanted = list(object_ids)
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            some = wanted[start : start + _ASKED_AT_ONCE]
            process = self._reader()
            assert process.stdin is not None
            try:
                process.stdin.write("".join(f"{one}\n" for one in some).encode())
                process.stdin.flush()
            except BrokenPipeError:
                raise self._unreadable(some[0]) from None
            # Answered before anything else is asked, whatever the caller does in between.
            yield from [self._answer(process, one) for one in some]

    def _reader(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = start_git(self._folder, "cat-file", "--batch", environ=self._environ)
        return self._process[0]

    def _answer(self, process: subprocess.Popen[bytes], object_id: str) -> bytes:
        """One answer: `ID blob SIZE`, a line feed, the content and a line feed (git-cat-file(1))."""
        stream = process.stdout
        assert stream is not None
        fields = stream.readline().split()
        if len(fields) != 3 or fields[1] != b"blob":
            raise self._unreadable(object_id)
        size = int(fields[2])
        content = stream.read(min(size, MAX_BYTES + 1))
        left = size - len(content) + 1
        while left > 0:
            dropped = len(stream.read(min(left, _CHUNK)))
            if dropped == 0:
                raise self._unreadable(object_id)
            left -= dropped
        return content

    def _unreadable(self, object_id: str) -> GitError:
        said = ""
        if self._process is not None:
            process, complaints = self._process
            end_child(process, "git cat-file")
            complaints.seek(0)
            said = _text(complaints.read(1000)).split("\n")[0]
        self.close()
        return GitError(
            f"git has no content for {object_id[:12]}" + (f": {said}" if said else ""),
            hint="A partial clone lacks contents: clone without --filter, or run git fetch --refetch --no-filter.",
        )

    def _no_commit(self, name: str) -> GitError:
        if not name:
            return GitError("the name of a commit is empty", hint="Name a branch, a tag or a commit.")
        if name == "HEAD":
            return GitError(
                "the repository has no commit yet", hint="Commit first; then there is what to compare."
            )
        branch = name.removeprefix("origin/")
        fetch = _FETCH.format(branch=branch) if _BRANCH.fullmatch(branch) else "git fetch"
        if self.is_shallow():
            return GitError(
                f"there is no commit {name!r} in this shallow clone",
                hint=f"Fetch it: {fetch} --depth=100; with actions/checkout set fetch-depth: 0.",
            )
        return GitError(
            f"there is no commit {name!r} here",
            hint=f"Name a branch, tag or commit that git log knows; a branch of origin comes by {fetch}.",
        )

    def _commit_id(self, name: str) -> str | None:
        if not name or name.startswith("-") or "\0" in name:
            return None
        commit = f"{name}^{{commit}}"
        done = run_git(self._folder, "rev-parse", "--verify", "--quiet", commit, environ=self._environ)
        found = _text(done.stdout)
        return found if done.returncode == 0 and found.isalnum() else None

    def _say(self, *arguments: str) -> str:
        done = run_git(self._folder, *arguments, environ=self._environ)
        if done.returncode != 0:
            raise _refusal(done)
        return _text(done.stdout)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape").removesuffix("\n")


def _refusal(done: "subprocess.CompletedProcess[bytes]") -> GitError:
    """What git says, in one line; the remedies it names are the hint."""
    said = done.stderr.decode("utf-8", "replace").strip()
    first = next((line for line in said.split("\n") if line.startswith("fatal: ")), said.split("\n")[0])
    message = first.removeprefix("fatal: ")
    if "dubious ownership" in message:
        remedy = next((line.strip() for line in said.split("\n") if "safe.directory" in line), "")
        return GitError(message, hint=f"If you trust the repository: {remedy}")
    if "not a git repository" in message:
        return GitError("this is no git repository", hint="Go to the repository that holds the folder of jobs.")
    return GitError(f"git fails: {message}", hint="Try git status in the same folder.")
