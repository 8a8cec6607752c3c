"""A script's byte code and syntax tree → the names in it that nothing defines.

The byte code knows the scope of every name and leaves out what never runs; the tree knows the order.
"""

import ast
import difflib
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from types import CodeType

from runner.core.imports import LIBRARIES, import_allowed
from runner.core.source import THE_SOURCE
from runner.jobfiles.lint.script_code import GIVEN, INDIRECT, RESULT, all_codes
from runner.jobfiles.lint.script_events import Deed, name_events
from runner.jobfiles.lint.step_fault import StepFault, characters

_ONE_TABLE = (THE_SOURCE,)
_BESIDE_TABLES = (RESULT, "run", "pd", "np")
_ALIASES = {"plt": None, "dt": "datetime", "pa": "pyarrow as pa", "pq": "pyarrow.parquet as pq"}

# Comparing takes time for each letter of either name: a name that is much longer or shorter was not meant.
_LONGEST_MEANT = 64
_NEAR = 4
_MOST_COMPARED = 200

# Line and column as the byte code tells them: from 1, and from 0 in bytes of UTF-8.
_Place = tuple[int, int]


class ScriptNames:
    """The names of one compiled script."""

    def __init__(self, code: CodeType) -> None:
        self._module = code
        self.reads: dict[str, set[_Place]] = defaultdict(set)
        # What is read by the module's own statements, in their order.
        self.module_reads: dict[str, set[_Place]] = defaultdict(set)
        self.bound: set[str] = set()
        self.bound_from_within: set[str] = set()
        self.unknowable = False
        for inner in all_codes(code):
            self._note(inner)

    def _note(self, code: CodeType) -> None:
        events = list(name_events(code))
        # In the body of a class the names that it binds are its own.
        own = {name for deed, name, _ in events if deed is Deed.STORE}
        if code is self._module:
            self.bound |= own
            own = set()
        for deed, name, place in events:
            if deed is Deed.READ and name not in own:
                self.reads[name].add(place)
                if code is self._module:
                    self.module_reads[name].add(place)
            elif deed is Deed.STORE_GLOBAL:
                self.bound_from_within.add(name)
            elif deed is Deed.STAR:
                self.unknowable = True
        # By the names read, or as an attribute: sys._getframe.
        self.unknowable = self.unknowable or not INDIRECT.isdisjoint(code.co_names)

    @property
    def binds_result(self) -> bool:
        """Whether `result` is bound anywhere in the module's own flow, or by a function as a global."""
        return self.unknowable or RESULT in self.bound or self.binds_result_from_within

    @property
    def binds_result_from_within(self) -> bool:
        """Whether a function declares `result` global and binds it: when that happens nobody can tell."""
        return RESULT in self.bound_from_within


def find_undefined(
    text: str, names: ScriptNames, tree: ast.Module, tables: tuple[str, ...] = _ONE_TABLE
) -> Iterator[StepFault]:
    """Every read of a name that is bound nowhere, or surely not by then. A script that catches NameError asks for
    it, and one that binds names where nobody sees them cannot be known. `tables` are given to it."""
    if names.unknowable or "NameError" in names.reads:
        return
    lines = text.split("\n")
    given = GIVEN.union(tables)
    known = names.bound | names.bound_from_within | given
    unknown = sorted(
        (place, name)
        for name, places in names.reads.items()
        if name not in known and (name != RESULT or names.binds_result)
        for place in places
    )
    hints: dict[str, str] = {}
    for place, name in unknown:
        if name not in hints:
            hints[name] = _hint(name, known, tables)
        yield name_fault(lines, name, place, f"nothing defines {name}", hints[name])
    gone = {
        node.name if isinstance(node, ast.ExceptHandler) else node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del))
    }
    for name, place in _read_too_early(names, tree, given):
        message, hint = f"{name} is read before it is assigned", f"Assign {name} above this line."
        if name in gone:
            message = f"{name} has no value here"
            hint = "What except … as binds is gone behind it, and what del takes away: keep it under another name."
        elif name == RESULT:
            hint = "Before it is assigned there is no result: the rows that came are in data."
        yield name_fault(lines, name, place, message, hint)


def name_fault(lines: list[str], name: str, place: _Place, message: str, hint: str) -> StepFault:
    """A fault at a name. The place is looked at, for older Pythons misplace what stands in an f-string."""
    number, offset = place
    line = lines[min(number, len(lines)) - 1]
    column = characters(line, offset)
    if not line.startswith(name, column):
        found = re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", line)
        column = found.start() if found else 0
    return StepFault(
        rule="undefined-name",
        message=message,
        hint=hint,
        line=number,
        column=column + 1,
        end_line=number,
        end_column=column + 1 + len(name),
    )


def _hint(name: str, known: Iterable[str], tables: tuple[str, ...]) -> str:
    module = _ALIASES.get(name, name)
    if (
        module
        and module.partition(" ")[0] in sys.stdlib_module_names | LIBRARIES
        and import_allowed(module.split()[0])
    ):
        return f"Import it first: import {module}."
    if len(name) > _LONGEST_MEANT:
        return _no_hint(tables)
    near = sorted(one for one in known if one not in GIVEN and abs(len(one) - len(name)) < _NEAR)
    own = [*tables, *_BESIDE_TABLES, *near[:_MOST_COMPARED]]
    matches = difflib.get_close_matches(name, own, n=1, cutoff=0.6)
    matches = matches or difflib.get_close_matches(name, sorted(GIVEN), n=1, cutoff=0.8)
    if matches:
        return f"Did you mean {matches[0]}?"
    return _no_hint(tables)


def _no_hint(tables: tuple[str, ...]) -> str:
    return f"Assign or import it first. A script is given {', '.join(tables)}, run, pd and np."


def _read_too_early(names: ScriptNames, tree: ast.Module, given: AbstractSet[str]) -> Iterator[tuple[str, _Place]]:
    early = {
        name: places
        for name, places in names.module_reads.items()
        if name in names.bound and name not in given and name not in names.bound_from_within
    }
    if early:
        yield from _Order(early).read(tree.body, set(), certain=True)


class _Order:
    """Finds reads that no binding can have come before.

    Args:
        early: the places of the reads that run as statements of the module, by name.
    """

    def __init__(self, early: dict[str, set[_Place]]) -> None:
        self._early = early

    def read(self, statements: list[ast.stmt], maybe: set[str], *, certain: bool) -> Iterator[tuple[str, _Place]]:
        """The reads in statements; `maybe`, what may be bound before them, is what may be bound after them at the
        end. Nothing is told, only noted, where it is not `certain` that a fault is a fault."""
        for statement in statements:
            for node in _at_once(statement):
                maybe |= _bound_in(node, walrus=True)
                if certain:
                    yield from self._look(node, maybe)
            if isinstance(statement, ast.AugAssign) and certain:
                yield from self._look_at(statement.target, maybe)
            yield from self._parts(statement, maybe, certain=certain)

    def _parts(self, statement: ast.stmt, maybe: set[str], *, certain: bool) -> Iterator[tuple[str, _Place]]:
        inside = set(maybe)
        match statement:
            case ast.Delete():
                maybe -= {target.id for target in statement.targets if isinstance(target, ast.Name)}
                return
            case ast.If():
                yield from self.read(statement.body, inside, certain=certain)
                yield from self.read(statement.orelse, set(maybe), certain=certain)
            case ast.For() | ast.AsyncFor() | ast.While():
                yield from self.read(statement.body, inside | _bound_in(statement), certain=certain)
            case ast.With() | ast.AsyncWith():
                inside |= _bound_in(statement, only=[*statement.items])
                yield from self.read(statement.body, inside, certain=certain)
            case ast.Try() | ast.TryStar():
                # What is caught may be what was wanted.
                yield from self.read(statement.body, inside, certain=certain and not statement.handlers)
        maybe |= _bound_in(statement)

    def _look(self, node: ast.AST, maybe: set[str]) -> Iterator[tuple[str, _Place]]:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                yield from self._look_at(inner, maybe)

    def _look_at(self, node: ast.AST, maybe: set[str]) -> Iterator[tuple[str, _Place]]:
        if isinstance(node, ast.Name) and node.id not in maybe:
            place = (node.lineno, node.col_offset)
            if place in self._early.get(node.id, ()):
                yield node.id, place


def _at_once(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement that are evaluated before anything in its blocks, and before its targets."""
    match statement:
        case ast.If() | ast.While():
            yield statement.test
        case ast.For() | ast.AsyncFor():
            yield statement.iter
        case ast.With() | ast.AsyncWith():
            yield statement.items[0].context_expr
        case ast.Match():
            yield statement.subject
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield from statement.decorator_list
        case ast.Try() | ast.TryStar():
            return
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign() | ast.Expr() | ast.Return():
            if statement.value is not None:
                yield statement.value
        case ast.Raise() | ast.Assert():
            yield from (node for node in ast.iter_child_nodes(statement))


def _bound_in(node: ast.AST, *, walrus: bool = False, only: Iterable[ast.AST] = ()) -> set[str]:
    """The names that a node can leave bound: what `except … as` binds is gone behind it.

    `walrus`: of an expression. Names of inner scopes count too: better silent than wrong.
    """
    bound: set[str] = set()
    for top in only or (node,):
        for inner in ast.walk(top):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                bound.add(inner.id)
            elif walrus:
                continue
            elif isinstance(inner, ast.alias):
                bound.add(inner.asname or inner.name.partition(".")[0])
            elif isinstance(
                inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.MatchAs | ast.MatchStar
            ):
                bound.add(inner.name or "")
            elif isinstance(inner, ast.MatchMapping):
                bound.add(inner.rest or "")
    return bound
