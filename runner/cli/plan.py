"""`runner plan`: what a change of job files changes."""

import os
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--base", metavar="REF", required=True, help="What is changed: a branch, tag or commit; else origin/REF."
)
@click.option("--head", metavar="REF", help="The change: a branch, tag or commit. Default: HEAD.")
@click.option("--working-tree", is_flag=True, help="The change is the files on disk, committed or not.")
@click.option(
    "--format",
    "format_name",
    # As FORMATS of runner.planning.render, which --help need not import; a test compares them.
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="How the plan is printed. markdown fits a comment on a pull request.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to FILE instead, and print one line that counts.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 when anything differs, as git diff does.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    base: str,
    head: str | None,
    working_tree: bool,
    format_name: str,
    output: Path | None,
    exit_code: bool,
) -> None:
    """Show what becomes of the jobs: added, changed, renamed, suspended, removed; who gains or loses mails.

    Both sides are read from git; nothing is checked out or fetched. The base is where REF and the change
    parted, as in a pull request.

    Exit codes: 0 a plan, 1 a job file is invalid after the change (with --exit-code also: anything differs),
    2 wrong usage, 3 could not run.
    """
    import gc
    from datetime import UTC, datetime

    from runner.cli.environment import open_settings
    from runner.jobfiles.formats import wants_colour
    from runner.jobfiles.formats.output import write_output
    from runner.planning.compare import compare_commits
    from runner.planning.render import render
    from runner.planning.words import summary

    if working_tree and head is not None:
        raise click.UsageError("--head and --working-tree cannot stand together.")
    # One short pass that drops almost nothing, as in validate.
    gc.disable()
    settings, _ = open_settings()
    comparison = compare_commits(
        settings,
        base=base,
        head=head or "HEAD",
        working_tree=working_tree,
        now=datetime.now(UTC),
        environ=os.environ,
    )
    colour = output is None and wants_colour(os.environ, is_terminal=sys.stdout.isatty())
    text = render(comparison, format_name, colour=colour)
    if output is None:
        click.echo(text, nl=False, color=colour)
    else:
        write_output(output, text)
        click.echo(f"Plan: {summary(comparison.plan)}")
    if comparison.plan.broken or (exit_code and comparison.plan.changed):
        ctx.exit(1)
