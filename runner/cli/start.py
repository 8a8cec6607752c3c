"""`runner start`."""

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runner.errors import RunnerError

if TYPE_CHECKING:
    from runner.cli.signals import Signals
    from runner.settings import Settings

log = logging.getLogger(__name__)


@click.command("start")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run the service: schedule, run, mail, remember; until SIGTERM or Ctrl-C.

    The folder is followed while it runs: commit, and the change is in force within seconds. SIGHUP reloads at
    once. Settings come from the environment and from .env.

    Exit codes: 0 stopped, 2 wrong usage, 3 could not run.
    """
    from runner.cli.signals import Signals

    # First of all: what follows takes a while to import. A stop in that time is a stop as any other, and what
    # comes due in it is due.
    signals, began = Signals(), datetime.now(UTC)
    from runner.cli.environment import open_settings
    from runner.logs import configure_logging

    settings, environ = open_settings()
    configure_logging(settings.log, no_color=bool(os.environ.get("NO_COLOR")))
    # From here on the log tells why the service ends, wherever it is written; standard error shows its lines, so
    # that nothing is printed besides.
    try:
        _serve(settings, environ, signals, began)
    except RunnerError as error:
        log.critical("%s%s", error.message, f" (hint: {error.hint})" if error.hint else "")
        ctx.exit(error.exit_code)
    except Exception:
        log.critical("The service has met a bug and ends", exc_info=True)
        ctx.exit(RunnerError.exit_code)
    finally:
        signals.ignore()


def _serve(settings: "Settings", environ: Mapping[str, str], signals: "Signals", began: datetime) -> None:
    from runner.service.loop import Service

    if signals.stopped:
        return
    service = Service(settings, environ, began=began)
    signals.hand_to(stop=service.request_stop, reload=service.request_reload)
    service.start()
    try:
        service.run()
    finally:
        service.stop()
