"""The byte code of a script → whether it is plainly good. Reading it costs a tenth of walking a syntax tree.

Python's byte code differs from version to version: opcodes are asked for by name, and any that is not known here
makes the answer "not plainly", after which the syntax tree decides.
"""

import builtins
import re
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from opcode import opmap
from types import CodeType

RESULT = "result"
# What the step gives a script (runner/execution/steps/python.py), and what Python gives it.
GIVEN = frozenset({"data", "run", "pd", "np", "__name__", "__builtins__", "__annotations__", *dir(builtins)})
# Names through which a script can bind what nobody sees in its text.
INDIRECT = frozenset(
    {"exec", "globals", "locals", "vars", "builtins", "__builtins__", "__main__", "_getframe", "currentframe"}
)
# Names through which a script can import what no import statement names.
IMPORTERS = frozenset({"__import__", "import_module"})
_HIDING = INDIRECT | IMPORTERS

_CODES = {name: code for name, code in opmap.items() if code < 256}
_LOAD_NAME, _STORE_NAME, _IMPORT_NAME = _CODES["LOAD_NAME"], _CODES["STORE_NAME"], _CODES["IMPORT_NAME"]
_LOAD_GLOBAL = _CODES["LOAD_GLOBAL"]
_CACHE = _CODES.get("CACHE", 0)
# Later versions may give the arguments another meaning.
_READABLE = sys.version_info < (3, 15)


def _named(*patterns: str) -> frozenset[int]:
    return frozenset(code for name, code in _CODES.items() if any(re.fullmatch(one, name) for one in patterns))


_MAYBE_FORWARD = _named("POP_JUMP_FORWARD_IF_.*", "POP_JUMP_IF_.*", "JUMP_IF_(TRUE|FALSE)_OR_POP", "FOR_ITER")
_FORWARD = _named("JUMP_FORWARD")
_BACKWARD = _named("JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT")
_RETURN = _named("RETURN_VALUE", "RETURN_CONST")
_LEAVE = _RETURN | _named("RAISE_VARARGS")
_WITH_NAME = frozenset({_LOAD_NAME, _STORE_NAME, _IMPORT_NAME})
_QUIET = _named(
    "CACHE|RESUME|NOP|NOT_TAKEN|POP_TOP|PUSH_NULL|COPY|SWAP|TO_BOOL|GET_ITER|END_FOR|POP_ITER|PRECALL|KW_NAMES",
    "LOAD_CONST|LOAD_SMALL_INT|LOAD_ATTR|LOAD_METHOD|STORE_ATTR|STORE_SUBSCR|STORE_SLICE|UNPACK_SEQUENCE|UNPACK_EX",
    "BINARY_.*|COMPARE_OP|CONTAINS_OP|IS_OP|UNARY_.*|FORMAT_.*|CONVERT_VALUE|CALL|CALL_KW|CALL_FUNCTION_EX",
    "BUILD_(LIST|TUPLE|SET|MAP|SLICE|STRING|CONST_KEY_MAP)|LIST_EXTEND|SET_UPDATE|DICT_MERGE|DICT_UPDATE",
    "MAKE_FUNCTION|SET_FUNCTION_ATTRIBUTE|IMPORT_FROM|POP_JUMP_BACKWARD_IF_.*|LIST_TO_TUPLE",
)
_POINTS = _WITH_NAME | _MAYBE_FORWARD | _FORWARD | _BACKWARD | _LEAVE
_KNOWN = bytes(_QUIET | _POINTS)
# What a function can do to names beyond its own that this reading does not follow.
_FAR = bytes(
    _named("(LOAD|STORE|DELETE)_NAME", "(STORE|DELETE)_GLOBAL", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_.*")
    | _named("EXTENDED_ARG", "IMPORT_NAME", "IMPORT_STAR")
)


def _one_of(codes: frozenset[int]) -> "re.Pattern[bytes]":
    return re.compile(b"[" + b"".join(re.escape(bytes([code])) for code in sorted(codes)) + b"]")


_POINT = _one_of(_POINTS)
_GLOBAL = _one_of(frozenset({_LOAD_GLOBAL}))


def is_plainly_good(code: CodeType, may_import: Callable[[str], bool], given: AbstractSet[str] = GIVEN) -> bool:
    """True when a module's code surely ends with `result` bound, reads only what is bound by then, or given, and
    imports only what `may_import` takes. False says nothing."""
    content = code.co_code
    ops = content[::2]
    if not _READABLE or code.co_exceptiontable or ops.translate(None, _KNOWN) or _hides(code):
        return False
    bound = _follow(ops, content[1::2], code.co_names, may_import, given)
    if bound is None:
        return False
    return all(_reads_only(constant, bound, given) for constant in code.co_consts if type(constant) is CodeType)


def _hides(code: CodeType) -> bool:
    return not _HIDING.isdisjoint(code.co_names)


def _follow(
    ops: bytes,
    arguments: bytes,
    names: tuple[str, ...],
    may_import: Callable[[str], bool],
    given: AbstractSet[str],
) -> set[str] | None:
    """All names that a module binds; None where one is read before it is bound, or the end comes before `result`.

    What is bound is followed forward: a jump back never takes a name away, for nothing is deleted here.
    """
    bound: set[str] | None = set()
    everywhere: set[str] = set()
    waiting: dict[int, set[str]] = {}
    for match in _POINT.finditer(ops):
        at = match.start()
        if waiting:
            bound = _arrive(waiting, at, bound)
        if bound is None:
            return None
        op = ops[at]
        if op not in _WITH_NAME:
            if op in _RETURN and RESULT not in bound:
                return None
            bound = _jump(ops, arguments, at, bound, waiting)
            continue
        name = names[arguments[at]]
        if op == _STORE_NAME:
            bound.add(name)
            everywhere.add(name)
        elif not (name in bound or name in given if op == _LOAD_NAME else may_import(name)):
            return None
    return everywhere if RESULT in everywhere else None


def _arrive(waiting: dict[int, set[str]], at: int, bound: set[str] | None) -> set[str] | None:
    """What is bound at a place, with what comes there by jumps."""
    for target in sorted(target for target in waiting if target <= at):
        coming = waiting.pop(target)
        bound = coming if bound is None else bound & coming
    return bound


def _jump(ops: bytes, arguments: bytes, at: int, bound: set[str], waiting: dict[int, set[str]]) -> set[str] | None:
    """What is bound behind a jump, return or raise; None where nothing goes on."""
    op = ops[at]
    if op in _BACKWARD or op in _LEAVE:
        return None
    following = at + 1
    while ops[following] == _CACHE:
        following += 1
    target = following + arguments[at]
    waiting[target] = waiting[target] & bound if target in waiting else set(bound)
    return None if op in _FORWARD else bound


def _reads_only(code: CodeType, bound: set[str], given: AbstractSet[str]) -> bool:
    """Whether a function reads, beyond its own names, only such as the module binds or is given."""
    content = code.co_code
    ops, names = content[::2], code.co_names
    if len(ops.translate(None, _FAR)) != len(ops) or _hides(code):
        return False
    if _LOAD_GLOBAL in ops:
        arguments = content[1::2]
        for match in _GLOBAL.finditer(ops):
            # The lowest bit tells of a call that follows.
            name = names[arguments[match.start()] >> 1]
            if name not in bound and name not in given:
                return False
    return all(_reads_only(constant, bound, given) for constant in code.co_consts if type(constant) is CodeType)


def all_codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and all that are in it."""
    todo = [code]
    while todo:
        code = todo.pop()
        yield code
        todo.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
