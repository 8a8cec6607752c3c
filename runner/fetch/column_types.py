"""What a database says of the type of a column: it is of use where a column has no value, and for decimals."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

_TEXT = pa.string()
_DECIMAL = pa.decimal128(18, 0)
_LONGEST_DECIMAL = 38
# The object ids of PostgreSQL's catalog (pg_type.dat).
_POSTGRES: Mapping[int, pa.DataType] = {
    16: pa.bool_(),
    **dict.fromkeys((20, 21, 23, 26), pa.int64()),
    **dict.fromkeys((700, 701), pa.float64()),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
    1700: _DECIMAL,
}
# The field types of the MySQL protocol (enum_field_types).
_MYSQL: Mapping[int, pa.DataType] = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), pa.int64()),
    **dict.fromkeys((4, 5), pa.float64()),
    **dict.fromkeys((7, 12), pa.timestamp("us")),
    10: pa.date32(),
    **dict.fromkeys((0, 246), _DECIMAL),
}
_BY_DIALECT = {"postgresql": _POSTGRES, "mysql": _MYSQL, "mariadb": _MYSQL}
# SQLite's own rule for what is declared (section 3.1 of "Datatypes In SQLite"), in its order.
_AFFINITIES = (
    ("INT", pa.int64()),
    ("BOOL", pa.int64()),
    ("CHAR", _TEXT),
    ("CLOB", _TEXT),
    ("TEXT", _TEXT),
    ("BLOB", _TEXT),
)
_REAL = ("REAL", "FLOA", "DOUB", "NUM", "DEC")
_SQLITE_COLUMNS = """
SELECT c.name, c.type FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type IN ('table', 'view')
"""


def declared_types(dialect: str, description: Sequence[Any], width: int) -> list[pa.DataType]:
    """The types of a result's columns, from the driver's description (PEP 249); text where unknown."""
    known = _BY_DIALECT.get(dialect, {})
    kinds = [known.get(column[1], _TEXT) if isinstance(column[1], int) else _TEXT for column in description]
    kinds = [
        _decimal(column[4], column[5]) if pa.types.is_decimal(kind) else kind
        for kind, column in zip(kinds, description, strict=True)
    ]
    return kinds or [_TEXT] * width


def sqlite_types(connection: Connection, names: Sequence[str]) -> list[pa.DataType]:
    """As `declared_types`: SQLite describes no result: a column is what all tables say that have one so named."""
    try:
        rows = connection.execute(text(_SQLITE_COLUMNS)).all()
    except SQLAlchemyError:
        # A view of what is gone, a table of a module that is not there: the query itself may be sound.
        rows = []
    said: dict[str, set[pa.DataType]] = {}
    for name, declared in rows:
        said.setdefault(name.lower(), set()).add(_affinity(declared))
    found = [said.get(name.lower(), set()) for name in names]
    return [next(iter(kinds)) if len(kinds) == 1 else _TEXT for kinds in found]


def _affinity(declared: str) -> pa.DataType:
    words = declared.upper()
    for part, kind in _AFFINITIES:
        if part in words:
            return kind
    return pa.float64() if any(part in words for part in _REAL) else _TEXT


def _decimal(precision: object, scale: object) -> pa.DataType:
    if isinstance(precision, int) and isinstance(scale, int) and 0 <= scale <= precision <= _LONGEST_DECIMAL:
        return pa.decimal128(precision, scale) if precision else _DECIMAL
    return _DECIMAL
