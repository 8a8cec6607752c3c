"""`runner import`: the REST service's stored jobs as job files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.core.words import counted

if TYPE_CHECKING:
    from rich.text import Text

    from runner.jobfiles.predecessor.importing import ImportedJob

_REMARKS = (
    "Schedules are read in TIMEZONE, UTC unless set; the REST service read them in the zone of its machine.",
    (
        "Days of the week count from 0 = Sunday, as its guide said; APScheduler 3, which it ran on, takes 0 for "
        "Monday. Where mails came a day later than 1-5 says, write the days that are meant, such as TUE-SAT."
    ),
    "Relative paths start at the folder that holds the folder of jobs.",
    "Scripts run under pandas 3, which lacks some of what older ones had: runner run JOB --no-mail tries one.",
)


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--output-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the job files go; without it the folder of jobs (JOBS_DIR, ./jobs.d).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, *, file: Path, output_dir: Path | None, as_json: bool) -> None:
    """Turn the REST service's stored jobs (its jobs.json) into one job file each.

    Files that exist are never changed. What could not be carried over as it was is listed job by job, with what
    validate finds in the new files.

    Exit codes: 0 all carried over and valid, 1 something needs a look, 2 wrong usage, 3 FILE cannot be read, or a
    job file cannot be written.
    """
    import os
    from datetime import UTC, datetime

    from runner.cli.environment import open_settings, print_json, working_folder
    from runner.jobfiles.defaults import job_defaults
    from runner.jobfiles.predecessor.importing import import_jobs

    settings, _ = open_settings()
    folder = working_folder()
    target = Path(os.path.abspath(output_dir)) if output_dir else settings.jobs_dir  # noqa: PTH100 - links are kept
    defaults = job_defaults(settings)
    jobs = import_jobs(file, output_dir=target, folder=folder, defaults=defaults, now=datetime.now(UTC))
    if as_json:
        print_json({"jobs": [_document(job) for job in jobs], "remarks": list(_REMARKS)})
    else:
        _print(jobs)
    ctx.exit(1 if any(job.needs_attention for job in jobs) else 0)


def _document(job: "ImportedJob") -> dict[str, Any]:
    from runner.core.documents import diagnostic_document

    return {
        "place": job.place,
        "old_name": job.old_name,
        "job_name": job.job_name,
        "path": job.path or None,
        "state": str(job.state),
        "needs_attention": job.needs_attention,
        "notes": [
            {"kind": str(note.kind), "key": note.key, "message": note.message, "hint": note.hint}
            for note in job.notes
        ],
        "diagnostics": [diagnostic_document(found) for found in job.findings],
    }


def _print(jobs: "Sequence[ImportedJob]") -> None:
    from runner.cli.environment import open_console

    console = open_console()
    for job in jobs:
        console.print(_listing(job), soft_wrap=True)
    if not jobs:
        console.print("The file holds no jobs.")
        return
    console.print()
    for remark in _REMARKS:
        console.print(remark, style="dim", soft_wrap=True)
    console.print(_summary(jobs), soft_wrap=True)


def _listing(job: "ImportedJob") -> "Text":
    """What became of one job, and below it what is to be known of it."""
    from rich.text import Text

    from runner.cli.render import foreign

    words = {"written": ("written ", "green"), "kept": ("kept    ", "yellow"), "left_out": ("left out", "red")}
    word, style = words[job.state]
    name = job.old_name or job.place
    shown = {
        "written": job.path,
        "kept": f"{job.path} is there already and stays as it is",
        "left_out": f"{name} ({job.place})" if job.old_name else name,
    }[job.state]
    text = Text().append(word, style=style).append("  ").append_text(foreign(shown))
    for note in job.notes:
        label, colour = {"to_do": ("to do   ", "red"), "changed": ("changed ", ""), "left_out": ("left out", "")}[
            note.kind
        ]
        about = f"{note.key}: " if note.key else ""
        text.append("\n  ").append(label, style=colour).append("  ").append_text(foreign(about + note.message))
        if note.hint:
            text.append("\n            ").append_text(foreign(note.hint, "dim"))
    for found in job.findings:
        colour = "red" if found.severity == "error" else "yellow"
        text.append("\n  ").append(f"{found.severity:8}", style=colour).append("  ")
        text.append_text(foreign(f"line {found.line}: {found.message} [{found.rule}]"))
        if found.hint:
            text.append("\n            ").append_text(foreign(found.hint, "dim"))
    return text


def _summary(jobs: "Sequence[ImportedJob]") -> str:
    from collections import Counter

    states = Counter(str(job.state) for job in jobs)
    words = {"written": "written", "kept": "kept as they were", "left_out": "left out"}
    counts = ", ".join(f"{states[state]} {word}" for state, word in words.items() if states[state])
    attention = sum(job.needs_attention for job in jobs)
    outcome = (
        f"{attention} need{'s' if attention == 1 else ''} a look" if attention else "all carried over and valid"
    )
    return f"{counted(len(jobs), 'job')}: {counts}; {outcome}."
