"""A script's syntax tree → what compiling it would cost.

Python compiles most scripts at a megabyte a second. A few constructs cost more than their length: what stands in
`finally` is compiled once for every way out of its `try`, sums of constants are worked out while compiling, and
some lists of names are searched once for each of their names. Ten lines of such can take gigabytes.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from runner.jobfiles.lint.script_bounds import LONGEST_REPEATED, SCOPE

# Each bound is about 30 ms or 30 MiB.
_MOST_COPIED = 25_000
_MOST_FOLDED = 16_000_000
_MOST_CAPTURED = 250_000
_MOST_KEYWORDS = 4_000_000
_MOST_SCOPED = 1_500_000
_EXIT_OF_WITH = 8
_LOOP = -1
_NAME = re.compile(r"\w+")


def _copies(tree: ast.Module, _: str) -> bool:
    """Whether too much is compiled again for the ways out of blocks."""
    return _copied(tree.body, ()) > _size(tree) + _MOST_COPIED


def _patterns(tree: ast.Module, _: str) -> bool:
    """Whether the cases of a match bind too many names at a time."""
    cases = (node for node in ast.walk(tree) if type(node) is ast.match_case)
    return sum(_captured(case) ** 2 for case in cases) > _MOST_CAPTURED


def _keywords(tree: ast.Module, _: str) -> bool:
    """Whether calls have too many named arguments: each is compared with all others."""
    return sum(len(node.keywords) ** 2 for node in ast.walk(tree) if type(node) is ast.Call) > _MOST_KEYWORDS


def _scopes(tree: ast.Module, text: str) -> bool:
    """Whether there are too many names times the scopes below them: Python hands them down from scope to scope."""
    lines = text.split("\n")
    ranges = {(part.lineno - 1, part.end_lineno) for part in tree.body}
    parts = ["\n".join(lines[start:end]) for start, end in ranges]
    if "global" in text:
        parts.append(text)
    return sum(len(SCOPE.findall(part)) * len(set(_NAME.findall(part))) for part in parts) > _MOST_SCOPED


def _sums(tree: ast.Module, _: str) -> bool:
    """Whether sums of constants are too long: each is kept, also those that are parts of longer ones."""
    return _folded(list(ast.walk(tree))) > _MOST_FOLDED


# What can be too heavy, by name.
WEIGHTS: Mapping[str, Callable[[ast.Module, str], bool]] = {
    "copies": _copies,
    "patterns": _patterns,
    "keywords": _keywords,
    "scopes": _scopes,
    "sums": _sums,
}


def _copied(statements: Sequence[ast.stmt], ways_out: tuple[int, ...]) -> int:
    """How many nodes are compiled, each counted once for every copy.

    Args:
        ways_out: what leaving each block around the statements compiles once more; `_LOOP` where a loop begins.
    """
    return sum(_copied_of(statement, ways_out) for statement in statements)


def _copied_of(statement: ast.stmt, ways_out: tuple[int, ...]) -> int:
    match statement:
        case ast.Return():
            return _size(statement) + sum(way for way in ways_out if way != _LOOP)
        case ast.Break() | ast.Continue():
            return 1 + sum(takewhile(lambda way: way != _LOOP, reversed(ways_out)))
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return _head(statement) + _copied(statement.body, ())
        case ast.For() | ast.AsyncFor() | ast.While():
            inside = _copied(statement.body, (*ways_out, _LOOP))
            return _head(statement) + inside + _copied(statement.orelse, ways_out)
        case ast.With() | ast.AsyncWith():
            return _head(statement) + _copied(statement.body, (*ways_out, _EXIT_OF_WITH * len(statement.items)))
        case ast.If():
            return _if(statement, ways_out)
        case ast.Match():
            return _head(statement) + sum(_copied(case.body, ways_out) for case in statement.cases)
        case ast.Try() | ast.TryStar():
            return _try(statement, ways_out)
    return _size(statement)


def _if(statement: ast.If, ways_out: tuple[int, ...]) -> int:
    """Of an if and its elifs, which to the tree stand within each other."""
    count = 0
    while True:
        count += _head(statement) + _copied(statement.body, ways_out)
        following = statement.orelse
        if len(following) != 1 or not isinstance(following[0], ast.If):
            return count + _copied(following, ways_out)
        statement = following[0]


def _try(statement: ast.Try | ast.TryStar, ways_out: tuple[int, ...]) -> int:
    final = _copied(statement.finalbody, ways_out)
    inside = (*ways_out, final) if statement.finalbody else ways_out
    count = _copied(statement.body, inside) + _copied(statement.orelse, inside)
    for handler in statement.handlers:
        count += 1 + _size(handler.type) + _copied(handler.body, (*inside, _EXIT_OF_WITH))
    # Once where all goes well, and once for what is raised.
    return 1 + count + 2 * final


def _head(statement: ast.stmt) -> int:
    """The size of a statement without the statements in it."""
    inner = (
        node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt | ast.excepthandler)
    )
    return 1 + sum(1 if isinstance(node, ast.match_case) else _size(node) for node in inner)


def _size(node: ast.AST | None) -> int:
    """How many nodes there are: as many as `ast.walk` gives, in two thirds of its time."""
    count = 0
    todo = [] if node is None else [node]
    while todo:
        inner = todo.pop()
        count += 1
        for name in inner._fields:
            value = getattr(inner, name, None)
            if isinstance(value, ast.AST):
                todo.append(value)
            elif isinstance(value, list):
                todo.extend(one for one in value if isinstance(one, ast.AST))
    return count


def _folded(nodes: list[ast.AST]) -> int:
    """The length of all sums of constants."""
    lengths: dict[int, int] = {}
    total = 0
    # Whatever is inside a node comes behind it.
    for node in reversed(nodes):
        if isinstance(node, ast.Constant):
            lengths[id(node)] = len(node.value) if isinstance(node.value, str | bytes) else 1
        elif isinstance(node, ast.Tuple) and all(id(one) in lengths for one in node.elts):
            lengths[id(node)] = len(node.elts)
        elif isinstance(node, ast.BinOp) and id(node.left) in lengths and id(node.right) in lengths:
            length = LONGEST_REPEATED
            if isinstance(node.op, ast.Add):
                length = lengths[id(node.left)] + lengths[id(node.right)]
            lengths[id(node)] = length
            total += length
    return total


def _captured(case: ast.match_case) -> int:
    """How many names a pattern binds."""
    return sum(
        isinstance(node, ast.MatchAs | ast.MatchStar) and node.name is not None for node in ast.walk(case.pattern)
    )
