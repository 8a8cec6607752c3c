"""No two modules import each other while they are loaded: which one comes first decides whether that fails."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import runner

ROOT = Path(runner.__file__).parent


def name_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(statements):
    """The modules of ours that are loaded together with a module: not those for types alone, or within a function."""
    for node in statements:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from imported([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from imported(
                [*node.body, *node.orelse, *(one for handler in node.handlers for one in handler.body)]
            )


def test_no_circle():
    loads = {}
    for name, path in FILES.items():
        found = imported(ast.parse(path.read_text("utf-8")).body)
        loads[name] = {module for module in found if module in FILES and not name.startswith(f"{module}.")} - {
            name
        }
    order = list(TopologicalSorter(loads).static_order())
    assert order.index("runner.errors") < order.index("runner.fetch.bodies") < order.index("runner.fetch.http")
