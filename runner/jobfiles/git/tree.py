"""The files of one commit: a FileSource over git objects, and the job files in a folder of it."""

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from runner.jobfiles.files import NO_FILE
from runner.jobfiles.git.objects import LINK, Entry, ObjectStore
from runner.jobfiles.read import FileKey, JobFile, ReadFault, decode, no_file, not_a_file
from runner.jobfiles.walk import Listing, is_job_name, is_misnamed

# As many as Linux follows.
_MOST_LINKS = 40


class CommitFiles:
    """The files of a commit; see `FileSource`. Links are followed inside the tree, and lead nowhere outside it.

    Args:
        root: the absolute path that stands for the top of the tree.
        project_dir: absolute; what locations are relative to.
    """

    def __init__(self, store: ObjectStore, commit_id: str, *, root: str, project_dir: str) -> None:
        self._store = store
        self._root = root
        self._top = root.rstrip("/") + "/"
        self._project_dir = project_dir
        # Where the project is in the tree: most locations are found below it at once.
        inside = self._below_root(project_dir)
        self._prefix = None if inside is None else f"{inside}/" if inside else ""
        self._entries = store.entries(commit_id)
        self._folders = _folders(self._entries)
        self._targets: dict[str, str] = {}
        self._fetched: dict[str, bytes] = {}

    @property
    def links(self) -> dict[str, Entry]:
        """The links of the tree: what real paths depend on."""
        return {path: entry for path, entry in self._entries.items() if entry.mode == LINK}

    def read(self, location: str, shown: str) -> JobFile | ReadFault:
        """See `FileSource.read`."""
        path = self._inside(location)
        entry = None if path is None else self._entries.get(path)
        if entry is None:
            return no_file(shown) if path not in self._folders else not_a_file(shown)
        content = self._fetched.get(entry.object_id)
        if content is None:
            content = next(self._store.contents((entry.object_id,)))
        return decode(location, shown, content, _key(entry))

    def probe(self, location: str, *, by_content: bool) -> FileKey | None:
        """See `FileSource.probe`."""
        path = self._inside(location)
        entry = None if path is None else self._entries.get(path)
        if entry is None:
            return NO_FILE if path in self._folders else None
        return _key(entry) if by_content else (0, 0, 0, 0)

    def look(self, location: str) -> FileKey | None:
        """See `FileSource.look`."""
        return self.probe(location, by_content=False)

    def look_ahead(self, locations: Iterable[str], *, resolved: Iterable[str] = ()) -> None:
        """Nothing to do: what is in a commit is known."""

    def real_path(self, location: str) -> str:
        """See `FileSource.real_path`."""
        return os.path.relpath(self._real(location) or self._absolute(location), self._project_dir)

    def object_id(self, location: str) -> str | None:
        """The id of a file's content; None where there is no file."""
        path = self._inside(location)
        entry = None if path is None else self._entries.get(path)
        return None if entry is None else entry.object_id

    def fetch(self, locations: Iterable[str]) -> None:
        """Read in one go what is about to be asked for by `read`, once each. What is left of before is dropped."""
        wanted = list(dict.fromkeys(found for one in locations if (found := self.object_id(one)) is not None))
        self._fetched = dict(zip(wanted, self._store.contents(wanted), strict=True))

    def list_job_files(self, folder: str) -> Listing | None:
        """As `walk.list_job_files`, below a location; None where there is no such folder."""
        top = self._inside(folder)
        if top is None or top not in self._folders:
            return None
        files: list[str] = []
        misnamed: list[str] = []
        seen: set[str] = set()
        real: deque[tuple[str, str]] = deque([("", top)])
        linked: deque[tuple[str, str]] = deque()
        children = _children(self._entries, self._folders)
        while real or linked:
            shown, place = real.popleft() if real else linked.popleft()
            if place in seen:
                continue
            seen.add(place)
            for name in children.get(place, ()):
                if name.startswith("."):
                    continue
                path, inner = _join(shown, name), _join(place, name)
                if inner in self._folders:
                    real.append((path, inner))
                elif (target := self._folder_behind(inner)) is not None:
                    linked.append((path, target))
                elif is_job_name(name):
                    files.append(path)
                elif is_misnamed(name):
                    misnamed.append(path)
        return Listing(files=tuple(sorted(files)), misnamed=tuple(sorted(misnamed)))

    def _folder_behind(self, path: str) -> str | None:
        if self._entries[path].mode != LINK:
            return None
        target = self._inside(os.path.join(self._root, path))  # noqa: PTH118 - texts, as everywhere here
        return target if target in self._folders else None

    def _absolute(self, location: str) -> str:
        return os.path.normpath(os.path.join(self._project_dir, location))  # noqa: PTH118

    def _inside(self, location: str) -> str | None:
        """The path in the tree that a location leads to, there or not; None where it leads out of the tree."""
        if self._prefix is not None:
            path = self._prefix + location
            entry = self._entries.get(path)
            if entry is not None and entry.mode != LINK:
                return path
        real = self._real(location)
        return None if real is None else self._below_root(real)

    def _real(self, location: str) -> str | None:
        """The absolute path with every link of the tree followed; None where links lead in a circle."""
        place = os.path.join(self._project_dir, location)  # noqa: PTH118
        for _ in range(_MOST_LINKS):
            inside = self._below_root(place)
            if inside is None:
                return os.path.normpath(place)
            entry = self._entries.get(inside)
            if inside in self._folders or (entry is not None and entry.mode != LINK):
                return self._top + inside
            place, is_real = self._walk(inside.split("/"))
            if is_real:
                return place
        return None

    def _walk(self, parts: list[str]) -> tuple[str, bool]:
        """The absolute path of steps from the top, with the first link or step out of the tree put in; and whether
        there was neither."""
        done: list[str] = []
        for place, part in enumerate(parts):
            if part == "..":
                if not done:
                    return os.path.normpath(self._top + "/".join(parts[place:])), False
                done.pop()
            elif part not in {"", "."}:
                here = "/".join((*done, part))
                entry = self._entries.get(here)
                if entry is not None and entry.mode == LINK:
                    return os.path.join(self._root, *done, self._target(entry), *parts[place + 1 :]), False  # noqa: PTH118
                done.append(part)
        return self._top + "/".join(done), True

    def _target(self, entry: Entry) -> str:
        known = self._targets.get(entry.object_id)
        if known is None:
            known = next(self._store.contents((entry.object_id,))).decode("utf-8", "surrogateescape")
            self._targets[entry.object_id] = known
        return known

    def _below_root(self, path: str) -> str | None:
        """The path from the top of an absolute one; None outside it."""
        for form in (path, os.path.normpath(path)):
            if form.startswith(self._top):
                return form[len(self._top) :]
            if form == self._root:
                return ""
        return None


def _key(entry: Entry) -> FileKey:
    return (int(entry.object_id[:15], 16), 0, 0, 0)


def _folders(paths: Iterable[str]) -> frozenset[str]:
    """The folders that paths are in, the top among them."""
    found = {""}
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return frozenset(found)


def _children(paths: Iterable[str], folders: Iterable[str]) -> Mapping[str, list[str]]:
    """The names in each folder."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in (*paths, *folders):
        if path:
            folder, _, name = path.rpartition("/")
            found[folder].append(name)
    return found


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
