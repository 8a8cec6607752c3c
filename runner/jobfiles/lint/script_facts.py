"""A script's byte code and syntax tree → what it asks of `run` that no run has."""

import ast
from collections.abc import Iterator

from runner.core.references import RUN_FACTS, nearest_fact
from runner.jobfiles.lint.script_names import ScriptNames, name_fault
from runner.jobfiles.lint.step_fault import StepFault

_RUN = "run"
# A script that uses one of these may look before it asks, or give `run` more than it has.
_LOOKS_FIRST = frozenset({"AttributeError", "hasattr", "getattr", "setattr"})


def find_unknown_facts(text: str, names: ScriptNames, tree: ast.Module) -> Iterator[StepFault]:
    """Every read of `run.X` where a run has no X. A script that binds `run` itself, or sets something in it, means
    another one."""
    bound = names.bound | names.bound_from_within
    if names.unknowable or _RUN in bound or not _LOOKS_FIRST.isdisjoint(names.reads):
        return
    asked = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == _RUN
    ]
    if not all(isinstance(node.ctx, ast.Load) for node in asked):
        return
    lines = text.split("\n")
    for node in asked:
        place = (node.value.lineno, node.value.col_offset)
        # What is not among these reads is another `run`: one of a function, or in code that never runs.
        if place in names.reads[_RUN] and node.attr not in RUN_FACTS and not node.attr.startswith("__"):
            fact = nearest_fact(node.attr)
            hint = f"Did you mean run.{fact}?" if fact else f"A run has {', '.join(RUN_FACTS)}."
            yield name_fault(lines, f"{_RUN}.{node.attr}", place, f"a run has no {node.attr}", hint)
