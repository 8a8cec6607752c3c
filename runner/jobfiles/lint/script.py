"""Python text → what is wrong with it as a processing script. Nothing is run.

Most scripts are plainly good by their byte code alone; only the others are looked at closely. That takes time for
every word: of a script with more than 6,000 words, signs and lines (about 16 KiB) it is only told whether it
compiles and assigns `result` at all; one with more than 40,000 is not taken. At most 20 findings of one kind are
told.
"""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from types import CodeType
from typing import TYPE_CHECKING

from runner.core.imports import MIXED_PACKAGES, import_allowed
from runner.core.references import RUN_FACTS
from runner.core.source import THE_SOURCE
from runner.jobfiles.lint.script_bounds import TOO_DEEP, count_words, find_excess
from runner.jobfiles.lint.script_code import GIVEN, INDIRECT, RESULT, all_codes, is_plainly_good
from runner.jobfiles.lint.step_fault import StepFault, fault_between
from runner.jobfiles.wording.finding import ODD_BLANK_HINT

if TYPE_CHECKING:
    # Brought in when a script needs it: most do not.
    import ast

_FILENAME = "<processing_script>"
_ONE_TABLE = (THE_SOURCE,)
# What `warnings.simplefilter("ignore")` puts first.
_IGNORE = ("ignore", None, Warning, None, 0)
_CLOSE_WORDS = 6_000
_MOST_TOLD = 20
_MOST_REMEMBERED = 4096
_ODD_BLANK = re.compile(r"U\+(?:00A0|20(?:0[0-9AB]|2F|5F)|3000|FEFF)$")
_ODD_QUOTE = re.compile(r"U\+201[89ACDE]\)$")
_NOTEBOOK = re.compile(r"[ \t]*[%!]+[a-z]")
# Not `select = …` and `with lock as held:`, which are Python.
_SQL = re.compile(
    r"\s*(?:SELECT\s+(?![\s=:]|[-+*/]=)|WITH\s+(?:RECURSIVE\s+)?\w+\s+AS\s*\(|FROM\s+\w+\s+SELECT\s)",
    re.IGNORECASE,
)
_NO_RESULT = StepFault(
    rule="script-no-result",
    message="the script never assigns result",
    hint="Assign a DataFrame to it, such as: result = data.",
)
_UNKNOWN_FACT = re.compile(rf"\brun[ \t\f]*\.(?![ \t\f]*(?:{'|'.join(RUN_FACTS)})\b)")
# `][…] =`, `].loc[`, `inplace=`.
_WRITING = re.compile(
    r"\]\[[^\n]{0,200}\][ \t]{0,9}(?:\*\*|//|>>|<<|[-+*/%&|^@])?=(?!=)|\]\.(?:i?loc|i?at)\[|\binplace\b"
)
# `from . import x`: the dots are no part of the name that the byte code holds.
_RELATIVE = re.compile(r"\bfrom[ \t\f]*[.\\]")


def find_script_faults(
    text: str,
    allowed_imports: tuple[str, ...] = (),
    *,
    tables: tuple[str, ...] = (THE_SOURCE,),
    first_line: int = 1,
) -> tuple[StepFault, ...]:
    """Why a script cannot work: rules `too-long`, `script-syntax`, `script-no-result`,
    `script-result-not-always-assigned`, `undefined-name`, `import-not-allowed` and, warnings, `bad-reference` and
    `script-lost-write`.

    Args:
        allowed_imports: modules that the policy adds.
        tables: the names of the sources, which a script is given.
        first_line: the line of its file on which the script starts: what Python says may name others.
    """
    excess = find_excess(text)
    if excess is not None:
        return (excess,)
    if "\0" in text:
        return (_nul_fault(text),)
    try:
        code = _compile(text)
    except SyntaxError as error:
        return (_syntax_fault(text, error, said=_said_in_file(text, error, first_line)),)
    except (RecursionError, MemoryError):
        return (TOO_DEEP,)
    except ValueError as error:
        return (StepFault(rule="script-syntax", message=f"the script cannot be compiled: {error}"),)
    plain = not ("${" in text or _imports_relatively(text) or _asks_unknown_fact(text) or _may_lose_writing(text))
    given = GIVEN if tables == _ONE_TABLE else GIVEN.union(tables)
    if plain and is_plainly_good(code, _may_import(allowed_imports), given):
        return ()
    if len(text) > _CLOSE_WORDS and count_words(text) > _CLOSE_WORDS:
        return tuple(_find_no_result(code))
    return tuple(_look_closely(text, code, allowed_imports, tables))


def _compile(text: str) -> CodeType:
    # To turn warnings off costs a third of the compiler's own time: who checks many scripts does it once for all.
    if warnings.filters and warnings.filters[0] == _IGNORE:
        return compile(text, _FILENAME, "exec", dont_inherit=True)
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
        answer = not mixed and import_allowed(module, self._extra)
        if len(self) < _MOST_REMEMBERED:
            self[module] = answer
        return answer

    def __call__(self, module: str) -> bool:
        return self[module]


def _asks_unknown_fact(text: str) -> bool:
    """Whether a script may ask `run` for what it is not given; only a closer look tells."""
    return "run" in text and _UNKNOWN_FACT.search(text) is not None


def _may_lose_writing(text: str) -> bool:
    """Whether a script may write to a part of a table; only a closer look tells."""
    return _WRITING.search(text) is not None


def _imports_relatively(text: str) -> bool:
    return "from" in text and _RELATIVE.search(text) is not None


def _look_closely(
    text: str, code: CodeType, allowed_imports: tuple[str, ...], tables: tuple[str, ...]
) -> Iterator[StepFault]:
    import ast

    from runner.jobfiles.lint.script_facts import find_unknown_facts
    from runner.jobfiles.lint.script_imports import find_imports
    from runner.jobfiles.lint.script_lost_writing import find_lost_writing
    from runner.jobfiles.lint.script_names import ScriptNames, find_undefined
    from runner.jobfiles.lint.script_texts import find_idle_references

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text, _FILENAME)
    names = ScriptNames(code)
    if "import" in text:
        yield from islice(find_imports(text, code, tree, allowed_imports), _MOST_TOLD)
    yield from islice(find_idle_references(text, tree), _MOST_TOLD)
    if "run" not in tables:
        yield from islice(find_unknown_facts(text, names, tree), _MOST_TOLD)
    if _may_lose_writing(text):
        yield from islice(find_lost_writing(text, names, tree, {THE_SOURCE, *tables}), _MOST_TOLD)
    # Blocks can stand in each other deeper than they can be followed: what is too deep is not judged.
    with suppress(RecursionError):
        yield from islice(find_undefined(text, names, tree, tables), _MOST_TOLD)
    if not names.binds_result:
        yield _NO_RESULT
    elif not names.unknowable and not names.binds_result_from_within:
        with suppress(RecursionError):
            yield from _find_missing_path(text, tree)


def _find_no_result(code: CodeType) -> Iterator[StepFault]:
    from runner.jobfiles.lint.script_events import can_bind

    codes = all_codes(code)
    if not any(can_bind(inner, RESULT) or not INDIRECT.isdisjoint(inner.co_names) for inner in codes):
        yield _NO_RESULT


def _find_missing_path(text: str, tree: "ast.Module") -> Iterator[StepFault]:
    from runner.jobfiles.lint.script_flow import describe_missing, find_missing_path

    statement = find_missing_path(tree)
    if statement is not None:
        yield describe_missing(text, statement)


def _said_in_file(text: str, error: SyntaxError, first_line: int) -> str:
    """What Python says of a script that stands so far down in its file."""
    try:
        _compile("\n" * (first_line - 1) + text)
    except SyntaxError as error_there:
        error = error_there
    return error.msg


def _syntax_hint(text: str, line: str, said: str) -> str:
    """What to do. `line`: the one that Python complains of."""
    if said == "'return' outside function":
        return f"A script gives back what it assigns: write {RESULT} = in the place of return."
    if _ODD_BLANK.search(said):
        return ODD_BLANK_HINT
    if _ODD_QUOTE.search(said):
        return "Write straight quotes: an editor for texts, or a chat, has made others of them."
    if _NOTEBOOK.match(line):
        return "Lines with % and ! are for notebooks: leave them out. Packages are installed beside the runner."
    if _SQL.match(text):
        return "This looks like SQL: it stands under processing_query."
    if said.startswith(("f-string: expecting '}'", "f-string: unmatched")) and sys.version_info < (3, 12):
        return "Within an f-string write other quotes than those around it: before 3.12 Python takes no other."
    return "Mend the script: it does not compile."


def _nul_fault(text: str) -> StepFault:
    """Each release of Python says this in its own way, and some do not say where."""
    place = text.index("\0")
    return fault_between(
        text,
        place,
        place + 1,
        rule="script-syntax",
        message="a script cannot hold the character U+0000",
        hint=r"Remove it. Between double quotes YAML makes it of \0; below a | that stays for Python to read.",
    )


def _syntax_fault(text: str, error: SyntaxError, *, said: str) -> StepFault:
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
        message=f"Python: {said}",
        hint=_syntax_hint(text, lines[line - 1], said),
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
    )
