"""`runner run`."""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.status import Status

    from runner.core.report import Report
    from runner.settings import Settings

# What a file of CSV is not called.
_OTHER_FORMS = frozenset(
    {
        ".gz",
        ".html",
        ".json",
        ".jsonl",
        ".ndjson",
        ".ods",
        ".parquet",
        ".tsv",
        ".xls",
        ".xlsx",
        ".xml",
        ".zip",
        ".zst",
    }
)


@click.command("run")
@click.argument("job")
@click.option("--no-mail", is_flag=True, help="Mail nobody.")
@click.option(
    "--at",
    metavar="TIME",
    help="Run as if it were this time: ISO 8601, in the job's time zone unless it says its own. Default: now.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the result CSV here as well."
)
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    help="Only try the step on the first N rows that the job's first test gives: nothing is fetched, mailed or "
    "recorded.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    job: str,
    no_mail: bool,
    at: str | None,
    output: Path | None,
    sample: int | None,
    as_json: bool,
) -> None:
    """Run JOB now, once, and show its result.

    The running service runs it; without a service it runs here. Where it fails it is not tried again, and no job
    that comes after it follows: runner backfill runs a fire as the schedule would.

    Exit codes: 0 it succeeded, 1 it failed or a mail of it could not be sent, 2 wrong usage, 3 could not run, 130
    ended by Ctrl-C.
    """
    if sample is not None:
        if output is not None:
            raise click.UsageError(
                "--output is for a whole result: a sample is only shown. Leave one of the two out."
            )
        ctx.exit(_try_sample(job, sample, at, as_json=as_json))
    if output is not None:
        output = _required_output(output)
    from runner.core.run import RunState
    from runner.service.once import write_result

    report, settings = _run_now(job, at, mailing=not no_mail)
    succeeded = report.run.state is RunState.SUCCEEDED
    try:
        _show(report, as_json=as_json)
        # The result may go there too, past this stream.
        sys.stdout.flush()
    finally:
        # Also where nobody reads on, as behind `| head`.
        if output is not None and succeeded:
            write_result(settings.runs_dir / report.run.run_id, output)
    if output is not None and not succeeded:
        click.echo(f"no result to write to {output}", err=True)
    all_sent = _warn(report, settings)
    ctx.exit(0 if succeeded and all_sent else 1)


def _run_now(job: str, at: str | None, *, mailing: bool) -> "tuple[Report, Settings]":
    from runner.cli.environment import is_watched, open_console, open_settings, teller
    from runner.cli.next_fires import parse_moment
    from runner.cli.signals import StopFlag
    from runner.logs import configure_logging
    from runner.service.once import RunRequest, run_once

    stop_asked = StopFlag()
    settings, environ = open_settings()
    console = open_console(stderr=True)
    configure_logging(settings.log, no_color=bool(os.environ.get("NO_COLOR")), console=not is_watched(console))
    request = RunRequest(job_name=job, mailing=mailing, scheduled_time=parse_moment(at, option="--at"))
    if not is_watched(console):
        return run_once(settings, environ, request, stop_asked, teller(console)), settings
    from rich.text import Text

    with console.status(Text(f"Running {job} …")) as status:
        logging.getLogger().addHandler(_ShowProgress(status))
        return run_once(settings, environ, request, stop_asked, teller(console)), settings


def _warn(report: "Report", settings: "Settings") -> bool:
    """Tell what the run alone does not show; False where a mail of it could not be sent."""
    from runner.cli.render import unsent_words

    if report.run.digest != report.job.digest:
        # It could not read the folder in time, or reads another one.
        click.echo(
            f"The service ran the version of {report.job.job_name} that it has in force, which is not the one in "
            f"{settings.jobs_dir}. runner status shows its state.",
            err=True,
        )
    unsent = unsent_words([report.run])
    if unsent:
        click.echo(unsent, err=True)
    return not unsent


def _show(report: "Report", *, as_json: bool) -> None:
    from runner.cli.environment import open_console, print_json

    if as_json:
        from runner.core.documents import run_document

        print_json(run_document(report.run, details=True))
    else:
        from runner.cli.render import report_panel

        open_console().print(report_panel(report))


def _required_output(output: Path) -> Path:
    """Where the result goes: `-` is standard output, as for the other verbs."""
    if output.suffix.lower() in _OTHER_FORMS:
        csv = output.name.split(".")[0] + ".csv"
        raise click.UsageError(
            f"--output writes CSV, and {output.name} is called something else: name a file such as {csv}. "
            "Other forms go with the mail: set `attachment` under `delivery` in the job file."
        )
    from runner.service.once import STANDARD_OUTPUT, require_place

    place = STANDARD_OUTPUT if output == Path("-") else output
    require_place(place)
    return place


def _try_sample(job: str, rows: int, at: str | None, *, as_json: bool) -> int:
    """Run the step on a sample and show what came out; the exit code."""
    from datetime import UTC, datetime

    from runner.cli.environment import open_settings, working_folder
    from runner.cli.next_fires import parse_moment
    from runner.cli.signals import end_as_by_ctrl_c

    end_as_by_ctrl_c()
    from runner.core.run import RunState
    from runner.jobtests.samples import SampleRequest, run_sample

    settings, _ = open_settings()
    request = SampleRequest(job_name=job, rows=rows, scheduled_time=parse_moment(at, option="--at"))
    report = run_sample(settings, request, folder=working_folder(), clock=lambda: datetime.now(UTC))
    _show(report, as_json=as_json)
    return 0 if report.run.state is RunState.SUCCEEDED else 1


class _ShowProgress(logging.Handler):
    """Shows the latest log line of the run beside the spinner, instead of the lines themselves."""

    def __init__(self, status: "Status") -> None:
        super().__init__()
        self._status = status

    def emit(self, record: logging.LogRecord) -> None:
        from runner.cli.render import foreign
        from runner.delivery.words import one_line

        try:
            self._status.update(foreign(one_line(record.getMessage())))
        except Exception:  # noqa: BLE001 - as every handler of logging: a line that cannot be shown stops no run
            self.handleError(record)
