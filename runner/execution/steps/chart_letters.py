"""Letters of a chart that the font of matplotlib lacks, as it does Chinese, Japanese and Korean ones and most
emoji, and the fonts of this machine that have them."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any


def lend_letters(texts: Iterable[Any]) -> set[str]:
    """Give texts of matplotlib other fonts of this machine beside their own, for the letters that it lacks; what
    no font has is drawn as boxes, and answered."""
    lacking = {text: found for text in texts if (found := _lacking(text))}
    missing = set().union(*lacking.values())
    fonts = _fonts_with(missing) if missing else []
    families: list[str] = []
    while fonts:
        family, had = max(fonts, key=lambda font: len(font[1] & missing))
        if not had & missing:
            break
        missing -= had
        families.append(family)
    for text in lacking:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    return missing


def _lacking(text: Any) -> set[str]:
    """The letters of a text that its font has no picture of."""
    letters = {letter for letter in text.get_text() if not letter.isascii() and letter.isprintable()}
    if not letters:
        return letters
    manager = import_module("matplotlib.font_manager")
    return letters - _had(manager.get_font(manager.findfont(text.get_fontproperties())), letters)


def _fonts_with(letters: set[str]) -> list[tuple[str, set[str]]]:
    """The families of other fonts that have some of these letters, each with those; of usual weight first."""
    found = []
    own = import_module("matplotlib").rcParams["font.family"]
    known = import_module("matplotlib.font_manager").fontManager.ttflist
    for path in dict.fromkeys(one.fname for one in sorted(known, key=lambda one: one.weight != 400)):
        font = import_module("matplotlib.ft2font").FT2Font(path)
        # A font of last resort has boxes for all letters.
        if font.family_name not in own and "last resort" not in font.family_name.lower():
            found.append((font.family_name, _had(font, letters)))
    return found


def _had(font: Any, letters: set[str]) -> set[str]:
    return {letter for letter in letters if font.get_char_index(ord(letter))}
