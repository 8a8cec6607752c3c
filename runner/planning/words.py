"""A plan in words: what text and markdown have in common. Foreign text is not yet cleaned here."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.core.diagnostic import Diagnostic
from runner.core.plan import Action, Comparison, InvalidFile, InvalidState, JobChange, Plan, RecipientChange, Side
from runner.core.plan_values import KeyChange
from runner.core.report import local_time
from runner.core.words import counted

STATE_WORDS = {
    InvalidState.NEWLY_INVALID: "newly invalid",
    InvalidState.STILL_INVALID: "still invalid",
    InvalidState.GONE: "invalid and removed",
}
_LONGEST_VALUE = 200
_NAMES_SHOWN = 10
_ADDRESS_JOBS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One line of detail: `+` what will be, `-` what was, `@` a place in a text, `!` a warning, else a blank."""

    mark: str
    text: str

    @property
    def shown(self) -> str:
        """The mark and the text, as in a diff."""
        return self.text if self.mark == "@" else f"{self.mark} {self.text}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobGroup:
    """Jobs that one change of a shared file changes in the same way; mostly one job alone."""

    changes: tuple[JobChange, ...]

    @property
    def first(self) -> JobChange:
        """One that stands for all."""
        return self.changes[0]

    @property
    def mark(self) -> str:
        """`+` for what comes, `-` for what goes, `~` for what differs."""
        if self.first.before is None:
            return "+"
        return "-" if self.first.after is None else "~"

    @property
    def causes(self) -> tuple[str, ...]:
        """The shared files that changed them; empty for a job alone."""
        if len(self.changes) == 1:
            return ()
        origins = (one.after_origin or one.before_origin for one in self.first.keys)
        return tuple(dict.fromkeys(origins))


def group_jobs(changes: Iterable[JobChange]) -> tuple[JobGroup, ...]:
    """The changes in their order; those that are alike, because a shared file changed them, as one."""
    groups: dict[object, list[JobChange]] = {}
    for place, change in enumerate(changes):
        shared = bool(change.keys) and all(one.before_origin or one.after_origin for one in change.keys)
        both = change.before is not None and change.after is not None
        lone = not (shared and both) or Action.MOVED in change.actions
        groups.setdefault(place if lone else (change.actions, change.keys), []).append(change)
    return tuple(JobGroup(changes=tuple(group)) for group in groups.values())


def group_invalid(files: Iterable[InvalidFile]) -> tuple[tuple[InvalidFile, ...], ...]:
    """Files in their order; those that one fault of a shared file makes invalid together."""
    groups: dict[object, list[InvalidFile]] = {}
    for file in files:
        lone = any(found.path == file.path for found in file.diagnostics)
        groups.setdefault(file.path if lone else (file.state, file.diagnostics), []).append(file)
    return tuple(tuple(group) for group in groups.values())


def summary(plan: Plan) -> str:
    """`1 added, 2 changed, 1 newly invalid`; `no changes` where there are none."""
    actions = Counter(action for change in plan.jobs for action in change.actions)
    states = Counter(file.state for file in plan.invalid)
    words = [f"{actions[action]:,} {action}" for action in Action if actions[action]]
    if not plan.changed:
        words.append("no changes")
    words.extend(f"{states[state]:,} {word}" for state, word in STATE_WORDS.items() if states[state])
    return ", ".join(words)


def side_words(side: Side) -> tuple[str, str]:
    """What a side is called, and what is to be known of it."""
    commit = side.commit[:12]
    if side.working_tree:
        return "the files on disk", f"on {commit}"
    return side.name, f"{'where they parted, ' if side.merge_base else ''}{commit}"


def nothing_words(comparison: Comparison) -> str:
    """That nothing differs."""
    return f"No changes: every job of {side_words(comparison.head)[0]} is as in {comparison.base.name}."


def names_words(names: Sequence[str], shown: int = _NAMES_SHOWN) -> str:
    """`a, b and 3 more`."""
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown:,} more"


def recipient_words(change: RecipientChange) -> str:
    """Of how many jobs, and of which."""
    names = names_words(change.job_names, _ADDRESS_JOBS_SHOWN)
    return f"{counted(len(change.job_names), 'job')}: {names}"


def action_words(change: JobChange) -> str:
    """`renamed, changed`; a new job that does not fire says so."""
    words = ", ".join(change.actions)
    new = Action.ADDED in change.actions or change.actions == (Action.MENDED,)
    return f"{words}, suspended" if new and change.job.suspend else words


def was_words(change: JobChange) -> str:
    """The name and place before, where they differ."""
    before, after = change.before, change.after
    if before is None or after is None:
        return ""
    was = []
    if before.job_name != after.job_name:
        was.append(before.job_name)
    if before.path != after.path:
        was.append(f"in {before.path}")
    return f"was {' '.join(was)}" if was else ""


def kept_words(file: InvalidFile) -> str:
    """What becomes of the job of an invalid file."""
    if file.kept is not None:
        return f"a running service goes on with {file.kept.job_name} as it was"
    return "no job comes of it" if file.state is InvalidState.NEWLY_INVALID else ""


def finding_lines(found: Diagnostic) -> Iterator[Line]:
    """A finding and its hint."""
    yield Line("!", str(found))
    if found.hint:
        yield Line(" ", f"  hint: {found.hint}")


def group_lines(group: JobGroup) -> Iterator[Line]:
    """All that differs in the jobs of a group."""
    change = group.first
    for key in change.keys:
        # What a removed job did is in git; what it was is told by its other keys.
        if change.after is not None or not key.diff:
            yield from _key_lines(key, with_origin=len(group.causes) != 1)
    if change.actions[-1] is Action.EDITED:
        yield Line(" ", "Only its file differs, in comments or form: every value is the same.")
    if any(one.loads_anew for one in group.changes):
        yield Line("!", "The incremental load begins anew, from its initial value.")
    if len(group.changes) == 1:
        yield from _fire_lines(change)
        return
    yield Line(" ", f"jobs: {names_words([one.job.job_name for one in group.changes])}")
    moved = [one for one in group.changes if one.fires is not None and one.fires.before != one.fires.after]
    for one in moved[:3]:
        yield Line(" ", f"{one.job.job_name}:")
        yield from _fire_lines(one)


def _key_lines(change: KeyChange, *, with_origin: bool) -> Iterator[Line]:
    before, after = (
        f"  ({origin})" if origin and with_origin else "" for origin in (change.before_origin, change.after_origin)
    )
    if change.masked:
        yield Line("!", f"{change.key}: {value_words(change.after)} differs in what is masked{after}")
    elif change.diff:
        yield Line(" ", f"{change.key}:{after or before}")
        yield from (Line("@", line) if line.startswith("@") else Line(line[0], line[1:]) for line in change.diff)
    elif isinstance(change.before, tuple) and isinstance(change.after, tuple):
        yield from _list_lines(change.key, change.before, change.after, before, after)
    else:
        if change.before is not None:
            yield Line("-", f"{change.key}: {value_words(change.before)}{before}")
        if change.after is not None:
            yield Line("+", f"{change.key}: {value_words(change.after)}{after}")


def _list_lines(
    key: str, old: tuple[object, ...], new: tuple[object, ...], before: str, after: str
) -> Iterator[Line]:
    """What is gone from a list and what has come; both whole where only their order differs."""
    gone = [one for one in old if one not in new]
    come = [one for one in new if one not in old]
    if not gone and not come:
        gone, come = [old], [new]
    yield from (Line("-", f"{key}: {value_words(one)}{before}") for one in gone)
    yield from (Line("+", f"{key}: {value_words(one)}{after}") for one in come)


def _fire_lines(change: JobChange) -> Iterator[Line]:
    if change.fires is None or change.after is None:
        return
    before, after = change.fires.before, change.fires.after
    if before == after and before:
        yield Line(" ", "next fires: as before")
        return
    none = ": none, it is suspended" if change.after.suspend else ": none"
    if change.after.after and not change.after.suspend:
        none = f": none of its own, it runs after {names_words(change.after.after)}"
    yield Line(" ", f"next fires{':' if after else none}")
    for moment in sorted({*before, *after}):
        mark = " " if moment in before and moment in after else "+" if moment in after else "-"
        yield Line(mark, f"  {_moment_words(change, moment, is_new=moment in after)}")


def _moment_words(change: JobChange, moment: datetime, *, is_new: bool) -> str:
    job = change.after if is_new else change.before
    assert job is not None
    return local_time(moment, job.timezone)


def value_words(value: object) -> str:
    """A value on one line, as YAML would have it, cut where it is long."""
    if isinstance(value, tuple):
        text = f"[{', '.join(value_words(one) for one in value)}]"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = "null" if value is None else str(value)
    if len(text) <= _LONGEST_VALUE:
        return text
    return f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"
