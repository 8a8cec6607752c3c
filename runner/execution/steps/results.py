"""What a script leaves as `result` → a DataFrame whose index can be dropped."""

import operator
import re
from collections.abc import Callable, Container, Mapping
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from runner.core.run import FailureKind
from runner.execution.steps.faults import NO_COLUMNS_HINT, NO_RESULT_HINT, StepError, error_words
from runner.execution.steps.quoting import quote_name
from runner.execution.steps.whole_numbers import table_frame

_HINT = "Make it one with pd.DataFrame(…)."
_CAST_HINT = "Correct its query. What pandas cannot hold, such as an infinite date, needs CAST(day AS VARCHAR)."
_FETCH_HINT = 'Fetch its rows, as in: result = duckdb.execute("SELECT …").df()'
_GROUPED_HINT = 'Say what to make of each group, as in: result = data.groupby("category").sum()'
_STYLED_HINT = "What is mailed has no styles: end the script with the table itself, as in: result = result.data"
_CHART_HINT = "A picture is drawn of the result: let that be the table, and name its columns under `chart`."
_DRAWING = frozenset({"matplotlib", "seaborn", "plotly", "altair"})
# What `value_counts` calls its values.
_COUNTS = frozenset({"count", "proportion"})
# Types of DuckDB that pandas has no exact one for.
_EXACT = re.compile(r"U?HUGEINT|BIGNUM|DECIMAL\([0-9]+,[0-9]+\)")
# Those that pandas has none for at all: a month would be 30 days, bits and shapes the bytes that DuckDB keeps of
# them, a moment would lose its offset. And lists of them, and of categories, whatever these are called.
_IN_WORDS = re.compile(
    r"(?:BIT|INTERVAL|GEOMETRY|TIME WITH TIME ZONE|TIMESTAMPTZ_NS|ENUM\(.*\)(?=\[))((?:\[[0-9]*\])*)", re.DOTALL
)


def table_of(result: object, *, columns: Container[object] = ()) -> pd.DataFrame:
    """A result as a DataFrame.

    A DataFrame is taken as it is; a Series is one column, a number, text or date one cell, an array one column or
    several, as of `to_records`. Tables and columns of other libraries (a DuckDB relation, an Arrow table, what has
    `to_pandas`) are converted. A list of dicts has a row for each, a dict of equally long lists a column for each;
    a dict of plain values is one row, a list of plain values one column.

    An index that means something becomes columns: one with names, such as the keys of a groupby, and an unnamed
    one, as column `index`, but for the numbers of rows that filtering, sorting and repeating leave: whole ones of
    64 bits from 0 on. These are dropped, where they are not the keys that `value_counts` has counted.

    Args:
        columns: those of the inputs: a Series that is called like one is that column.

    Raises:
        StepError: kind RESULT, it is nothing that a table can be made of, or its index has the name of a column
            with other values.
    """
    try:
        found = _converted(result)
    except (MemoryError, duckdb.OutOfMemoryException):
        raise
    except BaseException as error:  # noqa: BLE001 - an object whose methods raise, whatever they like
        raise StepError(
            FailureKind.RESULT,
            f"`result` is {_name_type(result)}, and no table can be made of it: {error_words(error)}",
            hint=_CAST_HINT if isinstance(result, duckdb.DuckDBPyRelation) else _HINT,
        ) from None
    if not isinstance(found, pd.DataFrame):
        raise StepError(
            FailureKind.RESULT, f"`result` is {_name_type(result)}, not a DataFrame", hint=_hint(result)
        )
    # A class of the script's own decides how many rows it says it has.
    frame = found if type(found) is pd.DataFrame else pd.DataFrame(found)
    counted = isinstance(result, pd.Series) and result.name in _COUNTS and result.name not in columns
    return _with_gaps_in_lists(_with_own_bytes(_keep_meaningful_index(frame, counted=counted)))


def _converted(result: Any) -> object:
    """The result as a DataFrame, where there is an obvious one."""
    if isinstance(result, pd.DataFrame) or result is None or result is pd.NaT:
        return result
    if isinstance(result, pd.Series):
        return result.to_frame("result" if result.name is None else result.name)
    if isinstance(result, pd.Index | np.ndarray | pd.api.extensions.ExtensionArray):
        return _array_table(result)
    if pd.api.types.is_scalar(result):
        return pd.DataFrame({"result": [result]})
    if isinstance(result, Mapping):
        return _mapping_table(result)
    if isinstance(result, list | tuple):
        return _list_table(result)
    if isinstance(result, duckdb.DuckDBPyRelation):
        return _relation_table(result)
    if isinstance(result, pa.Table | pa.RecordBatch | pa.RecordBatchReader | pa.Array | pa.ChunkedArray):
        return table_frame(_arrow_table(result))
    found = result.to_pandas() if callable(getattr(result, "to_pandas", None)) else result
    return _converted(found) if isinstance(found, pd.Series) else found


def _arrow_table(
    values: pa.Table | pa.RecordBatch | pa.RecordBatchReader | pa.Array | pa.ChunkedArray,
) -> pa.Table:
    if isinstance(values, pa.RecordBatchReader):
        return values.read_all()
    if isinstance(values, pa.RecordBatch):
        return pa.Table.from_batches([values])
    return values if isinstance(values, pa.Table) else pa.table({"result": values})


def _relation_table(relation: duckdb.DuckDBPyRelation) -> pd.DataFrame:
    """A relation of DuckDB, which by itself makes floats of decimals and of sums of whole numbers, and numbers of
    the categories in lists. What pandas has no type for is the text that a query writes."""
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    if len({name.casefold() for name in kinds}) < len(relation.columns):
        # Columns of one name can be told apart by nobody.
        kinds = {}
    makers = {name: _maker(kind) for name, kind in kinds.items() if _EXACT.fullmatch(kind)}
    casts = dict.fromkeys(makers, "VARCHAR")
    casts |= {name: f"VARCHAR{words[1]}" for name, kind in kinds.items() if (words := _IN_WORDS.fullmatch(kind))}
    keys = {name: quote_name(name) for name in kinds}
    cells = (f"CAST({key} AS {casts[name]}) AS {key}" if name in casts else key for name, key in keys.items())
    frame: pd.DataFrame = (relation.project(", ".join(cells)) if casts else relation).df()
    for name, make in makers.items():
        texts = frame[name]
        values = [None if gap else make(text) for text, gap in zip(texts, texts.isna(), strict=True)]
        exact = pd.Series(values, dtype="object")
        # Whole numbers beside gaps would be floats again.
        frame[name] = exact if exact.hasnans else exact.infer_objects()
    return frame


def _maker(kind: str) -> Callable[[str], int | Decimal]:
    return Decimal if kind.startswith("DECIMAL") else int


def _mapping_table(result: Mapping[Any, Any]) -> object:
    cells = list(result.values())
    if cells and all(map(_is_plain, cells)):
        return pd.DataFrame([result])
    if cells and not any(map(_is_plain, cells)) and not any(isinstance(cell, Mapping) for cell in cells):
        return pd.DataFrame(result)
    return result


def _list_table(result: list[Any] | tuple[Any, ...]) -> object:
    if result and all(isinstance(record, Mapping) for record in result):
        return pd.DataFrame(list(result))
    return pd.DataFrame({"result": list(result)}) if result and all(map(_is_plain, result)) else result


def _is_plain(value: object) -> bool:
    return value is None or bool(pd.api.types.is_scalar(value))


def _hint(result: object) -> str:
    if result is None:
        return f"{NO_RESULT_HINT}. What changes a table in its place, as with `inplace=True`, gives none."
    if isinstance(result, list | tuple | Mapping) and not len(result):
        return NO_COLUMNS_HINT
    if isinstance(result, duckdb.DuckDBPyConnection):
        return _FETCH_HINT
    if type(result).__module__.partition(".")[0] in _DRAWING:
        return _CHART_HINT
    name = type(result).__name__
    return _STYLED_HINT if name == "Styler" else _GROUPED_HINT if "GroupBy" in name else _HINT


def _keep_meaningful_index(frame: pd.DataFrame, *, counted: bool) -> pd.DataFrame:
    index = frame.index
    named = [name is not None for name in index.names]
    if index.nlevels == 1 and not named[0]:
        if not len(index) or isinstance(index, pd.RangeIndex) or (_may_be_row_numbers(index) and not counted):
            return frame
        index = index.rename("index")
    names = [(f"level_{place}" if name is None else name) for place, name in enumerate(index.names)]
    rest = ("",) * (frame.columns.nlevels - 1)
    labels = [(name, *rest) if rest else name for name in names]
    body = frame.reset_index(drop=True)
    for place, label in reversed(list(enumerate(labels))):
        level = index.get_level_values(place)
        if label not in frame.columns:
            body.insert(0, label, level, allow_duplicates=True)
        elif not _is_same(level, frame[label]):
            raise _two_of_one_name(names[place])
    return body


def _may_be_row_numbers(index: pd.Index) -> bool:
    return index.dtype == np.dtype("int64") and bool(index.min() >= 0)


def _is_same(level: pd.Index, column: pd.Series | pd.DataFrame) -> bool:
    """Whether a key is a column as well, as after `set_index(…, drop=False)`: it stands there already."""
    if isinstance(column, pd.DataFrame):
        return False
    return bool(pd.Series(level.astype(object)).equals(column.astype(object).reset_index(drop=True)))


def _two_of_one_name(name: object) -> StepError:
    return StepError(
        FailureKind.RESULT,
        f"`result` has the index '{name}' and a column '{name}' with other values: the CSV can have one",
        hint='Rename the values, by .rename("count") for a Series or .rename(columns={…}) for a DataFrame; or the '
        'keys, by .rename_axis("key").',
    )


def _with_own_bytes(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers in the order of bytes of this machine: DuckDB and Arrow take no others, which `np.frombuffer` and
    many a format of files have."""
    kinds = {
        place: kind.newbyteorder("=")
        for place, kind in enumerate(frame.dtypes)
        if isinstance(kind, np.dtype) and not kind.isnative
    }
    if not kinds:
        return frame
    return frame.set_axis(range(frame.shape[1]), axis=1).astype(kinds).set_axis(frame.columns, axis=1)


def _with_gaps_in_lists(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists in which a gap is None. Those of DuckDB are masked arrays in pandas: a gap is a `masked` to Python,
    and the 0 behind the mask to Arrow."""
    places = [place for place, kind in enumerate(frame.dtypes) if kind == np.dtype(object)]
    found = {place: cells for place in places if (cells := _unmasked_column(frame.iloc[:, place])) is not None}
    if not found:
        return frame
    columns = frame.set_axis(range(frame.shape[1]), axis=1)
    for place, cells in found.items():
        columns[place] = cells
    return columns.set_axis(frame.columns, axis=1)


def _unmasked_column(series: pd.Series) -> pd.Series | None:
    """A column of objects without masks; None where it has none."""
    cells = list(series.array)
    try:
        unmasked = [_unmasked(cell) if isinstance(cell, np.ndarray) else cell for cell in cells]
    except RecursionError:
        # Deeper than any list of DuckDB: an array that holds itself, say.
        return None
    if all(map(operator.is_, cells, unmasked)):
        return None
    return pd.Series(unmasked, dtype="object", index=series.index)


def _unmasked(array: np.ndarray) -> Any:
    """A list in the place of an array that has a mask, or holds one that has; another array itself."""
    masks = isinstance(array, np.ma.MaskedArray)
    if not array.ndim or not (masks or array.dtype == np.dtype(object)):
        return array
    if array.ndim > 1:
        # Its rows, with their own masks.
        items = list(array)
    else:
        gaps = np.ma.getmaskarray(array)
        items = [None if gap else cell for cell, gap in zip(np.asarray(array), gaps, strict=True)]
    inner = [_unmasked(item) if isinstance(item, np.ndarray) else item for item in items]
    return inner if masks or not all(map(operator.is_, items, inner)) else array


def _array_table(values: Any) -> object:
    if getattr(values, "ndim", 1) > 2:
        return values
    if isinstance(values, pd.Index):
        return values.to_frame(index=False, name="result" if values.name is None else values.name)
    if values.ndim == 2 or getattr(values.dtype, "names", None):
        return pd.DataFrame(values)
    return pd.DataFrame({"result": np.atleast_1d(values)})


def _name_type(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
