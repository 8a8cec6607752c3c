"""Names of headers and parameters whose value is a credential."""

import re
from functools import lru_cache

_LONGEST_NAME = 100
AUTHORIZATION_HEADERS = frozenset({"authorization", "proxy-authorization"})
"""In lower case; their value begins with a scheme."""
_SECRET_NAME = re.compile(
    r"(?i)(?:.*[-_.])?(?:api[-_.]?key|(?:access|auth|api|refresh|id|session|security|private|bearer|secret)?[-_.]?token"
    r"|(?:client|api|app|shared)?[-_.]?secret(?:[-_.]?key)?|(?:secret|private|access|subscription|auth|account)[-_.]?key"
    r"|(?:ssl)?password|passwd|pwd|passphrase|sig(?:nature)?|credentials?)"
)
# Ends of such names that say what a value is about, not what it is: a token of the next page, a type.
_NO_SECRET_NAME = re.compile(r"(?i).*(?:page|next|sync|continuation|cursor|csrf|delta|skip)[-_.]?token")


@lru_cache(maxsize=64)
def is_secret_name(name: str) -> bool:
    """Whether the value of a header or parameter of that name is a credential."""
    if name.lower() in AUTHORIZATION_HEADERS:
        return True
    if len(name) > _LONGEST_NAME:
        return False
    return _SECRET_NAME.fullmatch(name) is not None and _NO_SECRET_NAME.fullmatch(name) is None
