"""Python text → what is wrong with it as a processing script. Nothing is run."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from opcode import opmap
from types import CodeType

RESULT = "result"
_STORE_NAME = opmap["STORE_NAME"]
_STORE_GLOBAL = opmap["STORE_GLOBAL"]
_EXTENDED_ARG = opmap["EXTENDED_ARG"]
# Names through which a script can assign what nobody sees in its text.
_INDIRECT = frozenset({"exec", "globals", "locals", "vars"})


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFault:
    """A fault in the text of a step: lines and columns of that text from 1; `line` None: the text as a whole."""

    rule: str
    message: str
    hint: str = ""
    line: int | None = None
    column: int = 1
    end_line: int = 1
    end_column: int = 2


FindFault = Callable[[str], StepFault | None]


def find_script_fault(text: str) -> StepFault | None:
    """Why a script cannot work: it does not compile, or never assigns `result`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(text, "<processing_script>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return _syntax_fault(text, error)
    except (RecursionError, MemoryError):
        return StepFault(
            rule="script-syntax", message="the script is nested too deeply to be compiled", hint="Split it."
        )
    except ValueError as error:
        return StepFault(rule="script-syntax", message=f"the script cannot be compiled: {error}")
    if _assigns_result(code):
        return None
    return StepFault(
        rule="script-no-result",
        message="the script never assigns result",
        hint="Assign a DataFrame to it, such as: result = data.",
    )


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


def _assigns_result(code: CodeType) -> bool:
    """Whether a module's code binds `result` anywhere in its own flow, or a function of it does so by `global`.

    Read from the byte code, which knows every form of binding there is (for, with, import, walrus, def …) and
    costs a tenth of a syntax tree. Star imports, exec and the like count as yes: nobody can tell.
    """
    names = code.co_names
    if _INDIRECT.intersection(names):
        return True
    if RESULT in names and _stores(code, names.index(RESULT), _STORE_NAME):
        return True
    return _imports_star(code) or any(_binds_globally(inner) for inner in _inner_codes(code))


def _binds_globally(code: CodeType) -> bool:
    names = code.co_names
    if _INDIRECT.intersection(names):
        return True
    if RESULT in names and _stores(code, names.index(RESULT), _STORE_GLOBAL):
        return True
    return any(_binds_globally(inner) for inner in _inner_codes(code))


def _inner_codes(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _imports_star(code: CodeType) -> bool:
    return ("*",) in code.co_consts


def _stores(code: CodeType, index: int, operation: int) -> bool:
    """Whether an instruction stores into the name of that index. Instructions are pairs of operation, argument."""
    content = code.co_code
    extended = 0
    for offset in range(0, len(content), 2):
        argument = extended | content[offset + 1]
        if content[offset] == _EXTENDED_ARG:
            extended = argument << 8
            continue
        if content[offset] in {operation, _STORE_GLOBAL} and argument == index:
            return True
        extended = 0
    return False
