import struct
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from runner.core.job import Chart, ChartKind, StepKind
from runner.execution.steps.chart import ChartError, chart_note, draw_chart
from runner.execution.steps.content import FrameContent

DAYS = "day,north,south\n2025-01-01,1,5\n2025-01-02,-3,\n2025-01-03,2000000,7\n"


@pytest.fixture
def refused(tmp_path):
    with duckdb.connect(config={"threads": 1}) as connection:

        def draw(frame, **chart):
            table = FrameContent(frame=frame).as_query(lambda: connection, timezone="UTC")
            with pytest.raises(ChartError) as caught:
                draw_chart(
                    table,
                    Chart(**{"kind": ChartKind.BAR, "x": "x", "y": ("y",), **chart}),
                    "",
                    folder=str(tmp_path),
                )
            return str(caught.value)

        yield draw


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The names below a chart, from the left, and the points of its first line or the tops of its bars; or what
    `read` reads from its axes. `y` is the values of one column, or of several under their names."""
    agg = pytest.importorskip("matplotlib.backends.backend_agg")
    kept = []
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    monkeypatch.setattr(agg.FigureCanvasAgg, "print_png", lambda canvas, path: kept.append(canvas.figure.axes[0]))

    def draw(kind, x, y, *, read=None, title=""):
        with duckdb.connect(config={"threads": 1}) as connection:
            columns = y if isinstance(y, dict) else {"y": y}
            table = FrameContent(frame=pd.DataFrame({"x": x, **columns})).as_query(
                lambda: connection, timezone="UTC"
            )
            note = chart_note(
                table, Chart(kind=kind, x="x", y=tuple(columns), title=title), "", folder=str(tmp_path)
            )
        assert note == ""
        axes = kept.pop()
        if read is not None:
            return read(axes)
        tops = axes.lines[0].get_ydata() if kind is ChartKind.LINE else [bar.get_height() for bar in axes.patches]
        return [label.get_text() for label in axes.get_xticklabels()], list(tops)

    return draw


@pytest.mark.parametrize("kind", [ChartKind.LINE, ChartKind.BAR])
def test_each_column_is_named_beside_the_chart(drawn, kind):
    def names(axes):
        return [text.get_text() for text in axes.get_legend().get_texts()]

    columns = {"y": [1, 2], "_hidden": [2, 1]}
    assert drawn(kind, [1, 2], columns, read=names) == ["y", "_hidden"]


@pytest.mark.parametrize("kind", [ChartKind.LINE, ChartKind.BAR])
@pytest.mark.parametrize("base", [1_234_567_890_123, 2_000_000_000_000, 5_000_000_000.25])
def test_large_numbers_that_lie_near_each_other_are_told_apart(drawn, kind, base):
    def ticks(axes):
        axes.set_ylim(base, base + 4)
        return [label.get_text() for label in axes.get_yticklabels()]

    names = drawn(kind, [1, 2], [base, base + 4], read=ticks)
    assert len(set(names)) == len(names)
    assert not any("e+" in name for name in names)


@pytest.mark.parametrize("count", [2, 3, 9, 25, 41, 400])
def test_the_ticks_below_a_line_over_days_are_days(drawn, count):
    days = pd.date_range("2025-01-30", periods=count)
    names, tops = drawn(ChartKind.LINE, days, list(range(count)))
    assert len(tops) == count
    assert 1 < len(names) <= 12
    assert not any(":" in name for name in names)
    # It has a name where there is room for few days alone: the first of a month must not be passed over.
    assert any("Feb" in name for name in names) or count in {2, 400}


def test_the_ticks_below_a_line_over_times_are_times(drawn):
    names, _ = drawn(ChartKind.LINE, pd.date_range("2025-01-30", "2025-01-31", freq="6h"), [1, 2, 3, 4, 5])
    assert "12:00" in names


@pytest.mark.parametrize(
    ("x", "names"),
    [
        ([20250101, 20250102], ["20250101", "20250102"]),
        ([1.0, 1234567.25], ["1", "1234567.25"]),
        (pd.Series([0.1, None], dtype="float32"), ["0.1", ""]),
        (["007", "a"], ["007", "a"]),
        ([date(2025, 1, 2), date(2025, 1, 1)], ["2025-01-02", "2025-01-01"]),
    ],
)
def test_bars_are_named_by_what_they_stand_for(drawn, x, names):
    assert drawn(ChartKind.BAR, x, [3, 1]) == (names, [3, 1])


@pytest.mark.parametrize("y", [[None, 3, None], [None, None, None], [1, 2, 3]])
def test_a_bar_without_a_value_has_its_place_as_well(drawn, y):
    left, right = drawn(ChartKind.BAR, ["a", "b", "c"], y, read=lambda axes: axes.get_xlim())
    # A bar is 0.8 wide, around 0, 1 and 2.
    assert left < -0.4
    assert right > 2.4


@pytest.mark.parametrize("title", ["Revenue " * 25, "E" * 200, "Net sales by region"])
def test_a_title_stands_within_the_picture(drawn, title):
    def read(axes):
        axes.figure.canvas.draw()
        return axes.get_title(loc="left"), axes._left_title.get_window_extent(), axes.get_window_extent()

    shown, place, plot = drawn(ChartKind.BAR, ["a", "b"], [1e9, 2], read=read, title=title.strip())
    assert "".join(shown.split()) == "".join(title.split())
    assert 0 < place.x0 < place.x1 < 900
    assert plot.y1 < place.y0 < place.y1 < 450
    assert plot.height > 200


@pytest.mark.parametrize("x", [["1003", "1001", "1002"], ["2025", "2024", "2023"], ["20250103", "20250101", "x"]])
def test_texts_that_are_no_dates_keep_their_order(drawn, x):
    assert drawn(ChartKind.LINE, x, [3, 1, 2]) == (x, [3, 1, 2])


@pytest.mark.parametrize("x", [["2025-01-03", "2025-01-01", "2025-01-02"], ["2025-03", "2025-01", "2025-02"]])
def test_texts_of_dates_are_drawn_in_their_order(drawn, x):
    assert drawn(ChartKind.LINE, x, [3, 1, 2])[1] == [1, 2, 3]


BERLIN = pd.date_range("2026-06-01", periods=2, tz="Europe/Berlin")


@pytest.mark.parametrize(
    "x",
    [
        BERLIN,
        pd.Series(BERLIN).astype("timestamp[us, tz=Europe/Berlin][pyarrow]"),
        pd.Categorical(BERLIN),
        [day.to_pydatetime() for day in BERLIN.tz_convert("+02:00")],
    ],
    ids=["zone", "arrow", "categories", "objects"],
)
def test_times_with_a_zone_are_drawn_at_their_own_clock(drawn, x):
    # The chart is drawn in UTC, where these days begin on the evening before.
    x = pd.Series(x)
    assert drawn(ChartKind.BAR, x, [3, 1]) == (["2026-06-01", "2026-06-02"], [3, 1])
    names, _ = drawn(ChartKind.LINE, x, [3, 1])
    assert not any(":" in name for name in names)


def test_the_hour_that_comes_twice_is_drawn_in_its_order(drawn):
    x = pd.Series(pd.date_range("2026-10-25T00:00Z", periods=4, freq="30min").tz_convert("Europe/Berlin"))
    order = [2, 0, 3, 1]
    assert drawn(ChartKind.LINE, x[order], order)[1] == [0, 1, 2, 3]


def test_gaps_between_times_with_a_zone_have_no_name(drawn):
    x = pd.Series([BERLIN[0], None], dtype=BERLIN.dtype)
    assert drawn(ChartKind.BAR, x, [3, 1]) == (["2026-06-01", ""], [3, 1])


@pytest.mark.parametrize(
    "x",
    [
        ["2026-06-01T00:00:00+02:00", "2026-06-02T00:00:00+02:00", "2026-06-03T00:00:00+02:00"],
        ["2026-06-01 00:00:00.000+0200", "2026-06-02 00:00 -05", "2026-06-03T00:00Z"],
    ],
)
def test_texts_of_times_with_an_offset_are_drawn_at_their_own_clock(drawn, x):
    names, tops = drawn(ChartKind.LINE, x, [3, 1, 2])
    assert tops == [3, 1, 2]
    assert len(names) == 3
    assert not any(":" in name for name in names)


@pytest.mark.parametrize(
    ("kind", "x", "y", "told"),
    [
        (ChartKind.LINE, ["a", "b"], [1e308, -1e308], "the values of 'y' reach too far to be drawn: leave out"),
        (ChartKind.BAR, ["a", "b"], [1e308, -1e308], "the values of 'y' reach too far to be drawn: leave out"),
        (ChartKind.BAR, ["a", "b"], [1.5, float("inf")], "the values of 'y' reach too far to be drawn: leave out"),
        (ChartKind.LINE, [1, float("-inf")], [1, 2], "the values of 'x' reach too far to be drawn: leave out"),
        (ChartKind.LINE, [1e308, -1e308], [1, 2], "the values of 'x' reach too far to be drawn: leave out"),
        (
            ChartKind.LINE,
            ["0001-01-01", "2025-01-01"],
            [1, 2],
            "the dates of 'x' reach too far to be drawn: leave",
        ),
        (
            ChartKind.LINE,
            ["2025-01-01", "9999-12-31"],
            [1, 2],
            "the dates of 'x' reach too far to be drawn: leave",
        ),
        (ChartKind.LINE, ["9999-12-31"], [1], "the dates of 'x' reach too far to be drawn: leave"),
        (ChartKind.LINE, ["0001-01-01"], [1], "the dates of 'x' reach too far to be drawn: leave"),
    ],
)
def test_what_reaches_too_far_is_told(refused, kind, x, y, told):
    pytest.importorskip("matplotlib")
    assert refused(pd.DataFrame({"x": x, "y": y}), kind=kind).startswith(told)


def test_a_line_without_a_point_is_told(refused):
    pytest.importorskip("matplotlib")
    told = "no row has values of 'x' and of 'y', 'z': there is no line to draw"
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [None, float("nan")], "z": [None, None]}).astype("float64")
    assert refused(frame, kind=ChartKind.LINE, y=("y", "z")) == told
    apart = pd.DataFrame({"x": pd.to_datetime(["2025-01-01", None]), "y": [None, 1.0], "z": [None, 2.0]})
    assert refused(apart, kind=ChartKind.LINE, y=("y", "z")) == told


def test_what_cannot_be_drawn_is_told(refused):
    frame = pd.DataFrame(
        {"x": ["a", "b"], "y": [1, 2], "z": ["1", "many"], "d": pd.to_datetime(["2025-01-01"] * 2)}
    )
    assert refused(frame, x="no") == "the result has no column 'no', but the columns x, y, z, d"
    assert "'z' is no column of numbers" in refused(frame, y=("y", "z"))
    assert "'d' is no column of numbers" in refused(frame, y=("d",))
    assert refused(frame.head(0)) == "the result has no rows"
    assert "at most 60 points, the result has 61 rows" in refused(pd.DataFrame({"x": range(61), "y": 1}))
    many = pd.DataFrame({"x": range(20_001), "y": 1})
    assert "at most 20,000 points" in refused(many, kind=ChartKind.LINE)
    assert "at most 10 columns" in refused(frame, y=("y",) * 11)


def test_nothing_that_goes_wrong_is_raised():
    note = chart_note(None, Chart(kind=ChartKind.BAR, x="x", y=("y",)), "", folder="")
    assert note.startswith("There is no chart: AttributeError")


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "text", "chart"),
    [
        (
            StepKind.QUERY,
            "SELECT * FROM data",
            Chart(kind=ChartKind.LINE, x="day", y=("north", "south"), title="$5_^{"),
        ),
        (
            StepKind.SCRIPT,
            "import os\nos.mkdir('chart.png')\nresult = data",
            Chart(kind=ChartKind.BAR, x="day", y=("north", "south")),
        ),
    ],
)
def test_a_chart_lies_beside_the_result(bench, kind, text, chart):
    pytest.importorskip("matplotlib")
    outcome = bench.run(text, kind=kind, source=DAYS, chart=chart)
    assert (outcome.failure, outcome.note, outcome.output) == (None, "", "")
    picture = (bench.folder / f"run-{bench.count}" / outcome.chart_file).read_bytes()
    assert outcome.chart_file == "chart.png"
    assert outcome.chart_bytes == len(picture) < 100_000
    assert struct.unpack(">II", picture[16:24]) == (900, 450)


def test_a_run_without_a_chart_says_why(bench):
    outcome = bench.run("result = data", chart=Chart(kind=ChartKind.LINE, x="month", y=("amount",)))
    assert (outcome.failure, outcome.chart_file, outcome.result_file) == (None, None, "result.csv")
    assert outcome.note == "There is no chart: the result has no column 'month', but the columns category, amount."
    assert not Path(bench.folder, "run-1", "chart.png").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("left", "note"),
    [
        ("open(path, 'w').write('<svg/>')", "There is no chart: chart.png in the run's folder is no picture."),
        ("os.symlink('/etc/passwd', path)", "is no plain file."),
        ("open(path, 'wb').truncate(5 << 20)", "is larger than 4,194,304 bytes."),
    ],
)
def test_what_is_no_picture_is_no_chart(bench, left, note):
    pytest.importorskip("matplotlib")
    script = f"""
import os
from matplotlib.backends.backend_agg import FigureCanvasAgg
def leave(canvas, path):
    {left}
FigureCanvasAgg.print_png = leave
result = data
"""
    outcome = bench.run(
        script, allowed_imports=("matplotlib",), chart=Chart(kind=ChartKind.BAR, x="category", y=("amount",))
    )
    assert (outcome.failure, outcome.chart_file, outcome.chart_bytes) == (None, None, 0)
    assert outcome.note.startswith("There is no chart: ")
    assert outcome.note.endswith(note)


@pytest.mark.parametrize("kind", [ChartKind.LINE, ChartKind.BAR])
def test_numbers_too_near_to_0_are_told(refused, kind):
    pytest.importorskip("matplotlib")
    told = "the values of 'y' lie too near to 0 to be drawn, all below 1e-285: multiply them in the step"
    assert refused(pd.DataFrame({"x": ["a", "b"], "y": [1e-300, -3e-300]}), kind=kind) == told


@pytest.mark.parametrize("y", [[1e-284, 3e-284], [0.0, 0.0], [1e-300, 1.0], [1e-300, None, 1e-10]])
@pytest.mark.parametrize("kind", [ChartKind.LINE, ChartKind.BAR])
def test_small_numbers_are_drawn(drawn, kind, y):
    _low, high = drawn(kind, list("abc")[: len(y)], y, read=lambda axes: axes.get_ylim())
    largest = max(value or 0 for value in y)
    assert largest <= high <= (1.2 * largest or 1)


def test_letters_without_a_font_are_told(tmp_path, monkeypatch):
    """These two are of a script that nobody uses and of one that no font here has. To look for them, nothing is
    drawn twice."""
    agg = pytest.importorskip("matplotlib.backends.backend_agg")
    times, draw = [], agg.FigureCanvasAgg.draw
    monkeypatch.setattr(agg.FigureCanvasAgg, "draw", lambda canvas: times.append(draw(canvas)))
    with duckdb.connect(config={"threads": 1}) as connection:
        frame = pd.DataFrame({"x": ["\U000183a5", "b"], "y": [1, 2]})
        table = FrameContent(frame=frame).as_query(lambda: connection, timezone="UTC")
        chart = Chart(kind=ChartKind.BAR, x="x", y=("y",), title="é \U000183a6")
        note = chart_note(table, chart, str(tmp_path / "chart.png"), folder=str(tmp_path))
    assert note.startswith(
        "The chart has boxes in place of letters, as no font on the machine of the runner has \U000183a5 \U000183a6: "
    )
    assert len(times) == 1
