"""Python text → what is wrong with it as a processing script. Nothing is run.

Most scripts are plainly good by their byte code alone; only the others are looked at closely.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING

from runner.core.imports import MIXED_PACKAGES, import_allowed
from runner.jobfiles.script_code import is_plainly_good
from runner.jobfiles.step_fault import StepFault

if TYPE_CHECKING:
    # Brought in when a script needs them: most do not.
    import ast

    from runner.jobfiles.script_names import ScriptNames

_FILENAME = "<processing_script>"
# `from . import x`: the dots are no part of the name that the byte code holds.
_RELATIVE = re.compile(r"\bfrom[ \t\f]*[.\\]")


def find_script_faults(text: str, allowed_imports: tuple[str, ...] = ()) -> tuple[StepFault, ...]:
    """Why a script cannot work: rules `script-syntax`, `script-no-result`, `script-result-not-always-assigned`,
    `undefined-name`, `import-not-allowed` and, a warning, `bad-reference`.

    Args:
        allowed_imports: modules that the policy adds.
    """
    try:
        code = _compile(text)
    except SyntaxError as error:
        return (_syntax_fault(text, error),)
    except (RecursionError, MemoryError):
        message = "the script is nested too deeply to be compiled"
        return (StepFault(rule="script-syntax", message=message, hint="Split it."),)
    except ValueError as error:
        return (StepFault(rule="script-syntax", message=f"the script cannot be compiled: {error}"),)
    plain = "${" not in text and not _imports_relatively(text)
    if plain and is_plainly_good(code, _may_import(allowed_imports)):
        return ()
    return tuple(_look_closely(text, code, allowed_imports))


def _compile(text: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, _FILENAME, "exec", dont_inherit=True)


@lru_cache(maxsize=64)
def _may_import(extra: tuple[str, ...]) -> "_MayImport":
    return _MayImport(extra)


class _MayImport(dict[str, bool]):
    """Whether a module may be imported with everything that is in it, remembered by its name."""

    def __init__(self, extra: tuple[str, ...]) -> None:
        super().__init__()
        self._extra = extra

    def __missing__(self, module: str) -> bool:
        mixed = module.partition(".")[0] in MIXED_PACKAGES
        answer = self[module] = not mixed and import_allowed(module, self._extra)
        return answer

    def __call__(self, module: str) -> bool:
        return self[module]


def _imports_relatively(text: str) -> bool:
    return "from" in text and _RELATIVE.search(text) is not None


def _look_closely(text: str, code: CodeType, allowed_imports: tuple[str, ...]) -> Iterator[StepFault]:
    import ast

    from runner.jobfiles.script_imports import find_imports
    from runner.jobfiles.script_names import ScriptNames, find_undefined
    from runner.jobfiles.script_texts import find_idle_references

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text, _FILENAME)
    names = ScriptNames(code)
    yield from find_imports(text, code, tree, allowed_imports)
    yield from find_idle_references(text, tree)
    # Blocks can stand in each other deeper than they can be followed: what is too deep is not judged.
    with suppress(RecursionError):
        yield from find_undefined(text, names, tree)
    with suppress(RecursionError):
        yield from _find_missing_result(text, names, tree)


def _find_missing_result(text: str, names: "ScriptNames", tree: "ast.Module") -> Iterator[StepFault]:
    from runner.jobfiles.script_flow import describe_missing, find_missing_path

    if not names.binds_result:
        yield StepFault(
            rule="script-no-result",
            message="the script never assigns result",
            hint="Assign a DataFrame to it, such as: result = data.",
        )
    elif not names.unknowable and not names.binds_result_from_within:
        statement = find_missing_path(tree)
        if statement is not None:
            yield describe_missing(text, statement)


def _syntax_fault(text: str, error: SyntaxError) -> StepFault:
    lines = text.split("\n")
    # Where a block is missing at the end, Python names a line after the last one.
    line = min(max(error.lineno or 1, 1), max(len(lines), 1))
    width = len(lines[line - 1])
    column = min(max(error.offset or 1, 1), width + 1)
    end_line, end_column = error.end_lineno or line, error.end_offset or 0
    if end_line < line or end_line > len(lines) or end_column < 1:
        end_line, end_column = line, column + 1
    return StepFault(
        rule="script-syntax",
        message=f"Python: {error.msg}",
        hint="Mend the script: it does not compile.",
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
    )
