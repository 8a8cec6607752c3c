"""Decisions about fires and runs. Each returns what to do; acting on it is the service's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from runner.core.bookmark import Bookmark
from runner.core.job import ConcurrencyPolicy, Job, OnEmpty, OnMissed, Retry
from runner.core.run import FailureKind, Fire, Run, RunState, Trigger
from runner.core.words import counted

ON_TIME = timedelta(seconds=60)
RUN_ALL_LIMIT = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class MissedDecision:
    """Which of the due fires run, and a note of those that do not.

    `run` is in order of time. `late` says that these fires are caught up. `skipped` counts the fires that are let
    go; `latest_skipped` is the last of them where no fire is run, so that one record can say so.
    """

    run: tuple[Fire, ...]
    late: bool = False
    skipped: int = 0
    latest_skipped: Fire | None = None
    note: str = ""


def decide_missed(job: Job, fires: Sequence[Fire], *, earlier: int, now: datetime) -> MissedDecision:
    """What to do with the fires of one job that have come due, in order of time.

    A single fire at most a minute old is on time and runs. Otherwise the service was down, stopped or the clock
    jumped, and `on_missed` decides: skip lets all go that are not on time, run_once runs the latest, run_all runs
    each, at most 100 of them. `starting_deadline_seconds` drops fires older than that first.

    Args:
        earlier: how many more fires were due before the first of `fires`; they are let go, and counted.
    """
    total = len(fires) + earlier
    candidates = tuple(fires)
    if job.starting_deadline_seconds is not None:
        oldest = now - timedelta(seconds=job.starting_deadline_seconds)
        candidates = tuple(fire for fire in fires if fire.scheduled_time >= oldest)
    if total == len(candidates) == 1 and now - fires[0].scheduled_time <= ON_TIME:
        return MissedDecision(run=candidates)
    if job.on_missed is OnMissed.SKIP:
        run = tuple(fire for fire in candidates[-1:] if now - fire.scheduled_time <= ON_TIME)
    elif job.on_missed is OnMissed.RUN_ONCE:
        run = candidates[-1:]
    else:
        run = candidates[-RUN_ALL_LIMIT:]
    skipped = total - len(run)
    note = f"{counted(skipped, 'earlier fire')} missed and not run" if skipped and run else ""
    if not run:
        setting = "on_missed" if candidates else "starting_deadline_seconds"
        note = f"{counted(skipped, 'fire')} missed and not run ({setting}: {getattr(job, setting)})"
    on_time = len(run) == 1 and now - run[0].scheduled_time <= ON_TIME
    return MissedDecision(
        run=run, late=not on_time, skipped=skipped, latest_skipped=None if run else fires[-1], note=note
    )


# The note of a fire that is skipped, as the run before it is unfinished.
OVERLAP_NOTE = "the run before it was not finished (concurrency_policy: forbid)"


def replaced_words(newer: Run) -> str:
    """Why a run ends that a newer one of its job replaces."""
    return f"the next fire replaced it before it was finished (concurrency_policy: replace): run {newer.run_id}"


def gone_words(run: Run, *, suspended: bool) -> str:
    """Why a run that waits, perhaps for another attempt, does not begin: its job was removed, or suspended."""
    what = "its next attempt" if run.attempts else "the run"
    return f"the job was {'suspended' if suspended else 'removed'} before {what} began"


def decide_dropped(waiting: Sequence[Run], *, suspended: bool) -> Iterator[tuple[Run, str, bool]]:
    """Which runs of a job that wait do not begin as it was removed, or suspended: each with why, and whether its
    people are told.

    Somebody waits for what was due. Of many that are caught up together one mail tells: that of the last.
    """
    dropped = [run for run in waiting if run.trigger.scheduled or not suspended]
    due = [run for run in dropped if run.trigger.scheduled and not run.attempts]
    for run in dropped:
        telling = run in due[-1:]
        more = f"; {counted(len(due) - 1, 'earlier run')} of it that waited too" if telling and due[1:] else ""
        yield run, f"{gone_words(run, suspended=suspended)}{more}", telling


class Overlap(StrEnum):
    """What to do with a fire."""

    START = "start"
    SKIP = "skip"
    REPLACE = "replace"


def decide_overlap(policy: ConcurrencyPolicy, unfinished: int) -> Overlap:
    """Whether a due fire starts, given how many runs of its job are unfinished."""
    if not unfinished or policy is ConcurrencyPolicy.ALLOW:
        return Overlap.START
    return Overlap.SKIP if policy is ConcurrencyPolicy.FORBID else Overlap.REPLACE


def decide_retry(retry: Retry, run: Run, *, fraction: float) -> timedelta | None:
    """How long a failed run waits for its next attempt; None where it has had all of them.

    Full jitter: anywhere in a window that begins at `backoff_seconds` and doubles with each attempt, up to
    `max_delay_seconds` (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A result that
    is too large for a mail would be as large again, and a person who runs a job by hand sees it fail: neither is
    tried again.

    Args:
        run: with the state and failure of the attempt that has ended.
        fraction: a random number, 0 to 1.
    """
    if not run.state.failed or run.attempt > retry.limit:
        return None
    too_large = run.failure is not None and run.failure.kind is FailureKind.ATTACHMENT
    if too_large or run.trigger is Trigger.MANUAL:
        return None
    doublings = min(run.attempt - 1, 30)
    window = min(retry.max_delay_seconds, retry.backoff_seconds * (1 << doublings))
    return timedelta(seconds=window * fraction)


class Mailing(StrEnum):
    """Which mail a finished run makes."""

    RESULTS = "results"
    FAILURE = "failure"
    NONE = "none"


def decide_mailing(run: Run, job: Job, *, failures_before: int) -> Mailing:
    """Which mail a run makes that has begun. One that is cancelled or skipped is in the history and makes none.

    `notify_after` is about runs by schedule. What a person asked for, and a result that no mail can carry, is told
    at once.

    Args:
        failures_before: how many runs by schedule failed one after the other, right before this one.
    """
    if not run.mailing:
        return Mailing.NONE
    if run.state.failed:
        too_large = run.failure is not None and run.failure.kind is FailureKind.ATTACHMENT
        at_once = too_large or not run.trigger.scheduled
        told = at_once or failures_before + 1 >= job.delivery.notify_after
        return Mailing.FAILURE if told else Mailing.NONE
    if run.state is not RunState.SUCCEEDED:
        return Mailing.NONE
    if run.rows_out == 0 and job.delivery.on_empty is OnEmpty.SKIP:
        return Mailing.NONE
    return Mailing.RESULTS


def unmailed_words(job: Job) -> str:
    """Which consumers of a job get nothing, as the policy allows them no mail any more; empty where all do."""
    unmailed = [one for one in job.consumer_emails if not job.bounds.allows_recipient(one)]
    return f"not mailed to {', '.join(unmailed)}: recipient_domains of the policy" if unmailed else ""


def is_recovery(run: Run, job: Job, *, failures_before: int) -> bool:
    """Whether this run, by schedule, ends a row of failures that people were told of."""
    by_schedule = run.mailing and run.trigger.scheduled
    return by_schedule and run.state is RunState.SUCCEEDED and 0 < job.delivery.notify_after <= failures_before


def tells_of_checks(run: Run, job: Job) -> bool:
    """Whether the owner gets a mail on checks that do not hold and do not block: consumers read it in theirs.

    Those of a job without an owner have nobody else to be told.
    """
    some_failed = any(not check.passed for check in run.checks)
    return run.mailing and run.state is RunState.SUCCEEDED and job.owner is not None and some_failed


def may_skip(run: Run) -> bool:
    """Whether a run is left out where its data is what was delivered last: not one that a person wants to see."""
    return run.mailing and run.trigger.scheduled


def decide_bookmark(run: Run, job: Job, got_to: Bookmark | None) -> Bookmark | None:
    """How far the job has got once a run that has ended is delivered; None where it does not move.

    A trial run is not delivered to anybody, nor is one whose consumers may get no mail. A backfill is about the
    past, with the bookmark of now: what is new still belongs to the next run by schedule.

    Args:
        got_to: what the run itself got to.
    """
    counts = run.mailing and run.trigger is not Trigger.BACKFILL and run.state is RunState.SUCCEEDED
    read = any(map(job.bounds.allows_recipient, job.consumer_emails))
    if got_to is None or not (counts and read and job.keeps_bookmark):
        return None
    return replace(got_to, origin=job.origin)
