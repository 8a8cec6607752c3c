"""`runner status`."""

import click


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Show on one screen where everything stands, while the service runs and when it does not.

    Something needs attention when no service runs, or it is not ready or does not answer, a file is not in force,
    the last run of a job by schedule failed, a mail was given up, is held or has waited for an hour, or the disk
    is nearly full.

    Exit codes: 0 all is well, 1 something needs attention, 2 wrong usage, 3 could not look.
    """
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.health_documents import standing_document
    from runner.service.clock import utc_now
    from runner.service.standing import take_stock

    settings, _ = open_settings()
    standing = take_stock(settings, now=utc_now())
    if as_json:
        print_json(standing_document(standing))
    else:
        from runner.cli.render_health import standing_screen

        open_console().print(standing_screen(standing, settings.timezone))
    ctx.exit(1 if standing.needs_attention else 0)
