"""A script's syntax tree → the statement by which it can end without `result`.

Paths are followed through the statements of the module; whatever cannot be known counts as good. A finding keeps a
job out of force: none may be made over a script that works.
"""

import ast
from dataclasses import dataclass, field

from runner.jobfiles.lint.script_code import RESULT
from runner.jobfiles.lint.step_fault import StepFault, node_fault

_EXITS = frozenset({"exit", "quit"})
_EXIT_METHODS = frozenset({("sys", "exit"), ("os", "_exit"), ("os", "abort")})
_BOOLEANS = frozenset({True, False})
_OPAQUE = (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)


@dataclass(frozen=True, slots=True)
class _Way:
    """What is known where a path arrives: whether `result` is bound, and if not, what statement is to blame."""

    bound: bool
    blame: ast.stmt | None = None


_BOUND = _Way(True)


@dataclass(slots=True)
class _Loop:
    """The ways out of the loop that is being followed."""

    breaks: list[_Way] = field(default_factory=list)
    continues: list[_Way] = field(default_factory=list)


def find_missing_path(tree: ast.Module) -> ast.stmt | None:
    """The statement by which a module can end, without an exception, and leave `result` unbound; None: no such."""
    flow = _Flow(tree)
    end = flow.follow(tree.body, _Way(False))
    return None if end is None else end.blame


def describe_missing(text: str, statement: ast.stmt) -> StepFault:
    """The finding for a statement by which `result` can be missing."""
    words = "on one way through this statement"
    match statement:
        case ast.If(orelse=[]):
            words = "when this condition is false"
        case ast.If():
            words = "on one way through this if"
        case ast.While(test=test) if _truth(test) is True:
            words = "on one way out of this loop"
        case ast.For(orelse=[]) | ast.AsyncFor(orelse=[]) | ast.While(orelse=[]):
            words = "when this loop does not run"
        case ast.For() | ast.AsyncFor() | ast.While():
            words = "on one way out of this loop"
        case ast.Try() | ast.TryStar():
            words = "when an exception is caught here"
        case ast.Match():
            words = "by every case here"
        case ast.Delete():
            words = "at the end: it is deleted here"
    return node_fault(
        text.split("\n"),
        statement,
        rule="script-result-not-always-assigned",
        message=f"result is not assigned {words}",
        hint="Assign it on every path, or before: result = data.head(0). Or raise an error that says why.",
    )


class _Flow:
    """Follows statements. A way of None: nothing arrives there."""

    def __init__(self, tree: ast.Module) -> None:
        self._loops: list[_Loop] = []
        self._returned = False
        self._endless: set[str] = set()
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and self._never_returns(node):
                self._endless.add(node.name)

    def follow(self, statements: list[ast.stmt], way: _Way | None) -> _Way | None:
        """The way behind the last of some statements."""
        for statement in statements:
            if way is None:
                return None
            way = self._step(statement, way)
        return way

    def _never_returns(self, function: ast.FunctionDef) -> bool:
        if function.decorator_list or any(
            isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function)
        ):
            return False
        self._returned = False
        end = self.follow(function.body, _Way(False))
        return end is None and not self._returned

    def _step(self, statement: ast.stmt, way: _Way) -> _Way | None:
        match statement:
            case ast.If():
                return self._if(statement, way)
            case ast.For() | ast.AsyncFor() | ast.While():
                return self._loop(statement, way)
            case ast.Try() | ast.TryStar():
                return self._try(statement, way)
            case ast.Match():
                return self._match(statement, way)
            case ast.With() | ast.AsyncWith():
                if any(_binds(item) for item in statement.items):
                    way = _BOUND
                return self.follow(statement.body, way)
            case _:
                return self._simple(statement, way)

    def _simple(self, statement: ast.stmt, way: _Way) -> _Way | None:
        if way.bound and isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            return way
        match statement:
            case ast.Raise():
                return None
            case ast.Return():
                self._returned = True
                return None
            case ast.Assert():
                return None if _truth(statement.test) is False else _after(statement.test, way)
            case ast.Break() | ast.Continue():
                if self._loops:
                    loop = self._loops[-1]
                    (loop.breaks if isinstance(statement, ast.Break) else loop.continues).append(way)
                return None
            case ast.Delete():
                gone = any(isinstance(node, ast.Name) and node.id == RESULT for node in _targets(statement))
                return _Way(False, statement) if gone else way
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return _BOUND if statement.name == RESULT else way
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Call) and self._exits(value):
            return None
        return _after(statement, way)

    def _exits(self, call: ast.Call) -> bool:
        match call.func:
            case ast.Name(id=name):
                return name in _EXITS or name in self._endless
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                return (module, name) in _EXIT_METHODS
        return False

    def _if(self, statement: ast.If, way: _Way) -> _Way | None:
        """Along all of an if and its elifs, which to the tree stand within each other."""
        ways: list[_Way | None] = []
        before, missing, decided = way, statement, False
        while True:
            way = _after(statement.test, way)
            truth = _truth(statement.test)
            decided = decided or _is_constant(statement.test)
            if truth is not False:
                ways.append(self.follow(statement.body, way))
            following = statement.orelse
            if truth is True:
                break
            if len(following) == 1 and isinstance(following[0], ast.If):
                statement = following[0]
                missing = missing if _lacks(ways) else statement
                continue
            ways.append(self.follow(following, way))
            break
        if decided and any(one is not None and one.bound for one in ways):
            return _BOUND
        return _join(ways, missing, before)

    def _loop(self, statement: ast.For | ast.AsyncFor | ast.While, way: _Way) -> _Way | None:
        loop = _Loop()
        self._loops.append(loop)
        if isinstance(statement, ast.While):
            way = _after(statement.test, way)
            truth = _truth(statement.test)
            certain = truth is True
            inside = way
        else:
            way = _after(statement.iter, way)
            truth = None
            certain = _is_filled(statement.iter)
            inside = _BOUND if _binds(statement.target) else way
        end = None if truth is False else self.follow(statement.body, inside)
        self._loops.pop()
        if isinstance(statement, ast.While) and certain:
            over = None
        else:
            over = _join([end, *loop.continues, *(() if certain else (way,))], statement, way)
        after = _join([self.follow(statement.orelse, over), *loop.breaks], statement, way)
        unknown = isinstance(statement, ast.While) and truth is None and _is_constant(statement.test)
        if after is not None and not after.bound and _binds_within(statement):
            # Whatever is missing inside, the loop may not run at all.
            return _BOUND if unknown else _Way(False, statement)
        return after

    def _try(self, statement: ast.Try | ast.TryStar, way: _Way) -> _Way | None:
        loop = self._loops[-1] if self._loops else _Loop()
        before = len(loop.breaks), len(loop.continues)
        body = self.follow(statement.body, way)
        caught = _BOUND if _binds_at_once(statement.body) else way
        ways = [self.follow(statement.orelse, body)]
        ways.extend(self.follow(handler.body, caught) for handler in statement.handlers)
        joined = _join(ways, statement, way)
        if not statement.finalbody:
            return joined
        final = self.follow(statement.finalbody, _Way(False))
        if final is None:
            return None
        if final.bound:
            loop.breaks[before[0] :] = [_BOUND for _ in loop.breaks[before[0] :]]
            loop.continues[before[1] :] = [_BOUND for _ in loop.continues[before[1] :]]
        return None if joined is None else self.follow(statement.finalbody, joined)

    def _match(self, statement: ast.Match, way: _Way) -> _Way | None:
        way = _after(statement.subject, way)
        ways: list[_Way | None] = []
        seen: set[object] = set()
        for case in statement.cases:
            entered = _BOUND if _captures(case.pattern) or (case.guard and _binds(case.guard)) else way
            ways.append(self.follow(case.body, entered))
            if case.guard is None or _truth(case.guard) is True:
                if _takes_all(case.pattern):
                    return _join(ways, statement, way)
                seen.update(_singletons(case.pattern))
        if not seen >= _BOOLEANS:
            ways.append(way)
        return _join(ways, statement, way)


def _join(ways: list[_Way | None], statement: ast.stmt, before: _Way) -> _Way | None:
    """The way where several meet. To blame is the inner statement of one of them, else the one that joins them."""
    coming = [way for way in ways if way is not None]
    missing = [way for way in coming if not way.bound]
    if not missing:
        return _BOUND if coming else None
    for way in missing:
        if way.blame is not before.blame:
            return way
    return _Way(False, before.blame) if len(missing) == len(coming) else _Way(False, statement)


def _lacks(ways: list[_Way | None]) -> bool:
    return any(way is not None and not way.bound for way in ways)


def _after(node: ast.AST, way: _Way) -> _Way:
    return _BOUND if way.bound or _binds(node) else way


def _binds(node: ast.AST) -> bool:
    """Whether a simple statement or an expression binds `result`. A name of an inner scope counts too: better
    silent than wrong."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id == RESULT and isinstance(inner.ctx, ast.Store):
            return True
        if isinstance(inner, ast.alias) and (inner.asname or inner.name.partition(".")[0]) == RESULT:
            return True
    return False


def _binds_within(statement: ast.stmt) -> bool:
    """Whether a compound statement binds `result` anywhere, also as a function or a captured name."""
    return _binds(statement) or any(
        getattr(node, "name", None) == RESULT or getattr(node, "rest", None) == RESULT
        for node in ast.walk(statement)
    )


def _binds_at_once(statements: list[ast.stmt]) -> bool:
    """Whether statements bind `result` before anything in them can raise."""
    for statement in statements:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Name | ast.Constant):
            return False
        if not all(isinstance(target, ast.Name) for target in statement.targets):
            return False
        if _binds(statement):
            return True
    return False


def _targets(statement: ast.Delete) -> list[ast.AST]:
    """What is deleted: names, also in parentheses; not what is deleted in a table."""
    found: list[ast.AST] = []
    todo: list[ast.expr] = list(statement.targets)
    while todo:
        target = todo.pop()
        if isinstance(target, ast.Tuple | ast.List):
            todo.extend(target.elts)
        else:
            found.append(target)
    return found


def _truth(test: ast.expr) -> bool | None:
    """What a test always answers; None where that depends."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Name(id="__debug__"):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _truth(operand)
            return None if inner is None else not inner
        case ast.BoolOp(op=operation, values=values):
            known = [_truth(value) for value in values]
            decisive = isinstance(operation, ast.Or)
            if decisive in known:
                return decisive
            return None if None in known else not decisive
        # A script runs as the main module.
        case ast.Compare(
            left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]
        ):
            return True
    return None


def _is_constant(test: ast.expr) -> bool:
    """Whether a test is made of constants alone, so that Python may have decided it while compiling."""
    return not any(isinstance(node, _OPAQUE) for node in ast.walk(test))


def _is_filled(iterable: ast.expr) -> bool:
    """Whether a loop surely runs at least once."""
    match iterable:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return any(not isinstance(element, ast.Starred) for element in elements)
        case ast.Dict(keys=keys):
            return any(key is not None for key in keys)
        case ast.Constant(value=str() | bytes() as value):
            return bool(value)
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=int() as count)]):
            return count > 0
        case ast.Call(func=ast.Name(id="enumerate" | "sorted" | "reversed" | "list" | "tuple"), args=[inner, *_]):
            return _is_filled(inner)
        case ast.Call(func=ast.Attribute(value=ast.Dict() as inner, attr="items" | "keys" | "values")):
            return _is_filled(inner)
    return False


def _captures(pattern: ast.pattern) -> bool:
    return any(
        getattr(node, "name", None) == RESULT or getattr(node, "rest", None) == RESULT
        for node in ast.walk(pattern)
    )


def _takes_all(pattern: ast.pattern) -> bool:
    """Whether a pattern matches whatever comes."""
    match pattern:
        case ast.MatchAs(pattern=None):
            return True
        case ast.MatchAs(pattern=inner) if inner is not None:
            return _takes_all(inner)
        case ast.MatchOr(patterns=patterns):
            return any(_takes_all(one) for one in patterns)
    return False


def _singletons(pattern: ast.pattern) -> set[object]:
    """`True` and `False`, where a pattern takes them."""
    match pattern:
        case ast.MatchSingleton(value=bool() as value):
            return {value}
        case ast.MatchOr(patterns=patterns):
            return set().union(*map(_singletons, patterns))
    return set()
