"""The chart of a result: a PNG for the mail and the page, drawn by matplotlib where it is installed.

What cannot be drawn is told, never cut: a chart of the first rows alone would say something wrong.
"""

import os
import tempfile
import textwrap
import warnings
from importlib import import_module
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from runner.core.job import Chart, ChartKind
from runner.execution.steps.chart_letters import lend_letters
from runner.execution.steps.content import QueryContent
from runner.execution.steps.faults import column_list
from runner.execution.steps.query_columns import QueryColumn

_POINTS, _BARS, _SERIES = 20_000, 60, 10
_INCHES, _DPI = (9.0, 4.5), 100
_MARKED = 40
_TICKS = 10
# What matplotlib can draw with room at both ends: numbers, and days from 1970-01-01 for the years 1 to 9999.
_FARTHEST, _FIRST_DAY, _LAST_DAY = 1e300, -719_162, 2_932_897
# What lies nearer to 0 than this altogether is a point to it.
_NEAREST = 1e-285
# Around what is drawn: a part of its width, and some days around a single one.
_ROOM, _ROOM_DAYS = 0.05, 1000
_DATE = r"[0-9]{4}-[0-9]{2}"
# A time of a text, and its offset from UTC.
_OFFSET = r"([T ][0-9]{2}.*?) ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_LABEL_WIDTH = 24
# So many letters of a title fit on a line above the chart.
_TITLE_WIDTH, _TITLE_LINES = 60, 4
_LABELS = 25
# So many letters fit below the chart side by side.
_LETTERS = 90
# So many letters without a font are told.
_BOXES = 10
# Okabe and Ito's colours: told apart also by who does not see all of them.
_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#000000",
    "#F0E442",
    "#999999",
    "#5D3A9B",
)
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "y",
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
}


class ChartError(Exception):
    """There is no chart; the text says why and what to do."""


def draw_chart(table: QueryContent, chart: Chart, path: str, *, folder: str) -> set[str]:
    """Write the chart of a table as a PNG of 900 × 450 pixels. `folder` takes what matplotlib keeps. Answers with
    the letters that are boxes in it, as no font has them.

    Raises:
        ChartError: it cannot be drawn.
    """
    points = _points(table, chart)
    for place, name in enumerate(chart.y):
        _require_near(points[place], name)
    # Before the import: it is then that matplotlib looks for a place of its own.
    os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="matplotlib-", dir=folder)
    try:
        mpl, figures = _module("matplotlib"), _module("matplotlib.figure")
        canvases, texts = _module("matplotlib.backends.backend_agg"), _module("matplotlib.text")
    except ImportError as error:
        raise ChartError(
            "matplotlib is not installed: install gitops-runner[chart] on the machine of the runner"
        ) from error
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Of letters that a font lacks, which are seen to here.
        warnings.simplefilter("ignore")
        figure = figures.Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
        axes = figure.add_subplot()
        (_draw_lines if chart.kind is ChartKind.LINE else _draw_bars)(axes, points, chart)
        _label(axes, chart)
        for axis in (axes.xaxis, axes.yaxis):
            # The names of ticks are there once they are asked for.
            axis.get_ticklabels()
        boxes = lend_letters(figure.findobj(texts.Text))
        canvases.FigureCanvasAgg(figure).print_png(path)
        return boxes


def _module(name: str) -> Any:
    """A part of an optional library."""
    return import_module(name)


def _points(table: QueryContent, chart: Chart) -> pd.DataFrame:
    """The values of a chart: `x`, a column of floats for each `y`, by its place, and `instant`, which tells the
    order of times with a zone: the clock shows an hour twice where it is set back."""
    known = {column.name: column for column in table.columns}
    missing = [name for name in (chart.x, *chart.y) if name not in known]
    if missing:
        names = ", ".join(map(repr, missing))
        raise ChartError(f"the result has no column {names}, but {column_list(list(known))}")
    if not table.total_rows:
        raise ChartError("the result has no rows")
    most = _POINTS if chart.kind is ChartKind.LINE else _BARS
    if table.total_rows > most:
        raise ChartError(
            f"a {chart.kind} chart has at most {most:,} points, the result has {table.total_rows:,} rows: "
            "group them in the step"
        )
    if len(chart.y) > _SERIES:
        raise ChartError(f"a chart has at most {_SERIES} columns in `y`, not {len(chart.y)}")
    x = known[chart.x]
    cells = [_x_cells(x), *(f"TRY_CAST({known[name].key} AS DOUBLE)" for name in chart.y)]
    gaps = [f"count({known[name].key}) - count({cell})" for name, cell in zip(chart.y, cells[1:], strict=True)]
    (wrong,) = table.connection.execute(f"SELECT {', '.join(gaps)} FROM {table.source}").fetchall()  # noqa: S608
    texts = [name for name, count in zip(chart.y, wrong, strict=True) if count or known[name].is_moment]
    if texts:
        raise ChartError(f"the column {texts[0]!r} is no column of numbers: `y` names what is drawn over `x`")
    cells.append(f"epoch_us({x.key})" if x.is_zoned else "NULL::BIGINT")
    named = ", ".join(f"{cell} AS c{place}" for place, cell in enumerate(cells))
    frame = table.connection.execute(f"SELECT {named} FROM {table.source}").df()  # noqa: S608 - quoted
    frame = frame.set_axis(["x", *range(len(chart.y)), "instant"], axis=1)
    moments = table.moments.get(x.place)
    return frame if moments is None else frame.assign(x=_wall_clock(moments))


def _x_cells(column: QueryColumn) -> str:
    if column.is_moment:
        return f"CAST({column.key} AS TIMESTAMP)"
    if column.kind == "FLOAT":
        # By its text, which is shorter than the long number of its value.
        return f"CAST(CAST({column.key} AS VARCHAR) AS DOUBLE)"
    return f"CAST({column.key} AS {'DOUBLE' if column.numeric else 'VARCHAR'})"


def _wall_clock(moments: pd.Series) -> pd.Series:
    """Times with a zone as a clock shows them there, which is how a table does."""
    shown = [
        None if gap else pd.Timestamp(at).tz_localize(None)
        for at, gap in zip(moments, moments.isna(), strict=True)
    ]
    return pd.Series(shown, dtype="M8[us]")


def _require_near(values: pd.Series, name: str) -> None:
    """Numbers or moments that can be drawn side by side.

    Raises:
        ChartError: they lie too far from each other.
    """
    if values.dtype.kind == "M":
        days = values.dropna().to_numpy().astype("M8[D]").astype("int64")
        first, last = (days.min(), days.max()) if len(days) else (0, 0)
        room = _ROOM * (last - first) or _ROOM_DAYS
        if first - room < _FIRST_DAY or last + room >= _LAST_DAY:
            raise ChartError(
                f"the dates of {name!r} reach too far to be drawn: "
                "leave out in the step those that stand for no day"
            )
        return
    largest = np.abs(values).max()
    if 0 < largest < _NEAREST:
        raise ChartError(
            f"the values of {name!r} lie too near to 0 to be drawn, all below {_NEAREST:g}: "
            "multiply them in the step"
        )
    if largest > _FARTHEST:
        # An infinite one too, which matplotlib would leave out without a word.
        raise ChartError(
            f"the values of {name!r} reach too far to be drawn: leave out in the step those beyond {_FARTHEST:g}"
        )


def _draw_lines(axes: Any, points: pd.DataFrame, chart: Chart) -> None:
    if points.loc[points["x"].notna(), list(range(len(chart.y)))].isna().all(axis=None):
        # Its axes would tell of numbers, or of days, that nobody has.
        names = ", ".join(map(repr, chart.y))
        raise ChartError(f"no row has values of {chart.x!r} and of {names}: there is no line to draw")
    x = _as_dates(points["x"])
    if pd.api.types.is_string_dtype(x.dtype) or x.dtype == object:
        texts = x.fillna("").map(_short).tolist()
        x = pd.Series(np.arange(len(texts), dtype="float64"))
        _name_places(axes, texts)
    else:
        _require_near(x, chart.x)
        points = points.assign(x=x).sort_values(["instant", "x"], kind="stable")
        x = points["x"]
        axes.xaxis.set_major_formatter(_plain)
    marker = "o" if len(points) <= _MARKED else ""
    for place in range(len(chart.y)):
        values = points[place].to_numpy()
        axes.plot(x.to_numpy(), values, color=_COLOURS[place], marker=marker, markersize=4, label=str(place))
    if isinstance(x.dtype, np.dtype) and x.dtype.kind == "M":
        dates = _module("matplotlib.dates")
        locator = _date_locator(dates, x.dropna())
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def _date_locator(dates: Any, moments: pd.Series) -> Any:
    """Where the ticks stand: between a few days that have no hours there are none."""
    days = (moments.max() - moments.min()).days if len(moments) else 0
    if 0 < days < _TICKS and (moments == moments.dt.normalize()).all():
        return dates.DayLocator()
    return dates.AutoDateLocator(maxticks=_TICKS)


def _draw_bars(axes: Any, points: pd.DataFrame, chart: Chart) -> None:
    places = np.arange(len(points))
    width = 0.8 / len(chart.y)
    for place in range(len(chart.y)):
        left = places - 0.4 + width * (place + 0.5)
        axes.bar(left, points[place].to_numpy(), width=width, color=_COLOURS[place], label=str(place))
    axes.axhline(0, color="#444444", linewidth=0.8)
    # Each has its place, also where it has no value.
    axes.set_xlim(-0.6, len(points) - 0.4)
    _name_places(axes, _bar_names(points["x"]))


def _bar_names(x: pd.Series) -> list[str]:
    if isinstance(x.dtype, np.dtype) and x.dtype.kind == "M":
        days = (x.dropna() == x.dropna().dt.normalize()).all()
        return list(x.dt.strftime("%Y-%m-%d" if days else "%Y-%m-%d %H:%M").fillna(""))
    if pd.api.types.is_numeric_dtype(x.dtype):
        # A day such as 20250101 in full.
        return ["" if np.isnan(value) else f"{value:{'.15g' if value.is_integer() else '.10g'}}" for value in x]
    return [_short(name) for name in x.fillna("")]


def _name_places(axes: Any, names: list[str]) -> None:
    """Write names under places that are counted from 0: all of them, or every n-th."""
    step = -(-len(names) // _LABELS) if len(names) > _BARS else 1
    shown = names[::step]
    crowded = max(map(len, shown)) * len(shown) > _LETTERS
    turned = {"rotation": 45, "ha": "right", "va": "top", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks(range(0, len(names), step), shown, fontsize=8 if crowded else 10, **turned)


def _label(axes: Any, chart: Chart) -> None:
    axes.grid(visible=True, axis="y")
    axes.yaxis.set_major_formatter(_thousands)
    axes.set_xlabel(_short(chart.x))
    if chart.title:
        title = textwrap.fill(chart.title, _TITLE_WIDTH, max_lines=_TITLE_LINES, placeholder="…")
        axes.set_title(title, loc="left", fontweight="bold")
    if len(chart.y) == 1:
        axes.set_ylabel(_short(chart.y[0]))
    else:
        legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        # Here, as a label that begins with `_` has no place in a legend.
        for text, name in zip(legend.get_texts(), chart.y, strict=True):
            text.set_text(_short(name))


def _as_dates(x: pd.Series) -> pd.Series:
    """Texts of dates, as JSON and scripts have them, as dates; others as they are. `1003` may be no year.

    A time with an offset is drawn as it is written, at its own clock.
    """
    if not pd.api.types.is_string_dtype(x.dtype) or x.isna().all():
        return x
    if not x.dropna().str.match(_DATE).all():
        return x
    try:
        found = pd.to_datetime(x.str.replace(_OFFSET, r"\1", regex=True), format="ISO8601", utc=True)
    except ValueError:
        return x
    return found.dt.tz_localize(None)


def _plain(value: float, _place: int = 0) -> str:
    """A number along the chart: years have four digits and no comma."""
    return _thousands(value) if abs(value) >= 10_000 else f"{value:.10g}"


def _thousands(value: float, _place: int = 0) -> str:
    # Of the digits that a float has, one less: the place of a tick is the sum of others.
    return f"{value:,.14g}"


def _short(text: str, width: int = _LABEL_WIDTH) -> str:
    """A text on one line, not long."""
    line = " ".join(str(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def chart_note(table: QueryContent, chart: Chart, path: str, *, folder: str) -> str:
    """Draw a chart; answers why there is none, or what is wrong with it, with nothing where all is well. Never
    raises but for memory."""
    try:
        boxes = sorted(draw_chart(table, chart, path, folder=folder))
    except ChartError as error:
        return f"There is no chart: {error}."
    except (MemoryError, duckdb.OutOfMemoryException):
        return "There is no chart: drawing it needs more memory than the step may have (`resources.memory_mb`)."
    except Exception as error:  # noqa: BLE001 - a picture is no reason to fail a run whose result is good
        return f"There is no chart: {type(error).__name__}: {error}."
    if not boxes:
        return ""
    more = "" if len(boxes) <= _BOXES else f" and {len(boxes) - _BOXES:,} more"
    return (
        f"The chart has boxes in place of letters, as no font on the machine of the runner has "
        f"{' '.join(boxes[:_BOXES])}{more}: install one there, such as Noto Sans CJK, or Symbola for emoji."
    )
