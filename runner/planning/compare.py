"""Two names of commits, or one and the files on disk → a Comparison."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner.core.plan import Comparison, Side
from runner.core.plan_diff import make_plan
from runner.errors import RunnerError
from runner.jobfiles.defaults import job_defaults
from runner.jobfiles.emptiness import KEEP_FILE, is_empty_on_purpose
from runner.jobfiles.git.objects import Commit, ObjectStore
from runner.jobfiles.git.repository import clean_environment, read_revisions
from runner.jobfiles.layers import POLICY_FILE
from runner.jobfiles.walk import require_answer
from runner.planning.load import LoadedSides, load_sides
from runner.planning.sides import SideFiles, commit_side, working_side
from runner.settings import Settings


def compare_commits(
    settings: Settings,
    *,
    base: str,
    head: str = "HEAD",
    working_tree: bool = False,
    now: datetime,
    environ: Mapping[str, str],
) -> Comparison:
    """What becomes of the jobs when `head` is merged into `base`: from where the two parted, as a pull request
    shows it, to `head`, or with `working_tree` to the files on disk.

    Both sides get the defaults of these settings. Nothing is checked out, nothing is fetched.

    Raises:
        GitError: no git, no repository, or no such commit in it.
        RunnerError: the folder of jobs is not in the repository, or on neither side.
        FolderGoneError: a folder on disk that cannot be listed.
        SilentFolderError: the folder of jobs on disk does not answer.
    """
    # The folder may be a link: then it is the link that is in the repository.
    project = Path(os.path.realpath(settings.project_dir))
    jobs_dir = project / settings.jobs_dir.name
    require_answer(jobs_dir)
    with ObjectStore(project if jobs_dir.is_symlink() else jobs_dir, environ) as store:
        _require_inside(jobs_dir, store)
        ends = _find_ends(store, base, head)
        old = commit_side(store, ends.start, jobs_dir, project)
        new: SideFiles
        if working_tree:
            new = working_side(jobs_dir, project)
        else:
            new = commit_side(store, ends.head.object_id, jobs_dir, project)
        defaults = job_defaults(settings)
        sides = load_sides(old, new, jobs_dir=jobs_dir.name, defaults=defaults, now=now)
        notes = [*ends.notes, *_notes_of(sides, new, jobs_dir)]
        if not working_tree and not store.bare:
            notes.extend(_dirty_notes(store, ends.head, jobs_dir, environ))
    if not (sides.base_exists or sides.head_exists):
        raise RunnerError(
            f"there is no folder {jobs_dir.name} on either side",
            hint="Commit it, set JOBS_DIR, or start in the folder that holds jobs.d.",
        )
    return Comparison(
        base=Side(name=ends.base.name, commit=ends.start, merge_base=ends.start != ends.base.object_id),
        head=Side(name=ends.head.name, commit=ends.head.object_id, working_tree=working_tree),
        plan=make_plan(sides.base, sides.head, alike=sides.alike, now=now),
        notes=tuple(notes),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ends:
    """The commits that were asked for, the identifier of the one from which on the head is compared, and what is
    to be said of how they were found."""

    base: Commit
    head: Commit
    start: str
    notes: tuple[str, ...]


def _find_ends(store: ObjectStore, base: str, head: str) -> _Ends:
    asked, wanted = store.find_commit(base), store.find_commit(head)
    parted = store.merge_base(asked.object_id, wanted.object_id)
    notes = [*_ref_notes(base, asked), *_ref_notes(head, wanted)]
    if parted is None:
        notes.append(_no_merge_base(asked, wanted, shallow=store.is_shallow()))
    return _Ends(base=asked, head=wanted, start=parted or asked.object_id, notes=tuple(notes))


def _notes_of(sides: LoadedSides, new: SideFiles, jobs_dir: Path) -> Iterator[str]:
    """What is to be said of a folder as a whole, `new` being what becomes of it."""
    if sides.policy_keys:
        yield _policy_note(jobs_dir, sides.policy_keys)
    if sides.head_empty and not sides.base_empty and not is_empty_on_purpose(new.files, jobs_dir.name):
        yield _emptied_note(jobs_dir)


def _require_inside(jobs_dir: Path, store: ObjectStore) -> None:
    if not jobs_dir.is_relative_to(store.root):
        raise RunnerError(
            f"the folder of jobs {jobs_dir} is not in the repository {store.root}",
            hint="Set JOBS_DIR to a folder of the repository.",
        )


def _ref_notes(asked: str, found: Commit) -> tuple[str, ...]:
    if asked == found.name:
        return ()
    return (f"There is no {asked} here: {found.name} is taken.",)


def _no_merge_base(base: Commit, head: Commit, *, shallow: bool) -> str:
    remedy = (
        " This clone is shallow: git fetch --unshallow, or with actions/checkout fetch-depth: 0, mends it."
        if shallow
        else ""
    )
    return (
        f"{base.name} and {head.name} have no common commit here, so {base.name} itself is compared:"
        f" what has been done there since shows as undone.{remedy}"
    )


def _policy_note(jobs_dir: Path, keys: Sequence[str]) -> str:
    return f"{jobs_dir.name}/{POLICY_FILE} bounds every job otherwise after this: {', '.join(keys)}."


def _emptied_note(jobs_dir: Path) -> str:
    return (
        f"{jobs_dir.name} holds no job file after this: a running service takes that for a folder that is away and"
        f" goes on with every job. If there is to be none, put a file {KEEP_FILE} into it."
    )


def _dirty_notes(store: ObjectStore, head: Commit, jobs_dir: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """A note where the files on disk are those of the head but for changes that are not committed."""
    revisions = read_revisions(Path(store.root), jobs_dir, clean_environment(environ))
    if revisions.commit != head.object_id or not revisions.dirty:
        return ()
    return (
        f"{jobs_dir.name} has changes that are not committed; they are not in here. --working-tree takes them in.",
    )
