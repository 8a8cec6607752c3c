"""`runner validate`: check job files."""

import gc
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runner.jobfiles.formats import Findings
    from runner.jobfiles.verdict_cache import VerdictCache


def _explain(ctx: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    """Tell a rule and leave, whatever else was asked for."""
    if name is None or ctx.resilient_parsing:
        return
    from runner.cli.rules import print_rule
    from runner.jobfiles.rules import find_rule

    print_rule(find_rule(name))
    ctx.exit()


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    # As FORMATS of runner.jobfiles.formats, which --help need not import; a test compares them.
    type=click.Choice(["auto", "text", "json", "github", "gnu", "junit", "sarif"]),
    default="auto",
    help="How findings are printed. auto: github under GitHub Actions, text elsewhere.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the findings to FILE instead, and print one line that counts them.",
)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option(
    "--explain",
    metavar="RULE",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="Explain a rule, with an example; runner rules lists them.",
)
@click.option("--no-cache", is_flag=True, help="Check every file, and remember nothing.")
@click.option(
    "--run-samples",
    is_flag=True,
    help="Also run the step of every good job that has tests, in the sandbox, on the rows of its first one.",
)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    format_name: str,
    output: Path | None,
    strict: bool,
    no_cache: bool,
    run_samples: bool,
) -> None:
    """Check job files, or folders of them; without a PATH the folder of jobs (JOBS_DIR, ./jobs.d).

    Every file is checked: YAML, keys and values, schedule, time zone, addresses, script, query, files it names.

    What has not changed since an earlier call is not checked again; what is known is kept under XDG_CACHE_HOME, or
    ~/.cache.

    Text is coloured on a terminal; NO_COLOR turns that off, FORCE_COLOR on where it is piped.

    Exit codes: 0 clean, 1 errors found (with --strict also warnings), 2 wrong usage, 3 could not run.
    """
    from runner.jobfiles.formats import choose_format

    # One short pass that drops almost nothing: collecting costs a fifth of the time and frees no memory.
    gc.disable()
    findings = _findings(paths, strict=strict, cached=not no_cache, run_samples=run_samples)
    _show(findings, choose_format(format_name, os.environ), output)
    ctx.exit(1 if findings.failed else 0)


def _findings(paths: tuple[Path, ...], *, strict: bool, cached: bool, run_samples: bool) -> "Findings":
    from datetime import UTC, datetime

    from runner.cli.environment import open_settings, working_folder
    from runner.jobfiles.defaults import job_defaults
    from runner.jobfiles.formats import Findings
    from runner.jobfiles.paths import check_paths

    started = time.perf_counter()
    folder = working_folder()
    settings, _ = open_settings()
    defaults = job_defaults(settings)
    now = datetime.now(UTC)

    def cache() -> "VerdictCache | None":
        from runner.jobfiles.verdict_cache import open_cache

        return open_cache(os.environ, folder=folder, jobs_dir=settings.jobs_dir, defaults=defaults, now=now)

    validation = check_paths(
        paths,
        jobs_dir=settings.jobs_dir,
        folder=folder,
        defaults=defaults,
        now=now,
        workers=len(os.sched_getaffinity(0)),
        open_cache=cache if cached else None,
    )
    diagnostics, texts = validation.diagnostics, validation.texts
    if run_samples:
        from runner.cli.signals import end_as_by_ctrl_c

        end_as_by_ctrl_c()
        from runner.jobtests import samples

        good = [file.path for file in validation.files if file.good]
        ran = samples.run_samples(good, settings, folder=folder)
        diagnostics, texts = (*diagnostics, *ran.diagnostics), {**texts, **ran.texts}
    return Findings(
        files=(*(file.path for file in validation.files), *validation.layer_files),
        diagnostics=diagnostics,
        texts=texts,
        seconds=time.perf_counter() - started,
        strict=strict,
    )


def _show(findings: "Findings", format_name: str, output: Path | None) -> None:
    from runner.cli.streams import verbatim_output
    from runner.jobfiles.formats import COLUMNS, render, summary, wants_colour

    if output is not None and os.fspath(output) != "-":
        from runner.delivery.words import visible
        from runner.jobfiles.formats.output import write_output

        write_output(output, render(findings, format_name))
        click.echo(f"{summary(findings)}; written to {visible(os.fspath(output))}")
        return
    is_terminal = sys.stdout.isatty()
    colour = wants_colour(os.environ, is_terminal=is_terminal)
    columns = (
        min(COLUMNS, os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS) if is_terminal else COLUMNS
    )
    text = render(findings, format_name, colour=colour, columns=columns)
    # The commands of that format are meant to be obeyed, and nothing else in it can be.
    file = verbatim_output() if format_name == "github" else None
    click.echo(text, file=file, nl=False, color=colour)
