"""A text → the credentials that stand in it as they are. Shapes only: nothing is tried out, nothing is looked up.

What is found is told by its kind and place; no part of it goes into a message.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from runner.core.secret_names import AUTHORIZATION_HEADERS, is_secret_name

_W = r"(?<![A-Za-z0-9_-])"
# Kind, the beginnings that it can have, and the whole.
_SHAPES = (
    ("an AWS access key", ("AKIA", "ASIA", "ABIA", "ACCA"), r"A[A-Z]{3}[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("a GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    ("a GitHub token", ("github_pat_",), r"github_pat_[A-Za-z0-9_]{60,255}"),
    ("a GitLab token", ("glpat-", "gldt-", "glrt-", "glcbt-"), r"gl(?:pat|dt|rt|cbt)-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", ("xox",), r"xox[abeoprs]-(?:[A-Za-z0-9]+-)*[A-Za-z0-9]{16,}"),
    ("a Slack webhook", ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{40,}"),
    ("a Stripe key", ("sk_live_", "rk_live_"), r"[sr]k_live_[A-Za-z0-9]{16,}"),
    ("a Google API key", ("AIza",), r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("a Google OAuth secret", ("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_-]{28}"),
    ("a SendGrid key", ("SG.",), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    ("an npm token", ("npm_",), r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("a PyPI token", ("pypi-AgEI",), r"pypi-AgEI[A-Za-z0-9_-]{50,}"),
    ("a DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[a-f0-9]{64}"),
    ("a Databricks token", ("dapi",), r"dapi[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("an OpenAI or Anthropic key", ("sk-",), r"sk-(?:[A-Za-z0-9]{0,19}[_-])*+[A-Za-z0-9]{20}[A-Za-z0-9_-]*"),
    ("a Hugging Face token", ("hf_",), r"hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
    (
        "a JSON Web Token",
        ("eyJ",),
        r"eyJ[A-Za-z0-9_-]{14,}\.eyJ[A-Za-z0-9_-]{14,}\.[A-Za-z0-9_-]{10,}",
    ),
    ("a private key", ("-----BEGIN ",), r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
)
# Every shape but four holds 16 letters or digits in a row, as good as always: found sooner than the shapes.
_RUN = b"a" * 16
_RUNS = bytes(97 if chr(code).isalnum() and code < 128 else 32 for code in range(256))
# Not the patterns and templates that scripts make addresses with, nor a mask.
_PART = r"[^\s/?#@:'\"\[\](){}<>\\^|*$]"
_PART_OR_COLON = _PART.replace(":", "").replace("$", "")
# The name of a user may be a reference; a password has no brace, so none is taken for one.
_IN_URL = re.compile(rf"://(?:{_PART}|\$\{{[^{{}}]*\}})*:(?!%[sd(])(?P<password>{_PART_OR_COLON}+)@")
# Of a database, as the library that reads its address parts it: all up to the @ is the password, and the name
# before it may have an @ and, where a reference stood, blanks. A port is none.
_OF_DATABASE = re.compile(r"\s*[A-Za-z][\w+.-]*://[^:/\[]*:(?!(?:\d+|\s+)[/,?])(?P<password>[^@]+)@")
_IN_QUERY = re.compile(r"[?&](?P<name>[^=&#\s]+)=(?P<value>[^&#\s]+)")
_REFERENCE = re.compile(r"\$\{[^{}]*\}")
_SCHEMES = r"(?P<scheme>bearer|basic|token|apikey|digest)\s+"
_SCHEME = re.compile(rf"(?i){_SCHEMES}")
_SCHEME_INSIDE = re.compile(rf"(?i)(?<![\w-]){_SCHEMES}+(?P<value>\S.*)", re.DOTALL)


class Credential(NamedTuple):
    """A credential in a text: what kind it is, and its offsets."""

    kind: str
    start: int
    end: int


def find_credentials(text: str) -> tuple[Credential, ...]:
    """The keys of a known shape and the passwords of addresses in a text, in order.

    Takes about 2 µs for a job file with none of them.
    """
    found: list[Credential] = []
    if (
        _RUN in text.encode(errors="replace").translate(_RUNS)
        or "-----BEGIN " in text
        or "AIza" in text
        or "glpat-" in text
        or "SG." in text
    ):
        found.extend(_find_shapes(text))
    if "://" in text:
        found.extend(
            Credential("the password of an address", *match.span("password")) for match in _IN_URL.finditer(text)
        )
    return tuple(sorted(found, key=lambda one: one.start)) if found else ()


def _find_shapes(text: str) -> Iterator[Credential]:
    numbers = tuple(n for n, (_, starts, _) in enumerate(_SHAPES) if any(start in text for start in starts))
    if numbers:
        for match in _one_of(numbers).finditer(text):
            yield Credential(_SHAPES[int(str(match.lastgroup)[1:])][0], *match.span())


@lru_cache(maxsize=32)
def _one_of(numbers: tuple[int, ...]) -> "re.Pattern[str]":
    """Some shapes in one. Each begins where no word goes on: a text is read once, whatever stands in it."""
    return re.compile(_W + "(?:" + "|".join(f"(?P<k{number}>{_SHAPES[number][2]})" for number in numbers) + ")")


def query_credentials(location: str) -> Iterator[tuple[str, Credential]]:
    """Name and place of each parameter in an address that is a credential by its name."""
    for match in _IN_QUERY.finditer(location):
        found = named_credential(match["name"], match["value"])
        if found is not None:
            yield match["name"], Credential(found.kind, *match.span("value"))


def database_credential(location: str) -> Credential | None:
    """The password in the address of a database, also one that should have been escaped, as with a blank in it."""
    match = _OF_DATABASE.match(_REFERENCE.sub(_as_blanks, location))
    if match is None or not match["password"].strip():
        return None
    return Credential("the password of an address", *match.span("password"))


def scheme_credential(text: str) -> Credential | None:
    """What stands behind a word such as `Bearer` in a text that is no value, such as the name of a header."""
    match = _SCHEME_INSIDE.search(text)
    if match is None or "${" in match["value"]:
        return None
    return Credential(f"a {match['scheme'].capitalize()} credential", *match.span("value"))


def named_credential(name: str, value: str) -> Credential | None:
    """The credential that a header or parameter carries by its name, where the value is no reference."""
    if not is_secret_name(name) or "${" in value or not value.strip():
        return None
    if name.lower() in AUTHORIZATION_HEADERS:
        match = _SCHEME.match(value.strip())
        if match is not None:
            start = len(value) - len(value.lstrip()) + match.end()
            return Credential(f"a {match['scheme'].capitalize()} credential", start, len(value.rstrip()))
    return Credential("a credential", 0, len(value))


def _as_blanks(match: "re.Match[str]") -> str:
    return " " * len(match[0])
