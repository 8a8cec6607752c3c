"""Resolves the `${…}` references of a source, and remembers what must not be shown."""

import json
import os
import re
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from runner.core.masking import MASK, forms_of, mask
from runner.core.references import (
    MANY_SECRETS_HINT,
    Reference,
    ReferenceKind,
    ReferenceSyntaxError,
    substitute,
)
from runner.errors import FetchError
from runner.fetch.answering import wait_for_answer
from runner.opened import NeverReadError, open_for_a_job, require_for_a_job

_FILE_LIMIT = 64 * 1024
# How Python shows bytes of the environment that are no UTF-8.
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class References:
    """Resolves the references of one source. Values from the environment and from files are secrets.

    Args:
        environ: what `${env:NAME}` reads.
        facts: what `${run:fact}` reads.
        cancelled: ends the wait for a file of `${file:…}`.
    """

    def __init__(
        self, environ: Mapping[str, str], facts: Mapping[str, str], cancelled: threading.Event | None = None
    ) -> None:
        self._environ = environ
        self._facts = facts
        self._cancelled = cancelled or threading.Event()
        self._secrets: set[str] = set()

    @property
    def secrets(self) -> frozenset[str]:
        """Every form of every secret met so far."""
        return frozenset(self._secrets)

    def resolve(self, text: str, used_in: str) -> str:
        """The text with its references replaced.

        Args:
            used_in: where the text stands, for the message: `data_source.headers.X-Api-Key`.

        Raises:
            FetchError: a reference that cannot be resolved; it names the reference and `used_in`, never a value.
        """
        return self._substituted(text, used_in, lambda reference: self._value(reference, used_in))

    def resolve_url(self, text: str, used_in: str) -> str:
        """As `resolve`, for an address: facts of the run are quoted, as a time has a `+` and a cursor may be any
        text. Values from elsewhere may be whole addresses, and stay as they are.

        Raises:
            FetchError: as `resolve`; or a fact, which the data may decide, would lead to another folder.
        """

        def quoted(reference: Reference) -> str:
            value = self._value(reference, used_in)
            if reference.kind is not ReferenceKind.RUN:
                return value
            if value in {".", ".."}:
                raise FetchError(
                    f"${{run:{reference.name}}} in {used_in}: {value!r} cannot stand in an address",
                    hint="Choose another column for `incremental`.",
                )
            return quote(value, safe="")

        return self._substituted(text, used_in, quoted)

    def resolve_json(self, text: str, used_in: str) -> str:
        """JSON text with the references in its strings replaced: a value never breaks out of its string."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise FetchError(f"{used_in} is no JSON: {error}", hint="`runner validate` shows the place.") from None
        return json.dumps(self._resolve_node(document, used_in), ensure_ascii=False)

    def add_secret(self, value: str) -> None:
        """Mask this value from now on, in every form that others may write it in."""
        self._secrets |= forms_of(value)

    def mask(self, text: str) -> str:
        """The text with every secret replaced by `***`."""
        return mask(text, self._secrets)

    def mask_cut(self, text: str) -> str:
        """As `mask`, for a text whose end was cut off: the beginning of a secret at its end is masked too."""
        masked = self.mask(text)
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(masked)), 3, -1):
                if masked.endswith(secret[:length]):
                    return masked[:-length] + MASK
        return masked

    def _substituted(self, text: str, used_in: str, value_of: Callable[[Reference], str]) -> str:
        try:
            return substitute(text, value_of)
        except ReferenceSyntaxError as error:
            raise FetchError(
                f"{used_in}: {error}", hint=error.hint or "`runner validate` shows the place."
            ) from None

    def _resolve_node(self, node: object, used_in: str) -> object:
        if isinstance(node, str):
            return self.resolve(node, used_in)
        if isinstance(node, list):
            return [self._resolve_node(item, f"{used_in}[{index}]") for index, item in enumerate(node)]
        if isinstance(node, dict):
            return {key: self._resolve_node(value, f"{used_in}.{key}") for key, value in node.items()}
        return node

    def _value(self, reference: Reference, used_in: str) -> str:
        if reference.kind is ReferenceKind.RUN:
            return self._facts[reference.name]
        if reference.kind is ReferenceKind.ENV:
            value = self._from_environment(reference.name, used_in)
        else:
            value = _from_file(reference.name, used_in, self._cancelled)
        self.add_secret(value)
        return value

    def _from_environment(self, name: str, used_in: str) -> str:
        value = self._environ.get(name)
        if not value:
            raise FetchError(
                f"${{env:{name}}} in {used_in}: the variable {name} is {'empty' if value == '' else 'not set'}",
                hint=f"Set {name} in the environment of the service, or in .env, and start it again.",
            )
        if _SURROGATE.search(value):
            raise FetchError(
                f"${{env:{name}}} in {used_in}: the variable {name} is no UTF-8 text",
                hint=f"Set {name} to plain text, and start the service again.",
            )
        return value


def _from_file(path: str, used_in: str, cancelled: threading.Event) -> str:
    place = f"${{file:{path}}} in {used_in}"
    hint = "The service's user must be able to read this file; mount or create it."
    try:
        content = wait_for_answer(Path(path), lambda _: _content_of(path), cancelled=cancelled, where=place)
    except OSError as error:
        raise FetchError(f"{place}: {error.strerror}", hint=hint) from None
    except ValueError:
        raise FetchError(f"{place}: this is no path", hint=hint) from None
    except NeverReadError as error:
        raise FetchError(f"{place} {error}", hint=MANY_SECRETS_HINT) from None
    if content is None:
        raise FetchError(f"{place}: this is no regular file", hint="Name a file that holds the value.")
    if len(content) > _FILE_LIMIT:
        raise FetchError(f"{place}: the file is larger than 64 KiB", hint="A value of a request is a short text.")
    try:
        value = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise FetchError(f"{place}: the file is no UTF-8 text", hint="Write the value as plain text.") from None
    if not value:
        raise FetchError(f"{place}: the file is empty", hint="Write the value into it.")
    return value


def _content_of(path: str) -> bytes | None:
    """The beginning of a file, more than is allowed where there is more; None of what is no regular file.

    Raises:
        NeverReadError: it is among those that hold many, such as the environment of a process: also by a link.
    """
    handle = open_for_a_job(path)
    try:
        # Before its path is judged: a pipe has one in /proc alone.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        require_for_a_job(path, handle)
        with open(handle, "rb", closefd=False) as file:
            return file.read(_FILE_LIMIT + 1)
    finally:
        os.close(handle)
