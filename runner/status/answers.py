"""How answers are written: JSON, errors with a remedy, and whether the client would rather have a page."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response

_EMPTY: Mapping[str, str] = {}


def json_answer(document: Any, status: int = 200, headers: Mapping[str, str] = _EMPTY) -> Response:
    """A document as JSON."""
    return encoded_answer(msgspec.json.encode(document), status, headers)


def encoded_answer(body: bytes, status: int = 200, headers: Mapping[str, str] = _EMPTY) -> Response:
    """JSON that is encoded already. Not to be used again without asking whether it changed."""
    return Response(body, status, media_type="application/json", headers={"Cache-Control": "no-cache", **headers})


def error_answer(status: int, error: str, hint: str, headers: Mapping[str, str] = _EMPTY) -> Response:
    """What is wrong and what to do now, as `{"error", "hint"}`."""
    return json_answer({"error": error, "hint": hint}, status, headers)


def etag_of(body: bytes) -> str:
    """The entity tag of a body, with its quotes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def etag_matches(headers: Headers, etag: str) -> bool:
    """True when `If-None-Match` names the entity the client would get (RFC 9110, 13.1.2: weak comparison)."""
    given = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return etag in given or "*" in given


def prefers_html(headers: Headers) -> bool:
    """True for browsers: `text/html` is asked for by name, and JSON is not asked for as much."""
    weights = dict(_parse_accept(headers.get("accept", "")))
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)


def _parse_accept(text: str) -> list[tuple[str, float]]:
    found = []
    for part in text.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        found.append((media, weight))
    return found
