"""`runner schema`: the JSON Schemas, for editors and other validators."""

import click


@click.command()
@click.argument("kind", type=click.Choice(["job", "defaults", "policy"]), default="job")
def command(*, kind: str) -> None:
    """Print the JSON Schema of a job file; with defaults or policy, that of _defaults.yaml or _policy.yaml.

    For an editor: save it, and start each job file with the line

    \b
      # yaml-language-server: $schema=../schemas/job.schema.json
    """
    from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA

    schemas = {"job": JOB_SCHEMA, "defaults": DEFAULTS_SCHEMA, "policy": POLICY_SCHEMA}
    click.echo(schemas[kind].text, nl=False)
