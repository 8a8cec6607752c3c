"""A script's syntax tree → what it writes to a part of a table, which is a copy that nothing holds."""

import ast
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace

from runner.core.diagnostic import Severity
from runner.jobfiles.lint.script_names import ScriptNames
from runner.jobfiles.lint.step_fault import StepFault, node_fault

_PLACES = frozenset({"loc", "iloc", "at", "iat"})


def find_lost_writing(
    text: str, names: ScriptNames, tree: ast.Module, tables: AbstractSet[str]
) -> Iterator[StepFault]:
    """Warnings `script-lost-write`, for each place that writes to a part of a source by its name. A name that the
    script binds itself may mean something else."""
    known = tables - names.bound - names.bound_from_within
    if names.unknowable or not known:
        return
    lines = text.split("\n")
    for node in ast.walk(tree):
        part = _written_part(node)
        table = _table_of(part) if part is not None else None
        if part is not None and table is not None and table.id in known and _is_source(table, names):
            fault = node_fault(
                lines,
                part,
                rule="script-lost-write",
                message=f"this is a copy of a part of {table.id}: what is written to it is lost",
                hint=f'Write {table.id}.loc[{table.id}["amount"] > 100, "size"] = "large", or '
                f'without inplace=True {table.id}["amount"] = {table.id}["amount"].fillna(0).',
            )
            yield replace(fault, severity=Severity.WARNING)


def _is_source(table: ast.Name, names: ScriptNames) -> bool:
    """Not so where a function has a name of its own that is the same."""
    return (table.lineno, table.col_offset) in names.reads[table.id]


def _written_part(node: ast.AST) -> ast.expr | None:
    """What is written to by `part[…] = …`, `part.loc[…] = …` or `part.fillna(…, inplace=True)`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        value = node.value
        part = value.value if isinstance(value, ast.Attribute) and value.attr in _PLACES else value
        return None if _may_be_cell(part) else part
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_in_place(node):
        return node.func.value
    return None


def _may_be_cell(part: ast.expr) -> bool:
    """Whether this may be `table.at[row, column]`: the list or object that a cell holds is no copy."""
    return (
        isinstance(part, ast.Subscript)
        and isinstance(part.value, ast.Attribute)
        and isinstance(part.slice, ast.Tuple)
    )


def _is_in_place(call: ast.Call) -> bool:
    return any(
        word.arg == "inplace" and isinstance(word.value, ast.Constant) and word.value.value is True
        for word in call.keywords
    )


def _table_of(part: ast.expr) -> ast.Name | None:
    """The table that `table[…]` or `table.loc[…]` is a part of, by its name."""
    if not isinstance(part, ast.Subscript):
        return None
    table = part.value
    if isinstance(table, ast.Attribute) and table.attr in _PLACES:
        table = table.value
    return table if isinstance(table, ast.Name) else None
