"""A script's syntax tree → the imports in it that scripts may not make."""

import ast
import difflib
import sys
from collections.abc import Iterator
from types import CodeType

from runner.core.imports import LIBRARIES, REFUSAL_HINTS, import_refusal
from runner.jobfiles.lint.script_code import all_codes
from runner.jobfiles.lint.step_fault import StepFault, node_fault
from runner.jobfiles.wording.finding import cut

# A node, what is wrong with it, and what to do.
_Found = tuple[ast.AST, str, str]

# A name that nobody knows is often that of a file with helpers.
_ONE_FILE = "Files beside a script are no part of it."
# No module has a longer name.
_LONGEST_MEANT = 64


def find_imports(text: str, code: CodeType, tree: ast.Module, extra: tuple[str, ...]) -> Iterator[StepFault]:
    """Every import of a module that is not allowed, also in functions and by a call with a literal name."""
    lines = text.split("\n")
    for node, message, hint in _refused(code, tree, extra):
        yield node_fault(lines, node, rule="import-not-allowed", message=message, hint=hint)


def _refused(code: CodeType, tree: ast.Module, extra: tuple[str, ...]) -> Iterator[_Found]:
    # What Python left out while compiling is never imported.
    names = {name for inner in all_codes(code) for name in inner.co_names}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    if alias.name in names:
                        yield from _judge(alias.name, alias, extra)
            case ast.ImportFrom():
                if (node.module or "") in names or node.level:
                    yield from _judge_from(node, extra)
            case ast.Call(args=[ast.Constant(value=str() as module) as argument, *_]) if module:
                if _caller(node.func) in names:
                    yield from _judge(module, argument, extra)


def _caller(function: ast.expr) -> str | None:
    """The name of a call that imports."""
    match function:
        case ast.Name(id="__import__" | "import_module" as name):
            return name
        case ast.Attribute(value=ast.Name(id="importlib"), attr="import_module"):
            return "import_module"
    return None


def _judge_from(node: ast.ImportFrom, extra: tuple[str, ...]) -> Iterator[_Found]:
    if node.level:
        yield node, "a script is in no package: there is nothing to import from here", "Name the module."
        return
    module = node.module or ""
    refusals = [(alias, import_refusal(f"{module}.{alias.name}", extra)) for alias in node.names]
    if import_refusal(module, extra) is not None and all(refusal is not None for _, refusal in refusals):
        yield from _judge(module, node, extra)
        return
    for alias, refusal in refusals:
        if refusal is not None:
            yield from _judge(f"{module}.{alias.name}", alias, extra)


def _judge(module: str, node: ast.AST, extra: tuple[str, ...]) -> Iterator[_Found]:
    refusal = import_refusal(module, extra)
    if refusal is None:
        return
    hint = REFUSAL_HINTS.get(refusal)
    if hint is None:
        known = sys.stdlib_module_names | LIBRARIES if len(module) <= _LONGEST_MEANT else ()
        meant = difflib.get_close_matches(module, known, n=1, cutoff=0.8)
        top = cut(module.partition(".")[0])
        hint = f"Add {top} to allowed_imports in _policy.yaml, if it is installed. {_ONE_FILE}"
        if meant:
            hint = f"Did you mean {meant[0]}? Otherwise add {top} to allowed_imports in _policy.yaml."
    yield node, f"scripts may not import {module if len(module) <= _LONGEST_MEANT else cut(module)}", hint
