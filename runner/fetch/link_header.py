"""The header `Link` of an answer (RFC 8288): where it says that the next page is."""

import re

from runner.errors import FetchError

# Possessive: a server's header must not make this look at its blanks again and again.
_QUOTED = r"\"((?:[^\"\\]|\\.)*+)\""
_LINK_PARAM = rf"\s*+;\s*+([^\s=;,\"]++)\s*+(?:=\s*+(?:{_QUOTED}|([^\",;\s]*+)(?!\")))?+(?!\s*+=)"
_PARAM = re.compile(_LINK_PARAM)
_LINK = re.compile(rf"<([^<>]*+)>((?:{_LINK_PARAM})*+)")
# A relation of that name, in what could not be read otherwise.
_NEXT = re.compile(r"\brel\s*+=[^;,=]*?\bnext\b", re.IGNORECASE)


def next_link(header: str) -> str:
    """The target of `rel="next"`; empty: there is none.

    Raises:
        FetchError: there is one in what cannot be read. Passed over, the pages would end there.
    """
    for link in _LINK.finditer(header):
        params = ((name.lower(), quoted or plain) for name, quoted, plain in _PARAM.findall(link[2]))
        relations = next((value for name, value in params if name == "rel"), "")
        # In apostrophes, which are no quotes of this header, some servers write it.
        if "next" in relations.strip("'").lower().split():
            return link[1].strip()
    if _NEXT.search(_LINK.sub(" ", header)):
        # Not shown: the addresses in it may hold keys.
        raise FetchError(
            "the header Link names a next page, but not as such a header does",
            hint='Look at it with curl -i: it is written as <https://api.example.com/rows?page=2>; rel="next". '
            "Where the body holds the address too, take it from there, by `type: next_link`.",
        )
    return ""
