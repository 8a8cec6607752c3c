"""Due fires become recorded runs: timetable, cursors, and the decisions of `runner.core.policy` carried out.

A due job goes from the timetable into a queue at once, whatever else is under way; from there fires are recorded a
batch at a time, so that the first runs of thousands begin before the last is on the disk.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from runner.core.catalog import Catalog, CatalogChange
from runner.core.cron import CronSchedule, parse_cron
from runner.core.documents import utc_text
from runner.core.job import Job
from runner.core.policy import OVERLAP_NOTE, Overlap, decide_missed
from runner.core.run import Fire, Run, RunState, Trigger
from runner.core.timetable import DueFires, Timetable
from runner.errors import StoreError
from runner.logs import run_context
from runner.service.runs import RunDesk
from runner.store.cursor import Cursor
from runner.store.store import Store

log = logging.getLogger(__name__)

# After a fire could not be recorded (a full disk, say), try again this much later.
RECORD_RETRY = timedelta(seconds=5)
# So many due jobs are recorded in one transaction.
BATCH = 500
# A clock that is set by less than this is as good as right.
CLOCK_TOLERANCE = timedelta(minutes=1)


class Scheduler:
    """Turns the passing of time into runs. `apply` and `tick` are the loop's; `next_fire` is for any thread."""

    def __init__(self, *, store: Store, desk: RunDesk, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock
        self._timetable = Timetable()
        self._lock = threading.Lock()
        self._cursors: dict[str, Cursor] = {}
        self._jobs: Mapping[str, Job] = {}
        # Cursors to be written, None for one to be dropped: the store may be away for a while.
        self._unwritten: dict[str, Cursor | None] = {}
        # What has come due and is not on record yet.
        self._due: deque[DueFires] = deque()
        self._latest = clock()
        self._began = self._latest
        self._retry_at: datetime | None = None
        self._fire_trouble = ""
        self._cursor_trouble = ""

    @property
    def trouble(self) -> str:
        """What keeps fires from becoming runs; empty while nothing does."""
        return self._fire_trouble or self._cursor_trouble

    def start(self, catalog: Catalog, *, since: datetime | None = None) -> None:
        """Take up the schedules where the store says the last service left them.

        Args:
            since: from when on those are that it did not know; without it, from now.
        """
        self._began = self._clock()
        self._jobs = catalog.jobs
        self._desk.set_jobs(catalog.jobs)
        stored = self._store.cursors()
        self._unwritten.update(dict.fromkeys(name for name in stored if name not in catalog.jobs))
        self._schedule(catalog.jobs.values(), stored, since=since)

    def apply(self, catalog: Catalog, change: CatalogChange, *, seconds_ago: float = 0.0) -> None:
        """Follow a change of the catalog: a job that is new, or has a new schedule, starts from when it changed.

        What has come due by the schedules of before, while the folder was read, is due all the same.

        Args:
            seconds_ago: when that was. What comes due while the folder is read is due by the new schedule, too.
        """
        now = self._clock()
        self.hand_over(now)
        self._jobs = catalog.jobs
        self._desk.set_jobs(catalog.jobs)
        with self._lock:
            for name in change.removed:
                self._timetable.discard(name)
                self._cursors.pop(name, None)
                self._unwritten[name] = None
        touched = (catalog.jobs[name] for name in (*change.added, *change.changed))
        new = [job for job in touched if not self._goes_on(job)]
        self._schedule(new, dict(self._cursors), since=now - timedelta(seconds=seconds_ago))

    def next_time(self) -> datetime | None:
        """When the loop must call `tick` next; a moment that is past: at once."""
        with self._lock:
            due = self._latest if self._due else self._timetable.next_time()
        if self._retry_at is not None and due is not None:
            return max(due, self._retry_at)
        return due

    def next_fire(self, job_name: str) -> datetime | None:
        """When this job fires next; None for one that is suspended or unknown."""
        with self._lock:
            return self._timetable.next_fire(job_name)

    def tick(self, now: datetime) -> int:
        """Hand over what is due, then record a batch of it and begin its runs. Returns how many were taken in.

        The fires and the cursors are in the store before any run begins; where they cannot be, the fires are
        put back and tried again.
        """
        self._follow_clock(now)
        if self._retry_at is not None and now < self._retry_at:
            return 0
        self._write_cursors()
        self.hand_over(now)
        return self._record_batch(now)

    def hand_over(self, now: datetime) -> None:
        """Move everything that is due from the timetable to the queue."""
        with self._lock:
            self._due.extend(self._timetable.pop_due(now))

    def _record_batch(self, now: datetime) -> int:
        batch = self._next_batch()
        if not batch:
            # What could not be recorded may be of jobs that are gone by now.
            self._retry_at, self._fire_trouble = None, ""
            return 0
        runs = [run for job_name, due in batch for run in self._plan(job_name, due, now)]
        known = ((self._cursors[job_name], due.times[-1]) for job_name, due in batch)
        # A schedule that is new since has begun later.
        cursors = [replace(cursor, time=max(cursor.time, latest)) for cursor, latest in known]
        try:
            recorded = self._store.record_fires(runs, cursors)
        except StoreError as error:
            self._put_back(batch, now, error)
            return 0
        self._cursors.update({cursor.job_name: cursor for cursor in cursors})
        self._retry_at, self._fire_trouble = None, ""
        if len(recorded) < len(runs):
            log.info("%d fires are on record already and do not run again", len(runs) - len(recorded))
        return self._begin(recorded)

    def _next_batch(self) -> list[tuple[str, DueFires]]:
        """At most `BATCH` due jobs off the queue, without those that were removed or suspended meanwhile."""
        batch: list[tuple[str, DueFires]] = []
        while self._due and len(batch) < BATCH:
            due = self._due.popleft()
            room = BATCH - len(batch)
            if len(due.job_names) > room:
                self._due.appendleft(due._replace(job_names=due.job_names[room:]))
            batch.extend((name, due) for name in due.job_names[:room] if name in self._cursors)
        return batch

    def _begin(self, recorded: Iterable[Run]) -> int:
        begun = 0
        made_way: set[str] = set()
        for run in recorded:
            with run_context(run.job_name, run.run_id):
                if run.state is RunState.SKIPPED:
                    log.warning("Skipped the fire of %s: %s", utc_text(run.scheduled_time), run.note)
                    self._desk.announce(run)
                    continue
                log.info("Due %s: run %s queued", utc_text(run.scheduled_time), run.run_id)
                job = self._jobs[run.job_name]
                # Once: the runs of fires that are caught up together do not replace one another.
                begin = self._desk.begin if run.job_name in made_way else self._desk.begin_in_place
                made_way.add(run.job_name)
                begin(run, job)
                begun += 1
        return begun

    def _follow_clock(self, now: datetime) -> None:
        """After a clock that was ahead has been set back, nothing waits for the time it was ahead.

        What has fired is on record by its key, so it does not fire again.
        """
        stepped_back = now < self._latest - CLOCK_TOLERANCE
        self._latest = now
        if not stepped_back:
            return
        # What is to be tried again must not wait for a time that is far away now.
        self._retry_at = None
        log.warning("The clock was set back: the schedules go on from now")
        self._schedule(self._jobs.values(), dict(self._cursors))

    def _write_cursors(self) -> None:
        if not self._unwritten:
            return
        unwritten = dict(self._unwritten)
        try:
            self._store.set_cursors([cursor for cursor in unwritten.values() if cursor is not None])
            self._store.drop_cursors([name for name, cursor in unwritten.items() if cursor is None])
        except StoreError as error:
            trouble = f"where the schedules stand cannot be recorded: {error.message}"
            if trouble != self._cursor_trouble:
                log.error("Where the schedules stand cannot be recorded yet: %s %s", error.message, error.hint)
            self._cursor_trouble = trouble
            return
        self._unwritten, self._cursor_trouble = {}, ""

    def _put_back(self, batch: list[tuple[str, DueFires]], now: datetime, error: StoreError) -> None:
        trouble = f"due runs cannot be recorded: {error.message}"
        if trouble != self._fire_trouble:
            # Once: it is tried again every few seconds.
            log.error("Due runs could not be recorded, and none was begun: %s %s", error.message, error.hint)
        self._fire_trouble = trouble
        self._retry_at = now + RECORD_RETRY
        queued = ((name, due) for due in self._due for name in due.job_names if name in self._cursors)
        waiting = [*batch, *queued]
        # By a schedule that is new since, the timetable does not give them again.
        of_before = [(name, due) for name, due in waiting if due.times[-1] <= self._cursors[name].time]
        self._due = deque(due._replace(job_names=(name,)) for name, due in of_before)
        names = {name for name, _ in waiting}
        self._schedule((self._jobs[name] for name in names), dict(self._cursors))

    def _schedule(
        self, jobs: Iterable[Job], known: Mapping[str, Cursor], *, since: datetime | None = None
    ) -> None:
        now, ahead = self._clock(), 0
        since = now if since is None else since
        # By the schedule of before, however it is written anew: no moment is due by both.
        handed_over = {name: due.times[-1] for due in self._due for name in due.job_names}
        with self._lock:
            for job in jobs:
                if job.suspend or job.schedule_time is None:
                    # What a suspended job would have done is not caught up when it is resumed.
                    self._timetable.discard(job.job_name)
                    self._cursors.pop(job.job_name, None)
                    self._unwritten[job.job_name] = None
                    continue
                schedule = parse_cron(job.schedule_time)
                before = known.get(job.job_name)
                begin = max(since, handed_over.get(job.job_name, since))
                cursor = self._cursor(job, schedule, before, now, begin=begin)
                ahead += before is not None and before.schedule == cursor.schedule and before is not cursor
                self._cursors[job.job_name] = cursor
                self._timetable.put(job.job_name, schedule=schedule, timezone=job.timezone, after=cursor.time)
        if ahead:
            log.warning("The schedules of %d jobs stood in the future: they go on from now", ahead)
        self._write_cursors()

    def _goes_on(self, job: Job) -> bool:
        """Whether the schedule of a job is the one that it had."""
        cursor = self._cursors.get(job.job_name)
        if cursor is None or job.suspend or job.schedule_time is None:
            return False
        return cursor.schedule == schedule_key(parse_cron(job.schedule_time), job.timezone)

    def _cursor(
        self, job: Job, schedule: CronSchedule, known: Cursor | None, now: datetime, *, begin: datetime
    ) -> Cursor:
        """Where the job's schedule goes on: where it stood; where it is new, from `begin`, and not before what the
        job had fired by another one; from now where that is in the future."""
        key = schedule_key(schedule, job.timezone)
        if known is not None and known.schedule == key and known.time <= now + CLOCK_TOLERANCE:
            return known
        begin = begin if known is None else max(begin, known.time)
        cursor = Cursor(job_name=job.job_name, schedule=key, time=min(begin, now))
        self._unwritten[job.job_name] = cursor
        return cursor

    def _plan(self, job_name: str, due: DueFires, now: datetime) -> list[Run]:
        job = self._jobs[job_name]
        decision = decide_missed(job, due.of(job_name), earlier=due.earlier, now=now)
        if decision.note:
            with run_context(job.job_name):
                log.warning("%s", decision.note)
        if decision.latest_skipped is not None:
            skipped = self._planned(job, decision.latest_skipped, RunState.SKIPPED, decision.note, late=True)
            return [skipped, *self._desk.skipped_after(skipped)]
        # One that is on time has come due while no service ran all the same, if only just.
        down = decision.run[-1].scheduled_time <= self._began
        overlap = self._desk.overlap(job, caught_up=down or decision.late or decision.skipped > 0)
        if overlap is Overlap.SKIP and len(decision.run) == 1:
            note = f"{OVERLAP_NOTE}; {decision.note}" if decision.note else OVERLAP_NOTE
            skipped = self._planned(job, decision.run[0], RunState.SKIPPED, note, late=decision.late)
            return [skipped, *self._desk.skipped_after(skipped)]
        return [
            self._planned(job, fire, RunState.QUEUED, decision.note, late=decision.late) for fire in decision.run
        ]

    def _planned(self, job: Job, fire: Fire, state: RunState, note: str, *, late: bool) -> Run:
        return self._desk.new_run(
            job,
            trigger=Trigger.MISSED if late else Trigger.SCHEDULE,
            scheduled_time=fire.scheduled_time,
            fire=fire,
            state=state,
            note=note,
        )


def schedule_key(schedule: CronSchedule, timezone: str) -> str:
    """What a cursor belongs to: a job whose key changes starts afresh."""
    return f"{schedule.canonical} {timezone}"
