"""`runner backfill`."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import click

from runner.core.words import counted

if TYPE_CHECKING:
    from rich.console import Console

    from runner.core.backfill import BackfillPlan
    from runner.core.job import Job
    from runner.core.run import Run
    from runner.service.backfill import BackfillRequest


@click.command("backfill")
@click.argument("job")
@click.option(
    "--from",
    "since",
    metavar="TIME",
    required=True,
    help="The first moment: a date or time, ISO 8601, in the job's time zone unless it says its own.",
)
@click.option(
    "--to", "until", metavar="TIME", required=True, help="The last moment, included; a date means the whole day."
)
@click.option("--again", is_flag=True, help="Also run the fires that have succeeded before.")
@click.option("--no-mail", is_flag=True, help="Mail nobody.")
@click.option("--dry-run", is_flag=True, help="Only show what would run.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    job: str,
    since: str,
    until: str,
    again: bool,
    no_mail: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the fires of JOB between two moments that have not succeeded yet, in their order.

    The running service runs them, behind what is due by schedule; without a service they run here. Jobs that come
    after JOB follow. What runner run or --no-mail has run counts as a trial, and nothing follows it. Ctrl-C takes
    back what has not begun.

    Exit codes: 0 all succeeded, 1 a run failed or a mail could not be sent, 2 wrong usage, 3 could not run, 130
    ended by Ctrl-C.
    """
    from runner.cli.environment import is_watched, open_console, open_settings, print_json, teller
    from runner.cli.render import unsent_words
    from runner.cli.signals import StopFlag
    from runner.core.documents import runs_document
    from runner.core.run import RunState
    from runner.logs import configure_logging
    from runner.service.backfill import backfill_plan, open_backfill

    stop_asked = StopFlag()
    settings, environ = open_settings()
    console = open_console(stderr=True)
    configure_logging(settings.log, no_color=bool(os.environ.get("NO_COLOR")), console=not is_watched(console))
    request = _request(job, since, until, again=again, mailing=not no_mail)
    if dry_run:
        _show_plan(open_console(), *backfill_plan(settings, request), as_json=as_json)
        return
    with open_backfill(settings, environ, request, stop_asked, teller(console)) as backfill:
        click.echo(_plan_words(backfill.plan), err=True)
        with _progress(console, len(backfill.plan.todo)) as on_change:
            runs = backfill.run(on_change)
    if as_json:
        print_json(runs_document(runs))
    else:
        _show_runs(open_console(), runs, backfill.job.timezone)
    unsent = unsent_words(runs)
    if unsent:
        click.echo(unsent, err=True)
    ctx.exit(0 if all(run.state is RunState.SUCCEEDED for run in runs) and not unsent else 1)


def _request(job: str, since: str, until: str, *, again: bool, mailing: bool) -> "BackfillRequest":
    from runner.cli.next_fires import parse_moment
    from runner.service.backfill import BackfillRequest

    first = parse_moment(since, option="--from")
    last = parse_moment(until, option="--to", end_of_day=True)
    assert first is not None
    assert last is not None
    return BackfillRequest(job_name=job, since=first, until=last, again=again, mailing=mailing)


def _plan_words(plan: "BackfillPlan") -> str:
    """`28 fires to run; 3 succeeded before and are left out (--again runs them too); 1 is under way`."""
    words = [f"{counted(len(plan.todo), 'fire')} to run"]
    if plan.done:
        words.append(f"{len(plan.done)} succeeded before, left out (--again runs them too)")
    if plan.unfinished:
        words.append(f"{len(plan.unfinished)} under way already, left out")
    return "; ".join(words)


def _show_plan(console: "Console", job: "Job", plan: "BackfillPlan", *, as_json: bool) -> None:
    from runner.cli.environment import print_json
    from runner.core.documents import fires_document
    from runner.core.report import local_time

    times = [fire.scheduled_time for fire in plan.todo]
    if as_json:
        print_json(fires_document(job.job_name, job.timezone, times))
        return
    click.echo(_plan_words(plan))
    for moment in times:
        console.print(f"  {local_time(moment, job.timezone)}", markup=False)


def _show_runs(console: "Console", runs: "tuple[Run, ...]", timezone: str) -> None:
    from runner.cli.render import run_table
    from runner.core.run import RunState

    failed = [run for run in runs if run.state is not RunState.SUCCEEDED]
    click.echo(f"{len(runs) - len(failed)} succeeded, {len(failed)} did not")
    if failed:
        console.print(run_table(failed, timezone))


def _progress(console: "Console", total: int) -> "AbstractContextManager[Callable[[Run], None]]":
    """A bar on a terminal; elsewhere the log lines tell."""
    from runner.cli.environment import is_watched

    if not is_watched(console) or not total:
        return nullcontext(_ignore)
    from runner.cli.progress import run_progress

    return run_progress(console, total)


def _ignore(_run: "Run") -> None:
    """The log lines tell how far it is."""
