"""A jsonschema error → findings in plain words: no schema talk, the nearest valid key or value in the hint."""

from collections.abc import Iterator, Mapping
from typing import Any

from runner.jobfiles.document import Path
from runner.jobfiles.wording.finding import Finding
from runner.jobfiles.wording.key_words import bad_name, missing_keys, unknown_keys
from runner.jobfiles.wording.misplaced import misplaced_key
from runner.jobfiles.wording.value_words import DESCRIBERS, other

__all__ = ["Finding", "describe"]


def describe(error: Any, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """The findings of one `jsonschema.ValidationError`: several where it stands for several keys.

    Args:
        schema: the whole schema that the error comes from; its `$id` tells the kind of file.
    """
    path: Path = tuple(error.absolute_path)
    if error.validator == "not":
        yield misplaced_key(error, path, schema)
    elif "propertyNames" in error.absolute_schema_path:
        yield bad_name(error, path)
    elif error.validator == "additionalProperties":
        yield from unknown_keys(error, path, schema)
    elif error.validator == "required":
        yield from missing_keys(error, path, schema)
    else:
        yield from DESCRIBERS.get(error.validator, other)(error, path, schema)
