"""Names and texts inside DuckDB SQL."""


def quote_name(name: str) -> str:
    """A name as SQL writes it: `"unit price"`."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text as SQL writes it: `'it''s'`."""
    return "'" + text.replace("'", "''") + "'"
