"""A bar that follows runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runner.core.report import local_time
from runner.core.run import Run


@contextmanager
def run_progress(console: Console, total: int) -> Iterator[Callable[[Run], None]]:
    """Shows how many of `total` runs have ended, how many of them failed, and the fire that was heard of last."""
    failed = 0
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}", style="red"),
        console=console,
    )
    with bar:
        task = bar.add_task("", total=total, failed="")

        def follow(run: Run) -> None:
            nonlocal failed
            failed += run.state.failed
            bar.update(
                task,
                advance=int(run.state.finished),
                description=local_time(run.scheduled_time, "UTC"),
                failed=f"{failed} failed" if failed else "",
            )

        yield follow
