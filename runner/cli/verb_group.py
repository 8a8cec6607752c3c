"""A command that has verbs, and speaks of them as such: `runner` itself, and `runner mail`."""

import click

_LONGEST_HELP = 100


class VerbGroup(click.Group):
    """A group whose commands are called verbs in help and errors."""

    def described(self, ctx: click.Context) -> list[tuple[str, str]]:
        """Each verb with its line of help."""
        return [
            (verb, found.get_short_help_str(_LONGEST_HELP))
            for verb in self.list_commands(ctx)
            if (found := self.get_command(ctx, verb)) is not None
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, verbs = args[0], self.list_commands(ctx)
        # Of a line that is still being typed, completion asks: it is told nothing.
        if name not in verbs and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, verbs, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"There is no verb {name!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(self.described(ctx))
