"""Which fires of a past span are run: those that have not been yet."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runner.core.run import Fire, Run, RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class BackfillPlan:
    """The fires of a span, in order: `todo` are to be run, `done` have succeeded, `unfinished` are under way.

    `keys` are those that runs of the span have: a key is for one run alone. `counts` says how many runs are on
    record for a moment.
    """

    todo: tuple[Fire, ...] = ()
    done: tuple[Fire, ...] = ()
    unfinished: tuple[Fire, ...] = ()
    keys: frozenset[str] = frozenset()
    counts: Mapping[datetime, int] = field(default_factory=dict)

    def key_of(self, fire: Fire) -> str:
        """The key for the run of a fire: its own, or, where that is taken, one that says how often it has run.

        Two backfills that are made from the same records give the same keys: only one of them runs each fire.
        """
        return f"{fire.key} again {self.counts[fire.scheduled_time]}" if fire.key in self.keys else fire.key


def plan_backfill(fires: Sequence[Fire], on_record: Iterable[Run], *, again: bool) -> BackfillPlan:
    """What a backfill of these fires has to do.

    A fire has been run where a run of its moment has succeeded that others could follow: no run by hand, and none
    that nobody was mailed about, for these are trials. With `again`, those are run once more.

    Args:
        on_record: the runs of the job in the span.
    """
    runs = tuple(on_record)
    succeeded = {
        run.scheduled_time
        for run in runs
        if run.state is RunState.SUCCEEDED and run.trigger.nominal and run.mailing
    }
    under_way = {run.scheduled_time for run in runs if not run.state.finished}
    unfinished = tuple(fire for fire in fires if fire.scheduled_time in under_way)
    done = tuple(
        fire for fire in fires if fire.scheduled_time in succeeded and fire.scheduled_time not in under_way
    )
    left_out = {*unfinished, *(() if again else done)}
    return BackfillPlan(
        todo=tuple(fire for fire in fires if fire not in left_out),
        done=() if again else done,
        unfinished=unfinished,
        keys=frozenset(run.fire_key for run in runs if run.fire_key is not None),
        counts=Counter(run.scheduled_time for run in runs),
    )
