"""The HTML part of a mail: inline styles only, nothing fetched from anywhere."""

from functools import cache
from pathlib import Path

import jinja2

from runner.delivery.content import Content, table_note

_TEMPLATES = Path(__file__).resolve().parent / "templates"


def render_html(content: Content, *, subject: str) -> str:
    """The HTML part of a mail. Every text in it is escaped."""
    template = _environment().get_template("results.html.j2" if content.good else "failure.html.j2")
    note = table_note(content.table, len(content.table.columns)) if content.table is not None else ""
    return template.render(mail=content, subject=subject, table_note=note)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
