"""`runner next`."""

from datetime import datetime

import click


@click.command("next")
@click.argument("jobs", nargs=-1, metavar="[JOB]...")
@click.option("--after", metavar="TIME", help="ISO 8601; without an offset it is UTC. Default: now.")
@click.option(
    "--count",
    metavar="N",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many fires of each job.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, jobs: tuple[str, ...], after: str | None, count: int, as_json: bool) -> None:
    """Show when jobs fire next, in their own time zone; all jobs without a name."""
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.documents import fires_document
    from runner.service.coming import coming_fires
    from runner.service.lookup import no_jobs_words

    settings, _ = open_settings()
    rows = coming_fires(settings, jobs, after=parse_time(after, option="--after"), count=count)
    if not rows:
        click.echo(no_jobs_words(settings), err=as_json)
    if as_json:
        print_json([fires_document(row.job_name, row.timezone, row.fires) for row in rows])
        return
    if not rows:
        return
    from runner.cli.render import fire_table

    open_console().print(fire_table(rows))


def parse_time(text: str | None, *, option: str) -> datetime:
    """An ISO 8601 time, UTC where it names no offset; now for None.

    Raises:
        click.BadParameter: as `parse_moment`.
    """
    from datetime import UTC

    moment = parse_moment(text, option=option)
    if moment is None:
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_moment(text: str | None, *, option: str, end_of_day: bool = False) -> datetime | None:
    """An ISO 8601 time as it stands, without a zone where it names no offset; None for None.

    Args:
        option: where it was given, such as `--at`.
        end_of_day: whether a date alone means its last moment, not its first.

    Raises:
        click.BadParameter: it is no time, or of a year outside 1970 to 9000: near the ends of the calendar
            a time cannot be told in every zone.
    """
    from datetime import timedelta

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no ISO 8601 time, such as 2026-01-31T09:00:00Z"
        raise click.BadParameter(message, param_hint=f"'{option}'") from error
    if not 1970 <= moment.year <= 9000:
        message = f"{text!r} is out of range: the year must be 1970 to 9000"
        raise click.BadParameter(message, param_hint=f"'{option}'")
    date_alone = len(text) <= len("2026-01-31")
    return moment + timedelta(days=1, microseconds=-1) if end_of_day and date_alone else moment
