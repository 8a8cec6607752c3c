"""`runner rules`, and one rule as `runner validate --explain` prints it."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.text import Text

    from runner.jobfiles.rules import Rule

_STYLES = {"error": "red", "warning": "yellow"}
_TEXT_WIDTH = 100


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with reasons and examples.")
def command(*, as_json: bool) -> None:
    """List the rules of validate: name, severity, and what a finding of it means.

    runner validate --explain RULE tells the reason of one, with a bad and a good example.
    """
    from runner.jobfiles.rules import RULES, rule_document

    if as_json:
        from runner.cli.environment import print_json

        print_json([rule_document(rule) for rule in RULES])
        return
    from runner.cli.environment import open_console
    from runner.cli.fitting import FittingTable

    table = FittingTable()
    table.add_column("rule", no_wrap=True)
    table.add_column("severity")
    table.add_column("what it means", overflow="fold")
    for rule in RULES:
        table.add_row(rule.name, _severity(rule), rule.summary)
    open_console().print(table)


def print_rule(rule: "Rule") -> None:
    """A rule with its reason and examples."""
    from rich.text import Text

    from runner.cli.environment import open_console

    console = open_console()
    console.print(Text(rule.name, style="bold").append(" (").append_text(_severity(rule)).append(")"))
    width = min(console.width, _TEXT_WIDTH)
    for paragraph in (rule.summary, rule.reason):
        console.print()
        console.print(Text(paragraph), width=width)
    for title, example, style in (("Wrong:", rule.bad, "red"), ("Right:", rule.good, "green")):
        if example:
            console.print()
            console.print(Text(title, style=style))
            # Whole lines, whatever the width: an example is there to be copied.
            console.print(
                Text("".join(f"  {line}" for line in example.splitlines(keepends=True)).rstrip()), soft_wrap=True
            )
    if rule.no_example:
        console.print()
        console.print(Text(f"No example: {rule.no_example[0].lower()}{rule.no_example[1:]}"), width=width)


def _severity(rule: "Rule") -> "Text":
    from rich.text import Text

    return Text(str(rule.severity), style=_STYLES[rule.severity])
