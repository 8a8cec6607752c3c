"""A column that a script asks for and that is not there → the columns that there are."""

from collections.abc import Mapping
from types import FrameType

import pandas as pd
from pandas.errors import UndefinedVariableError

from runner.execution.steps.faults import column_list, delimiter_hint

_TABLES = (pd.DataFrame, pd.api.typing.DataFrameGroupBy)


def columns_hint(error: BaseException, sources: Mapping[str, tuple[str, ...]]) -> str:
    """One sentence; empty where the error is of something else.

    Args:
        sources: the columns of each input by its name.
    """
    names: list[str] = []
    if type(error) is AttributeError and type(error.obj) is pd.DataFrame:
        names = _with_labels(error.obj.columns, sources)
    elif isinstance(error, (KeyError, UndefinedVariableError)) and error.args:
        names = _asked(error, sources)
    told = [f"`{name}` has {column_list(sources[name])}" for name in names if sources[name]]
    if not told:
        return ""
    advice = next((hint for name in names if (hint := delimiter_hint(sources[name]))), "")
    return "; ".join(told) + f".{advice and ' '}{advice}"


def last_frames(error: BaseException, package: str) -> list[FrameType]:
    """The frames of a package between where an error was raised and the code that called it."""
    frames: list[FrameType] = []
    last = error.__traceback__
    while last is not None:
        inside = str(last.tb_frame.f_globals.get("__name__")).partition(".")[0] == package
        frames = [*frames, last.tb_frame] if inside else []
        last = last.tb_next
    return frames


def _asked(error: BaseException, sources: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The input that was asked for a column that it does not have; all of them where a table that was made of them
    was. The frames of pandas in which it was looked for tell. None of them is a frame of the script, whose own
    dicts have keys too."""
    frames = last_frames(error, "pandas")
    if any(frame.f_code.co_name == "get_group" for frame in frames):
        # It is a value of the columns that is not there.
        return []
    places = [frame.f_locals for frame in frames]
    asked = [place.get("self") for place in reversed(places)]
    tables = [value for place in places for value in place.values() if issubclass(type(value), _TABLES)]
    labels = next((one for one in asked if issubclass(type(one), pd.Index)), None)
    if labels is None:
        known = (_labels_of(one) for one in (*asked, *tables))
        labels = next((one for one in known if one is not None), None)
    # Those of the rows are no columns. A row itself, as of `apply`, is asked by the names of the columns.
    elif not _with_labels(labels, sources) and all(_labels_of(one) is not labels for one in tables):
        return []
    if labels is None:
        return []
    names = _with_labels(labels, sources) or list(sources)
    return [] if any(str(error.args[0]) in sources[name] for name in names) else names


def _labels_of(table: object) -> pd.Index | None:
    """The columns of a table, or of the one that is grouped. What is being made answers to no attribute yet."""
    frame = table if issubclass(type(table), pd.DataFrame) else getattr(table, "__dict__", {}).get("obj")
    return frame.columns if isinstance(frame, pd.DataFrame) else None


def _with_labels(labels: pd.Index, sources: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The first input with just these columns, or none."""
    wanted = tuple(map(str, labels))
    return [name for name, columns in sources.items() if columns == wanted][:1]
