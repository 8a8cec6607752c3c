"""`runner fmt`: bring job files into canonical form."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.core.words import counted

if TYPE_CHECKING:
    from runner.jobfiles.canonical.formatting import Formatting


@click.command("fmt")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@click.option(
    "--stdin-filename", metavar="NAME", help="With - as PATH: what the text on standard input is shown as."
)
@click.pass_context
def command(
    ctx: click.Context, *, paths: tuple[Path, ...], check: bool, diff: bool, stdin_filename: str | None
) -> None:
    """Bring job files into canonical form; without a PATH the folder of jobs (JOBS_DIR, ./jobs.d).

    Keys in the order of the schema, texts of several lines as blocks, quotes only where they are needed. What a
    file says never changes, and no comment is lost. A file that does not parse is named and left as it is.
    - as PATH reads standard input and writes to standard output.

    A diff shows what stands in the file, credentials too: keep it out of logs that others read. What a CI server
    would take for a command has a blank in it there, so that the diff no longer fits.

    Exit codes: 0 done, 1 a file that cannot be formatted, or with --check or --diff one that would change, 2 wrong
    usage, 3 could not run.
    """
    from runner.cli.environment import open_settings, working_folder
    from runner.cli.streams import verbatim_output
    from runner.errors import UsageError
    from runner.jobfiles.canonical.formatting import format_paths

    dry = check or diff
    if Path("-") in paths:
        if len(paths) > 1:
            raise UsageError("- stands alone", hint="Give - or paths of files and folders, not both.")
        results: Sequence[Formatting] = (_read_stdin(stdin_filename or "<stdin>"),)
        if not dry and results[0].after is not None:
            click.echo(results[0].after, file=verbatim_output(), nl=False)
    else:
        settings, _ = open_settings()
        results = format_paths(paths, jobs_dir=settings.jobs_dir, folder=working_folder(), write=not dry)
    _show(results, check=check, diff=diff, summary=Path("-") not in paths)
    failed = any(result.findings or (dry and result.changed) for result in results)
    ctx.exit(1 if failed else 0)


def _read_stdin(name: str) -> "Formatting":
    """The canonical form of what stands on standard input."""
    from runner.jobfiles.canonical.formatting import format_bytes
    from runner.jobfiles.read import MAX_BYTES

    return format_bytes(sys.stdin.buffer.read(MAX_BYTES + 1), name)


def _show(results: "Sequence[Formatting]", *, check: bool, diff: bool, summary: bool) -> None:
    from runner.delivery.words import visible
    from runner.jobfiles.formats.shown import clean

    for result in results:
        for found in result.findings:
            click.echo(clean(f"{found}"), err=True)
            if found.hint:
                click.echo(clean(f"  hint: {found.hint}"), err=True)
        if diff and result.changed:
            text = _diff(result)
            click.echo(visible(text) if sys.stdout.isatty() else text, nl=False)
        if check and result.changed:
            click.echo(clean(f"would reformat {result.path}"), err=diff)
    if summary:
        click.echo(_summary(results, dry=check or diff), err=diff)


def _diff(result: "Formatting") -> str:
    """A unified diff, as `patch` and `git apply -p0` take it."""
    import difflib

    path = result.path.replace(os.sep, "/")
    lines = difflib.unified_diff(
        result.before.splitlines(keepends=True), (result.after or "").splitlines(keepends=True), path, path
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _summary(results: "Sequence[Formatting]", *, dry: bool) -> str:
    if not results:
        return "0 files: there is no job file here (*.yaml or *.yml, not starting with _ or .)"
    changed = sum(result.changed for result in results)
    failed = sum(bool(result.findings) for result in results)
    kept = len(results) - changed - failed
    counts = (
        (changed, "would be reformatted" if dry else "reformatted"),
        (kept, "already formatted" if dry else "left unchanged"),
        (failed, "cannot be formatted"),
    )
    return ", ".join(f"{counted(number, 'file')} {word}" for number, word in counts if number)
