"""`runner doctor`."""

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Try everything the service needs, and say what to do where it is not well.

    Settings, jobs, git, state folder, database, service, mail server, time zones, sandbox, memory, spreadsheets
    and clock. It changes nothing and sends nothing, also beside a running service.

    Exit codes: 0 all is well or there are warnings alone, 1 there is a problem, 2 wrong usage.
    """
    from runner.cli.environment import open_console, print_json, working_folder
    from runner.core.health import has_problem
    from runner.core.health_documents import doctor_document
    from runner.service.doctor import diagnose

    findings = []
    console = open_console()
    for finding in diagnose(working_folder()):
        findings.append(finding)
        if not as_json:
            from runner.cli.render_health import findings_table

            console.print(findings_table([finding]))
    if as_json:
        print_json(doctor_document(findings))
    else:
        from runner.cli.render_health import findings_words

        click.echo(findings_words(findings))
    ctx.exit(1 if has_problem(findings) else 0)
