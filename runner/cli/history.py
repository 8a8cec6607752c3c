"""`runner history`."""

import click


@click.command("history")
@click.argument("job", required=False)
@click.option(
    "--limit", metavar="N", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many runs."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as GET /jobs/{job_name}/runs does.")
def command(*, job: str | None, limit: int, as_json: bool) -> None:
    """List past runs, newest first: of one JOB, or of all. Works while the service runs."""
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.documents import runs_document
    from runner.store.store import Store

    settings, _ = open_settings()
    with Store.open_reader(settings.storage_path) as history:
        runs = history.runs(job_name=job, limit=limit)
    advice = f"runner run {job or 'JOB'} makes one now."
    if job is not None and not runs:
        from runner.service.lookup import require_known

        advice = require_known(settings, job) or advice
    if as_json:
        print_json(runs_document(runs))
        return
    if not runs:
        of_job = f" of {job}" if job else ""
        click.echo(f"No runs{of_job} in {settings.storage_path}. {advice}")
        return
    from runner.cli.render import run_table

    open_console().print(run_table(runs, settings.timezone))
