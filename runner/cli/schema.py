"""`runner schema`: the JSON Schema of a job file, for editors and other validators."""

import click


@click.command()
def command() -> None:
    """Print the JSON Schema of a job file.

    For an editor: save it, and start each job file with the line
    "# yaml-language-server: $schema=../schemas/job.schema.json".
    """
    from runner.jobfiles.schema import schema_text

    click.echo(schema_text(), nl=False)
