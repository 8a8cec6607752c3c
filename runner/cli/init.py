"""`runner init`."""

from pathlib import Path

import click


@click.command("init")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=Path())
def command(*, folder: Path) -> None:
    """Start a new repository of jobs in DIR (the working folder without one).

    Writes jobs.d with one commented and tested example, the schemas that editors complete from, .env.example,
    .gitignore, hooks for pre-commit, and a workflow that checks and tests each pull request and tells what it
    changes. Files that exist are left alone, and where there are jobs the example is left out.
    """
    import shlex

    from runner.cli.environment import working_folder
    from runner.scaffold import create_repository

    if not folder.is_absolute():
        working_folder()
    scaffold = create_repository(folder)
    for name in scaffold.written:
        click.echo(f"wrote  {folder / name}")
    for name in scaffold.kept:
        click.echo(f"kept   {folder / name} (it was there already)")
    for name in scaffold.left_out:
        click.echo(f"left   {folder / name} out (there are jobs already)")
    if scaffold.unignored:
        click.echo(f"\nAdd to {folder / '.gitignore'}, for secrets and state stay out of git:")
        for line in scaffold.unignored:
            click.echo(f"  {line}")
    if scaffold.too_wide:
        click.echo(
            f"\nIn {folder / '.gitignore'} the line {scaffold.too_wide} keeps sources in data/ out of git too: "
            "runs elsewhere would lack them.\nFor the state alone write in its place:"
        )
        for line in scaffold.state:
            click.echo(f"  {line}")
    enter = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    example = "" if scaffold.left_out else " && runner run example --no-mail"
    click.echo(f"\nNext:  {enter}runner validate && runner test{example}")
