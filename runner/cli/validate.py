"""`runner validate`: check job files."""

import gc
import os
import sys
import time
from pathlib import Path

import click


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["auto", "text", "json", "github"]),
    default="auto",
    help="How findings are printed. auto: github under GitHub Actions, text elsewhere.",
)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], format_name: str, strict: bool) -> None:
    """Check job files, or folders of them; without a PATH the folder of jobs (JOBS_DIR, ./jobs.d).

    Every file is checked: YAML, keys and values, schedule, time zone, addresses, script, query, files it names.
    Exit codes: 0 clean, 1 errors found (with --strict also warnings), 2 wrong usage, 3 could not run.
    """
    from runner.cli.environment import open_settings, working_folder
    from runner.core.job import JobDefaults
    from runner.jobfiles.formats import Findings, choose_format, render
    from runner.jobfiles.paths import check_paths

    # One short pass that drops almost nothing: collecting costs a fifth of the time and frees no memory.
    gc.disable()
    started = time.perf_counter()
    folder = working_folder()
    settings, _ = open_settings()
    defaults = JobDefaults(timezone=settings.timezone, timeout_seconds=settings.script_timeout)
    validation = check_paths(paths, jobs_dir=settings.jobs_dir, folder=folder, defaults=defaults)
    findings = Findings(
        files=len(validation.files),
        diagnostics=validation.diagnostics,
        texts=validation.texts,
        seconds=time.perf_counter() - started,
    )
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(render(findings, choose_format(format_name, os.environ), colour=colour), nl=False, color=colour)
    if findings.errors or (strict and findings.warnings):
        ctx.exit(1)
