"""`runner demo`."""

import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from runner.core.run import Run
    from runner.demo import Demo, KeptMail


@click.command("demo")
@click.option("--once", is_flag=True, help="End when every job has run, instead of at Ctrl-C.")
@click.option(
    "--directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty folder for the demo's project. Default: a new temporary one.",
)
def command(*, once: bool, directory: Path | None) -> None:
    """See it work: a temporary project, each of its jobs run once, their mails kept as files, the page shown.

    Nothing is sent and nothing of yours is touched. One job fails on purpose, to show the mail that says why: the
    exit code is 0 all the same.
    """
    from runner.cli.environment import is_watched, open_console, open_settings
    from runner.cli.signals import Signals
    from runner.demo import Demo, SalesApi
    from runner.logs import configure_logging
    from runner.settings import LogSettings

    settings, _ = open_settings()
    folder = _open_folder(directory)
    log_file = folder / "data" / "runner.log"
    configure_logging(LogSettings(file=log_file), console=False)
    console = open_console()
    console.print(f"A service starts in {folder}", soft_wrap=True, markup=False)
    with SalesApi() as api:
        demo = Demo(folder, settings, api.url)
        Signals(hang_up_stops=True).hand_to(stop=demo.service.request_stop)
        loop = threading.Thread(target=demo.service.run, name="service", daemon=True)
        loop.start()
        try:
            with console.status("Its jobs run …") if is_watched(console) else nullcontext():
                runs = demo.run_each_job()
            _show(console, folder, demo, runs, once=once)
            while loop.is_alive() and not once:
                loop.join(0.2)
        finally:
            demo.service.request_stop()
            loop.join(10)
            demo.service.stop()
    click.echo(f"The demo's project stays in {folder}")


def _open_folder(directory: Path | None) -> Path:
    """The folder that is named, made where it is not there, or a new temporary one; absolute.

    Raises:
        UsageError: there is something in it.
        RunnerError: it cannot be made or written.
    """
    from runner.errors import RunnerError, UsageError

    try:
        if directory is not None and directory.exists() and any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty", hint="Name a new folder; the demo overwrites nothing.")
        folder = (directory or Path(tempfile.mkdtemp(prefix="runner-demo-"))).absolute()
        (folder / "data").mkdir(parents=True)
    except OSError as error:
        raise RunnerError(
            f"there can be no demo in {directory or 'the folder of temporary files'}: {error.strerror}",
            hint="Name a folder that can be written: runner demo --directory FOLDER.",
        ) from error
    return folder


def _show(console: "Console", folder: Path, demo: "Demo", runs: "tuple[Run, ...]", *, once: bool) -> None:
    from rich.rule import Rule

    from runner.cli.render import run_table

    console.print()
    console.print(Rule("each job has run once", align="left", style="dim"))
    console.print(run_table(runs, "UTC"))
    mails = demo.mails()
    console.print(Rule(f"{len(mails)} mails kept; one job failed on purpose", align="left", style="dim"))
    console.print()
    for mail in mails:
        _show_mail(console, mail)
    console.print()
    if not once:
        console.print(f"Page     {demo.service.address}", markup=False)
        jobs = f"Jobs     {folder / 'jobs.d'}  (edit one: it is in force within seconds)"
        console.print(jobs, soft_wrap=True, markup=False)
        console.print(f"Log      {folder / 'data' / 'runner.log'}", soft_wrap=True, markup=False)
        console.print("Ctrl-C ends the demo.\n")


def _show_mail(console: "Console", mail: "KeptMail") -> None:
    from runner.cli.render import foreign

    console.print(foreign(mail.subject, "bold"))
    attached = f", with {', '.join(mail.attachments)}" if mail.attachments else ""
    console.print(foreign(f"  to {mail.recipients}{attached}", "dim"))
    console.print(foreign(f"  {mail.path}"), soft_wrap=True)
