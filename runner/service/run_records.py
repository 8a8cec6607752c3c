"""What is written of runs that have ended: their ends, their mails, and the runs that follow them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runner.core.job import Job
from runner.core.report import Report, count_words, duration_words, local_time, rows_in_words
from runner.core.run import Run, RunState
from runner.core.words import joined
from runner.service.composer import Composer
from runner.service.endings import Ending, Endings, lost
from runner.service.followers import Followers
from runner.service.run_folders import tidy
from runner.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A run as it is on record now, and those that follow it, queued or skipped."""

    run: Run
    following: tuple[Run, ...] = ()


class RunRecords:
    """Records that runs end, and lets go of what need not stay in their folders. Begins nothing. Thread-safe.

    Every method may raise StoreError: then nothing is recorded.

    Args:
        runs_dir: holds the folders of runs.
    """

    def __init__(
        self,
        *,
        store: Store,
        composer: Composer,
        endings: Endings,
        followers: Followers,
        runs_dir: Path,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._composer = composer
        self._endings = endings
        self._followers = followers
        self._runs_dir = runs_dir
        self._clock = clock

    def end(self, ending: Ending) -> Recorded:
        """An attempt has ended, and with it the run, or it is queued again."""
        # Before the record, which needs room on a disk that the step may have filled.
        self._tidy(ending.run, keep=ending.kept_files)
        return self._write(ending)

    def lose(self, run: Run, job: Job | None, *, in_force: bool = True) -> Recorded:
        """An earlier service has left a run under way.

        Args:
            job: as that service knew it where it is not `in_force` any more, None where nobody does.
        """
        self._tidy(run)
        if job is not None:
            return self._write(self._endings.of_lost(run, job, self._clock(), in_force=in_force))
        recorded, _ = self._store.finish_run(lost(run, self._clock(), in_force=False), ())
        return Recorded(run=recorded)

    def drop(self, run: Run, note: str, job: Job | None, *, telling: bool = False) -> Recorded:
        """A queued run begins no more.

        One of which an attempt has failed has failed by that, and the people of its `job` are told.

        Args:
            telling: they are also told of one that was due by its schedule and has not begun.
        """
        if not run.attempts:
            # After an attempt that is done already, and what has stayed may be spoken of by its failure.
            self._tidy(run)
        elif job is not None:
            return self._write(self._endings.of_dropped(run, job, note))
        # Its own note may be the one record of fires that were missed.
        note = joined(run.note, note)
        ended = replace(run, state=RunState.CANCELLED, finished_at=self._clock(), next_attempt_at=None, note=note)
        telling = telling and run.mailing and run.trigger.scheduled
        mails = (self._composer.of_run(Report(run=ended, job=job)),) if telling and job else ()
        recorded, following = self._store.finish_run(ended, mails, self._followers.of(ended, telling=telling))
        return Recorded(run=recorded, following=following)

    def hand_back(self, run: Run) -> None:
        """The next service starts a run again that this one has cancelled."""
        self._tidy(run)
        if run.state is RunState.RUNNING:
            self._store.mark_queued(run.run_id)
        log.info("Handed back: run %s starts again with the service", run.run_id)

    def _write(self, ending: Ending) -> Recorded:
        if ending.attempt is not None:
            self._store.retry_run(ending.run, ending.attempt)
            _log_retry(ending)
            return Recorded(run=ending.run)
        run, following = self._store.finish_run(ending.run, ending.mails, ending.following)
        _log_end(run)
        return Recorded(run=run, following=following)

    def _tidy(self, run: Run, *, keep: tuple[str, ...] = ()) -> None:
        tidy(self._runs_dir / run.run_id, keep=keep)


def _log_retry(ending: Ending) -> None:
    """Say that an attempt has failed, and when the next one is."""
    attempt, run, job = ending.attempt, ending.run, ending.report.job
    assert attempt is not None
    assert run.next_attempt_at is not None
    log.warning(
        "Attempt %d of %d of run %s %s: %s; the next one is at %s",
        attempt.number,
        job.retry.limit + 1,
        run.run_id,
        attempt.state,
        attempt.failure.message,
        local_time(run.next_attempt_at.replace(microsecond=0), job.timezone),
    )


def _log_end(run: Run) -> None:
    """Say how a run has ended."""
    log.info(
        "Run %s %s in %s: %s, %s rows out, deliveries: %d",
        run.run_id,
        run.state,
        duration_words(run.duration_seconds),
        rows_in_words(run.rows_in),
        count_words(run.rows_out),
        len(run.deliveries),
    )
