"""The command line: one file per verb, imported only when that verb is called."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from runner import __version__
from runner.cli.streams import disarm_streams
from runner.cli.verb_group import VerbGroup
from runner.errors import RunnerError

# verb → (module, one line of help). Here, so that `runner --help` imports none of them.
VERBS: Mapping[str, tuple[str, str]] = {
    "backfill": ("backfill", "Run the fires of a past span that have not succeeded."),
    "demo": ("demo", "See it work: a temporary project, its jobs run, their mails shown."),
    "doctor": ("doctor", "Try everything the service needs, and say what to do."),
    "fmt": ("fmt", "Bring job files into canonical form."),
    "history": ("history", "List past runs."),
    "import": ("import_jobs", "Turn the REST service's stored jobs into job files."),
    "init": ("init", "Start a new repository of jobs."),
    "list": ("list_jobs", "List the jobs of the folder, with next fire and last run."),
    "mail": ("mail", "List, show, retry and hold mails."),
    "next": ("next_fires", "Show when jobs fire next."),
    "plan": ("plan", "Show what a change of job files changes, as a pull request would."),
    "rules": ("rules", "List the rules of validate."),
    "run": ("run", "Run one job now, once."),
    "schema": ("schema", "Print the JSON Schema of a job file, of defaults or of a policy."),
    "show": ("show", "Show a job as it takes effect, and where each value comes from."),
    "start": ("start", "Run the service."),
    "status": ("status", "Show on one screen where everything stands."),
    "test": ("test_jobs", "Run the tests that jobs have of their own."),
    "validate": ("validate", "Check job files: file, line and remedy."),
}

# What keeps a stream that is open from being written: it has no name, as what cannot be opened has.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_MAKE_ROOM = "Make room where it goes, or send it elsewhere."


class _LazyVerbs(VerbGroup):
    """Finds a verb's command in its module, when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in VERBS:
            return None
        command = import_module(f"runner.cli.{VERBS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def described(self, ctx: click.Context) -> list[tuple[str, str]]:  # noqa: ARG002 - as of the group
        return [(verb, help_text) for verb, (_, help_text) in VERBS.items()]

    def main(self, *args: Any, **extra: Any) -> Any:
        _open_standard_streams()
        _encode_output()
        disarm_streams()
        try:
            try:
                return super().main(*args, **extra)
            except SystemExit:
                # Here, and not as the interpreter ends, where it could not be told that it failed. Every end but a
                # bug comes this way, and what is wrong with the output shall not hide one.
                sys.stdout.flush()
                raise
        except BrokenPipeError:
            # The reader of a pipe went away: quiet.
            _drop_output()
            sys.exit(1)
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            _drop_output()
            _show_error(RunnerError(f"the output cannot be written: {error.strerror}", hint=_MAKE_ROOM))
            sys.exit(RunnerError.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        # Errors that are foreseen are RunnerErrors, also those of files and sockets: anything else is a bug, and
        # its traceback is wanted.
        try:
            return super().invoke(ctx)
        except RunnerError as error:
            _show_error(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            # As a shell reports a program that SIGINT has ended.
            ctx.exit(130)


def _open_standard_streams() -> None:
    """Open on /dev/null what the caller has closed: the next file opened would stand in its place."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            # For the programs that are started too.
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - lasts as long as the process


def _encode_output() -> None:
    """UTF-8 for files and other programs, whatever the locale: JSON and XML are nothing else. A terminal gets its
    own encoding, and an escape for what that does not know."""
    # Standard error too: click writes past one that is ASCII, to what lies below.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _drop_output() -> None:
    """Let go what is still to be written, so that the interpreter does not try again as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_error(error: RunnerError) -> None:
    from runner.delivery.words import visible

    # The exit code tells it too, where standard error cannot be written.
    with contextlib.suppress(OSError):
        click.echo(_styled("error: ") + visible(error.message), err=True)
        if error.hint:
            click.echo(f"  hint: {visible(error.hint)}", err=True)


def _styled(text: str) -> str:
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stderr.isatty()
    return text if plain else click.style(text, fg="red", bold=True)


@click.group(
    cls=_LazyVerbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB [ARGS]...",
    epilog="Exit codes: 0 clean, 1 findings or a failed run, 2 wrong usage, 3 could not run, 130 ended by Ctrl-C.",
)
@click.version_option(__version__, prog_name="runner")
def main() -> None:
    """Scheduled data reports from YAML files in git: checked, run in a sandbox, mailed as CSV."""
