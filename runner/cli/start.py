"""`runner start`."""

import os

import click


@click.command("start")
def command() -> None:
    """Run the service: schedule, run, mail, remember; until SIGTERM or Ctrl-C.

    The folder is followed while it runs: commit, and the change is in force within seconds. SIGHUP reloads at
    once. Settings come from the environment and from .env.
    """
    from runner.cli.environment import open_settings
    from runner.cli.signals import handle_signals
    from runner.logs import configure_logging
    from runner.service.loop import Service

    settings, environ = open_settings()
    configure_logging(settings.log, no_color=bool(os.environ.get("NO_COLOR")))
    service = Service(settings, environ)
    handle_signals(stop=service.request_stop, reload=service.request_reload)
    service.start()
    try:
        service.run()
    finally:
        service.stop()
