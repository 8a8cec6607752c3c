"""`runner show`."""

import click


@click.command("show")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, job: str, as_json: bool) -> None:
    """Show JOB as it takes effect: every value, and the file, setting or default that gives it.

    JOB is a job's name, or the path of its file.
    """
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.documents import effective_document
    from runner.service.listing import effective_job

    settings, _ = open_settings()
    shown = effective_job(settings, job)
    if as_json:
        print_json(effective_document(shown.job, shown.values, cursor=shown.cursor))
        return
    from runner.cli.render_job import effective_table

    open_console().print(effective_table(shown))
