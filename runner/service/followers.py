"""Which runs follow one that has ended: those of the jobs that come `after` its job."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from runner.core.dependencies import followers
from runner.core.documents import utc_text
from runner.core.job import Job
from runner.core.policy import OVERLAP_NOTE, Overlap
from runner.core.report import Report, state_words
from runner.core.run import Fire, FollowingRun, Run, RunState, Trigger
from runner.service.composer import Composer
from runner.service.run_starts import RunFactory


class Followers:
    """Knows who comes after whom, as the catalog of now has it. Safe to ask from several threads.

    A job that comes after others runs once for each nominal time for which all of them have succeeded. Where one
    of them has not, and is not tried again, the jobs after it are skipped, and so are those after them; their
    people are told of it where that is for a failure.

    Args:
        overlap: what becomes of a run of a job that is due now.
    """

    def __init__(self, *, new_run: RunFactory, overlap: Callable[[Job], Overlap], composer: Composer) -> None:
        self._new_run = new_run
        self._overlap = overlap
        self._composer = composer
        self._known: tuple[Mapping[str, Job], Mapping[str, tuple[str, ...]]] = (MappingProxyType({}), {})

    def set_jobs(self, jobs: Mapping[str, Job]) -> None:
        """Follow the catalog."""
        self._known = (jobs, followers(jobs))

    def job(self, job_name: str) -> Job | None:
        """The job of this name in the catalog of now."""
        return self._known[0].get(job_name)

    def of(self, run: Run, *, failures_before: int = 0, telling: bool = False) -> tuple[FollowingRun, ...]:
        """What follows a run that has ended, and is not tried again.

        Args:
            failures_before: how many runs of its job failed right before it.
            telling: people are told of what is skipped, though the run has not failed.
        """
        jobs, after = self._known
        if run.job_name not in after or not run.trigger.nominal or not run.mailing:
            return ()
        if run.state is RunState.SUCCEEDED:
            direct = (jobs[name] for name in after[run.job_name])
            return tuple(one for job in direct if not job.suspend for one in self._next(run, job))
        failures = failures_before + 1 if run.state.failed else 0
        return tuple(
            self._skipped(run, job, failures, telling=telling)
            for job in _all_after(run.job_name, jobs, after)
            if not job.suspend
        )

    def _next(self, run: Run, job: Job) -> Iterator[FollowingRun]:
        caught_up = run.trigger in {Trigger.MISSED, Trigger.BACKFILL}
        if not caught_up and self._overlap(job) is Overlap.SKIP:
            skipped = self._skip(run, job, OVERLAP_NOTE)
            yield FollowingRun(run=skipped, needs=job.after)
            yield from (replace(one, needs=job.after) for one in self.of(skipped))
            return
        following = self._new_run(
            job,
            trigger=run.trigger if caught_up else Trigger.AFTER,
            scheduled_time=run.scheduled_time,
            fire=_fire(run, job, "after"),
        )
        yield FollowingRun(run=following, needs=job.after)

    def _skipped(self, run: Run, job: Job, failures: int, *, telling: bool) -> FollowingRun:
        note = f"{run.job_name}, which it comes after, {_ended(run)} (run {run.run_id})"
        if run.state is RunState.SKIPPED or telling:
            note = f"{note}: {run.note}"
        skipped = self._skip(run, job, f"{note}; once that is mended: {_remedy(run)}" if failures else note)
        told = telling or failures >= job.delivery.notify_after
        mails = (self._composer.of_run(Report(run=skipped, job=job)),) if told else ()
        return FollowingRun(run=skipped, mails=mails)

    def _skip(self, run: Run, job: Job, note: str) -> Run:
        # A key of its own: should the run before it succeed after all, this job can still run.
        fire = _fire(run, job, "skipped after")
        return self._new_run(
            job,
            trigger=Trigger.AFTER,
            scheduled_time=run.scheduled_time,
            fire=fire,
            state=RunState.SKIPPED,
            note=note,
        )


def _fire(run: Run, job: Job, word: str) -> Fire:
    return Fire(
        scheduled_time=run.scheduled_time, job_name=job.job_name, key=f"{word} {utc_text(run.scheduled_time)}"
    )


def _remedy(run: Run) -> str:
    moment = utc_text(run.scheduled_time)
    return f"runner backfill {run.job_name} --from {moment} --to {moment}"


def _ended(run: Run) -> str:
    words = state_words(run.state)
    return words if run.state in {RunState.FAILED, RunState.TIMED_OUT} else f"was {words}"


def _all_after(job_name: str, jobs: Mapping[str, Job], after: Mapping[str, tuple[str, ...]]) -> list[Job]:
    """Every job that comes after this one, by way of others too, each once."""
    found: dict[str, Job] = {}
    waiting = list(after[job_name])
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = jobs[name]
            waiting.extend(after.get(name, ()))
    return list(found.values())
