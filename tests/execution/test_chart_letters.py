from pathlib import Path

import pytest

from runner.execution.steps.chart_letters import lend_letters

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.font_manager import fontManager  # noqa: E402

# Letters of a script that nobody uses, which no font here has.
ONE, OTHER = "\U000183a5", "\U000183a6"
FONTS = Path("/usr/share/fonts")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Have matplotlib know a font that has letters."""
    builder = pytest.importorskip("fontTools.fontBuilder")
    pens = pytest.importorskip("fontTools.pens.ttGlyphPen")
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))

    def run(family, letters):
        pen = pens.TTGlyphPen(None)
        pen.moveTo((0, 0))
        for corner in ((0, 500), (500, 500), (500, 0)):
            pen.lineTo(corner)
        pen.closePath()
        glyphs = {".notdef": pens.TTGlyphPen(None).glyph(), "square": pen.glyph()}
        font = builder.FontBuilder(unitsPerEm=1000, isTTF=True)
        font.setupGlyphOrder(list(glyphs))
        font.setupCharacterMap({ord(letter): "square" for letter in letters})
        font.setupGlyf(glyphs)
        font.setupHorizontalMetrics(dict.fromkeys(glyphs, (600, 0)))
        font.setupHorizontalHeader(ascent=800, descent=-200)
        font.setupNameTable({"familyName": family, "styleName": "Regular"})
        font.setupOS2()
        font.setupPost()
        path = tmp_path / f"{family}.ttf"
        font.save(path)
        fontManager.addfont(path)

    return run


def lent(*words):
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure = Figure()
        texts = [figure.text(0, 0, word) for word in words]
        missing = lend_letters(texts)
        return [text.get_fontfamily() for text in texts], missing


def test_letters_come_from_the_fonts_that_have_most_of_them(install):
    install("A Few", ONE)
    install("All", ONE + OTHER)
    assert lent(f"sales {ONE}", "été", f"{OTHER}{ONE}") == (
        [["DejaVu Sans", "All"], ["DejaVu Sans"], ["DejaVu Sans", "All"]],
        set(),
    )


def test_what_no_font_has_is_told(install):
    install("A Few", ONE)
    # A joiner has no picture of its own.
    assert lent(f"{ONE}\u200d{OTHER}") == ([["DejaVu Sans", "A Few"]], {OTHER})
    assert lent(OTHER) == ([["DejaVu Sans"]], {OTHER})


def test_a_font_of_last_resort_has_boxes_alone(install):
    install("Last Resort", ONE)
    assert lent(ONE) == ([["DejaVu Sans"]], {ONE})


@pytest.mark.skipif(not list(FONTS.rglob("*.ttf")), reason="no fonts are installed")
def test_the_sandbox_lets_a_chart_have_the_fonts_of_the_machine(bench):
    script = """
from matplotlib.font_manager import fontManager
result = any(font.fname.startswith("/usr/share/fonts/") for font in fontManager.ttflist)
"""
    assert bench.csv(script, allowed_imports=("matplotlib",)) == "result\nTrue\n"
