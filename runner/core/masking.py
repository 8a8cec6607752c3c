"""Secrets are masked in texts: as they are, and as others may write them who repeat what they were asked with."""

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
_SHORTEST = 4
_PERCENT = re.compile(r"%[0-9A-F]{2}")
# What is as good without its escape, and a % that escapes nothing.
_ESCAPED_FOR_NOTHING = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# In an address as a whole these have a meaning and are sent as they are; as in requests.utils.requote_uri.
_SAFE_IN_ADDRESS = "!#$%&'()*+,/:;=?@[]~"
_UNICODE_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
# What is safe in JSON, and escaped all the same where it could end up in a page: by Go and Rails, Gson, .NET.
_ESCAPED_IN_JSON = ("", "<>&", "<>&='", "<>&'\"+`")
# How the two quotes are written in HTML: by Python, Go and MarkupSafe, Java, PHP.
_QUOTES_IN_HTML = (("&quot;", "&#x27;"), ("&#34;", "&#39;"), ("&quot;", "&#39;"), ("&quot;", "&#039;"))


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced by `***`, longest first.

    Values shorter than four characters are left: masking them would tear words apart and hide nothing.
    """
    return masker(secrets)(text)


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """What masks one text after the other, as `mask` does."""
    known = sorted({value for value in secrets if len(value) >= _SHORTEST}, key=len, reverse=True)

    def mask_text(text: str) -> str:
        for secret in known:
            text = text.replace(secret, MASK)
        return text

    return mask_text


def forms_of(secret: str) -> frozenset[str]:
    """A secret as it is, in base64, and as it looks in a URL, in JSON, in HTML and to Python; in a URL or a JSON
    document that stands in another one too, and where its UTF-8 was taken for Latin-1.

    One of less than four characters has none: its forms, such as `&amp;`, stand in any text.
    """
    if len(secret) < _SHORTEST:
        return frozenset()
    content = secret.encode("utf-8", "surrogateescape")
    encoded = base64.b64encode(content).decode("ascii")
    forms = {secret.strip(), repr(content)[2:-1]}
    for text in {secret, content.decode("latin-1"), encoded, encoded.rstrip("=")}:
        forms |= {text, repr(text)[1:-1], ascii(text)[1:-1], *_in_urls(text), *_in_json(text), *_in_html(text)}
    return frozenset(forms - {""})


def _in_urls(text: str) -> Iterator[str]:
    plus = quote_plus(text, errors="replace")
    for form in {quote(text, safe="", errors="replace"), quote(text, errors="replace"), plus, _in_address(text)}:
        for once in (form, _PERCENT.sub(lambda match: match[0].lower(), form)):
            yield once
            yield quote(once, safe="")


def _in_address(text: str) -> str:
    """A text that stands in an address without being escaped, as that address is asked for."""
    address = _ESCAPED_FOR_NOTHING.sub(lambda match: unquote(match[0]), _LONE_PERCENT.sub("%25", text))
    return quote(address, safe=_SAFE_IN_ADDRESS, errors="replace")


def _in_json(text: str) -> Iterator[str]:
    forms: set[str] = set()
    for escaped, only_ascii in product(_ESCAPED_IN_JSON, (True, False)):
        form = json.dumps(text, ensure_ascii=only_ascii)[1:-1]
        for one in escaped:
            form = form.replace('\\"' if one == '"' else one, f"\\u{ord(one):04x}")
        forms |= {form, _UNICODE_ESCAPE.sub(lambda match: rf"\u{match[0][2:].upper()}", form)}
    # As PHP writes it.
    forms |= {form.replace("/", "\\/") for form in forms}
    yield from forms
    yield from (json.dumps(form, ensure_ascii=False)[1:-1] for form in forms)


def _in_html(text: str) -> Iterator[str]:
    plain = html.escape(text, quote=False)
    return (plain.replace('"', double).replace("'", single) for double, single in _QUOTES_IN_HTML)
