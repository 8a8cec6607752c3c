"""`runner test`: run the jobs' own tests."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.jobtests.values import JobTestReport


@click.command("test")
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="How results are printed.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results to FILE instead, and print one line that counts them.",
)
@click.option(
    "--update", is_flag=True, help="Write the expected files that are missing or differ from what comes out."
)
@click.pass_context
def command(
    ctx: click.Context, *, jobs: tuple[str, ...], format_name: str, output: Path | None, update: bool
) -> None:
    """Run the tests of job files: of each JOB (a name, a file or a folder), or of all.

    Each test runs the job's real step in the sandbox on what it gives, and compares the result with what it
    expects. Nothing is fetched, mailed or recorded.

    Exit codes: 0 all passed, 1 a test failed or a job file is not valid, 2 wrong usage, 3 could not run.
    """
    from runner.cli.environment import open_settings, working_folder
    from runner.cli.signals import end_as_by_ctrl_c

    end_as_by_ctrl_c()
    from runner.jobtests.load import select_jobs
    from runner.jobtests.suite import run_tests

    settings, _ = open_settings()
    selection = select_jobs(settings, jobs, folder=working_folder())
    report = run_tests(selection, settings, update=update)
    _show(report, format_name, output, named=bool(jobs))
    ctx.exit(0 if report.clean else 1)


def _show(report: "JobTestReport", format_name: str, output: Path | None, *, named: bool) -> None:
    if output is not None and os.fspath(output) != "-":
        from runner.cli.test_report import summary
        from runner.delivery.words import visible
        from runner.jobfiles.formats.output import write_output

        write_output(output, _rendered(report, format_name, named=named))
        click.echo(f"{summary(report)}; written to {visible(os.fspath(output))}")
    elif format_name == "text":
        from runner.cli.environment import open_console
        from runner.cli.test_report import report_lines

        open_console().print(report_lines(report, named=named))
    else:
        click.echo(_rendered(report, format_name, named=named), nl=False)


def _rendered(report: "JobTestReport", format_name: str, *, named: bool) -> str:
    """The report as text without colours."""
    if format_name == "json":
        import json

        from runner.core.log_commands import disarm_json
        from runner.jobtests.documents import report_document

        return disarm_json(json.dumps(report_document(report), indent=2)) + "\n"
    if format_name == "junit":
        from runner.jobtests.documents import junit_text

        return junit_text(report)
    import io

    from rich.console import Console

    from runner.cli.test_report import report_lines

    console = Console(file=io.StringIO(), width=160, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(report_lines(report, named=named))
    return captured.get()
