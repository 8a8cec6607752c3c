"""The files that the wheel ships beside the code: schemas, the demo's jobs, `.env.example`."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_path(name: str) -> Path:
    """The file or folder `name`: from the wheel, or from the checkout that this package is run from.

    `name` is `schemas/…`, `jobs.d/…` or `.env.example`.
    """
    inside = _PACKAGE / "_shipped" / name.removeprefix(".")
    return inside if inside.exists() else _PACKAGE.parent / name
