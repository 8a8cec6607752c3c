"""The HTML part of a mail: inline styles only, nothing fetched from anywhere."""

from pathlib import Path

import jinja2

from runner.delivery.content import Content
from runner.delivery.table import failing_note, table_note

_TEMPLATES = Path(__file__).resolve().parent / "templates"

# Read once and for all: a failure has to be told when files cannot be opened, or are being replaced, too.
_TEMPLATE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
).get_template("mail.html.j2")


_TEMPLATE.environment.globals.update(table_note=table_note, failing_note=failing_note)


def render_html(content: Content, *, subject: str, picture_id: str) -> str:
    """The HTML part of a mail. Every text in it is escaped. `picture_id` is the Content-ID of its picture."""
    return _TEMPLATE.render(mail=content, subject=subject, picture_id=picture_id)
