"""Which of the recorded runs may begin: overlap, waiting for another attempt, fairness, and how many at a time."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from runner.core.job import ConcurrencyPolicy, Job
from runner.core.run import Run, Trigger


@dataclass(kw_only=True, slots=True, eq=False)
class _Entry:
    """One unfinished run. `begun`: it has a slot. `delayed`: it waits for a moment."""

    run: Run
    job: Job
    begun: bool = False
    delayed: bool = False


class _Lane:
    """The runs of one job that wait to begin: those that people ask to catch up come after all others."""

    __slots__ = ("backfill", "first")

    def __init__(self) -> None:
        self.first: deque[_Entry] = deque()
        self.backfill: deque[_Entry] = deque()

    def __bool__(self) -> bool:
        return bool(self.first or self.backfill)

    def push(self, entry: _Entry, *, front: bool = False) -> None:
        lane = self.backfill if entry.run.trigger is Trigger.BACKFILL else self.first
        if front:
            lane.appendleft(entry)
        else:
            lane.append(entry)

    def peek(self) -> _Entry:
        return (self.first or self.backfill)[0]

    def pop(self) -> _Entry:
        return (self.first or self.backfill).popleft()

    def remove(self, entry: _Entry) -> None:
        for lane in (self.first, self.backfill):
            if entry in lane:
                lane.remove(entry)


class RunQueue:
    """The unfinished runs, and which of them begin next. Not safe for threads; time is an argument.

    At most `slots` runs are under way. Jobs take turns, one run each, so that the backlog of one never keeps
    another waiting. Unless a job allows overlap, its runs begin one after the other. A run that waits for another
    attempt keeps no other run of its job from beginning.

    Times are seconds of a clock that only goes forward.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._entries: dict[str, _Entry] = {}
        self._of_job: dict[str, dict[str, None]] = {}
        self._begun_of_job: dict[str, int] = {}
        self._lanes: dict[str, _Lane] = {}
        # The jobs that may begin a run, in the order of their turns.
        self._turns: OrderedDict[str, None] = OrderedDict()
        self._delayed: list[tuple[float, int, _Entry]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, run: Run, job: Job, *, not_before: float | None = None) -> None:
        """Take in a run that is recorded; one that is to be tried again begins at `not_before` at the earliest."""
        entry = _Entry(run=run, job=job, delayed=not_before is not None)
        self._entries[run.run_id] = entry
        self._of_job.setdefault(job.job_name, {})[run.run_id] = None
        if not_before is None:
            self._line_up(entry)
        else:
            heappush(self._delayed, (not_before, next(self._numbers), entry))

    def take(self, now: float) -> list[tuple[Run, Job]]:
        """The runs that begin now, each with a slot of its own until `end`."""
        while (due := self.next_time()) is not None and due <= now:
            entry = heappop(self._delayed)[2]
            entry.delayed = False
            self._line_up(entry, front=True)
        taken: list[tuple[Run, Job]] = []
        while self._free and self._turns:
            job_name, _ = self._turns.popitem(last=False)
            lane = self._lanes[job_name]
            entry = lane.pop()
            entry.begun = True
            self._free -= 1
            self._begun_of_job[job_name] = self._begun_of_job.get(job_name, 0) + 1
            taken.append((entry.run, entry.job))
            self._settle(job_name)
        return taken

    def next_time(self) -> float | None:
        """When the next run that waits for another attempt is due; None where none waits."""
        # Those that were dropped meanwhile stay in the heap until they come to its top.
        while self._delayed and self._entries.get(self._delayed[0][2].run.run_id) is not self._delayed[0][2]:
            heappop(self._delayed)
        return self._delayed[0][0] if self._delayed else None

    def end(self, run_id: str) -> bool:
        """Forget a run that has ended, or never begins; False where it is not known. Frees its slot."""
        entry = self._entries.pop(run_id, None)
        if entry is None:
            return False
        job_name = entry.job.job_name
        of_job = self._of_job[job_name]
        del of_job[run_id]
        if not of_job:
            del self._of_job[job_name]
        if entry.begun:
            self._free += 1
            self._begun_of_job[job_name] -= 1
            if not self._begun_of_job[job_name]:
                del self._begun_of_job[job_name]
        elif not entry.delayed:
            self._lanes[job_name].remove(entry)
        self._settle(job_name)
        return True

    def update(self, run: Run) -> None:
        """Put a newer value of a run in place of the one that is held."""
        self._entries[run.run_id].run = run

    def change_job(self, job: Job) -> None:
        """From now on runs of this job that have not begun are those of its new version."""
        for run_id in self._of_job.get(job.job_name, ()):
            entry = self._entries[run_id]
            if not entry.begun:
                entry.job = job
        self._settle(job.job_name)

    def find(self, run_id: str) -> tuple[Run, Job] | None:
        """An unfinished run and its job."""
        entry = self._entries.get(run_id)
        return (entry.run, entry.job) if entry else None

    def has_begun(self, run_id: str) -> bool:
        """Whether a run has a slot."""
        entry = self._entries.get(run_id)
        return entry is not None and entry.begun

    def begun_count(self) -> int:
        """How many runs have a slot."""
        return sum(self._begun_of_job.values())

    def of_job(self, job_name: str) -> tuple[Run, ...]:
        """The unfinished runs of a job, in the order they were added."""
        return tuple(self._entries[run_id].run for run_id in self._of_job.get(job_name, ()))

    def run_ids(self) -> tuple[str, ...]:
        """All unfinished runs."""
        return tuple(self._entries)

    def job_names(self) -> Iterable[str]:
        """The names of the jobs that have an unfinished run."""
        return self._of_job.keys()

    def _line_up(self, entry: _Entry, *, front: bool = False) -> None:
        job_name = entry.job.job_name
        self._lanes.setdefault(job_name, _Lane()).push(entry, front=front)
        self._settle(job_name)

    def _settle(self, job_name: str) -> None:
        """Give a job a turn where one of its runs may begin, and take the turn away where none may."""
        lane = self._lanes.get(job_name)
        if not lane:
            self._lanes.pop(job_name, None)
            self._turns.pop(job_name, None)
            return
        alone = lane.peek().job.concurrency_policy is not ConcurrencyPolicy.ALLOW
        if alone and self._begun_of_job.get(job_name):
            self._turns.pop(job_name, None)
        elif job_name not in self._turns:
            self._turns[job_name] = None
