"""Which fires of a past span are run: those that have not been yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.core.run import Fire, Run, RunState


@dataclass(frozen=True, kw_only=True, slots=True)
class BackfillPlan:
    """The fires of a span, in order: `todo` are to be run, `done` have succeeded, `unfinished` are under way.

    `recorded` are the keys of fires that have a run on record: a new run of one of these cannot have its key.
    """

    todo: tuple[Fire, ...] = ()
    done: tuple[Fire, ...] = ()
    unfinished: tuple[Fire, ...] = ()
    recorded: frozenset[str] = frozenset()


def plan_backfill(fires: Sequence[Fire], on_record: Iterable[Run], *, again: bool) -> BackfillPlan:
    """What a backfill of these fires has to do.

    A fire has been run where some run of its moment has succeeded, whoever started it. With `again`, those are run
    once more.

    Args:
        on_record: the runs of the job in the span.
    """
    runs = tuple(on_record)
    succeeded = {run.scheduled_time for run in runs if run.state is RunState.SUCCEEDED}
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
        recorded=frozenset(run.fire_key for run in runs if run.fire_key is not None),
    )
