"""`runner list`."""

import sys

import click


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as GET /jobs does.")
def command(*, as_json: bool) -> None:
    """List the jobs of the folder, with next fire and last run.

    Reads the folder as it is now, and the run history of the state folder where there is one. A file that is not
    valid is shown with its last good version, where a service has one in force.
    """
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.documents import job_document
    from runner.service.clock import utc_now
    from runner.service.listing import list_jobs
    from runner.service.lookup import empty_words
    from runner.store.store import Store

    settings, _ = open_settings()
    with Store.open_reader(settings.storage_path) as history:
        jobs = list_jobs(settings, history, now=utc_now())
    if not jobs:
        click.echo(empty_words(settings), err=as_json)
    if as_json:
        documents = [
            job_document(status.entry, next_fire=status.next_fire, last_run=status.last_run) for status in jobs
        ]
        print_json({"jobs": documents})
        return
    if not jobs:
        return
    from runner.cli.render import job_table

    open_console().print(job_table(jobs))
    if any(status.entry.diagnostics for status in jobs):
        click.echo("Some files have findings: runner validate shows them.", file=sys.stderr)
