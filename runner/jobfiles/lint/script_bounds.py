"""Python text → whether it is small enough to be compiled at all: nothing holds Python up once it compiles.

A script in a job file has at most 64 KiB; one in a file of its own, what a file may have.
"""

import re
import unicodedata

from runner.jobfiles.lint.step_fault import StepFault

# Words, signs and lines. 40,000 are about 90 KiB of Python, and compile in 50 ms however they are put together.
MOST_WORDS = 40_000
_WORD = re.compile(r"\w+|[^\w\s]|\n")
# As in Unicode's Stream-Safe Text Format (UAX 15): the time to bring marks into order grows with their square.
_MOST_MARKS = 30
# Python joins the parts of `import a.b.c` one by one, and keeps every step.
_MOST_PARTS = 200
_LONG_IMPORT = re.compile(rf"(?:\b(?:import|from)\b|,)[\s\\.]*+(?:\w++[\s\\]*+\.[\s\\]*+){{{_MOST_PARTS}}}")
# A shorter text can only be heavy by `finally` and by sums of constants.
_SHORT = 4096
# What Python makes of a constant text or tuple times a number is no longer than this.
LONGEST_REPEATED = 4096
SCOPE = re.compile(r"\b(?:def|class|lambda|for)\b")
_EXIT = re.compile(r"\b(?:return|break|continue)\b")
TOO_DEEP = StepFault(
    rule="script-syntax", message="the script is nested too deeply to be compiled", hint="Split it."
)
_TOO_HEAVY = {
    "copies": ("what stands in finally would be compiled too many times", "Put it into a function."),
    "sums": ("a sum of constants is too long to be worked out", "Use join, or multiply."),
    "patterns": ("a case binds too many names", "Bind the whole of it, and take it apart in the block."),
    "keywords": ("a call has too many named arguments", "Pass them as a dict: **arguments."),
    "scopes": ("too many names and functions stand in one function", "Split it."),
}


def find_excess(text: str) -> StepFault | None:
    """Why a script is not compiled: rules `too-long` and `script-syntax`. None for all that people write.

    Takes about 1 µs for a short script.
    """
    if len(text) > MOST_WORDS:
        words = count_words(text)
        if words > MOST_WORDS:
            message = f"the script has {words} words, signs and lines, at most {MOST_WORDS} are taken"
            return StepFault(
                rule="too-long", message=message, hint="Keep tables in a data file, code in a module."
            )
    if not text.isascii() and _has_many_marks(text):
        message = f"more than {_MOST_MARKS} combining marks stand in a row"
        return StepFault(rule="script-syntax", message=message, hint="Remove them.")
    if text.count(".") > _MOST_PARTS and _LONG_IMPORT.search(text) is not None:
        message = f"an import names a module of more than {_MOST_PARTS} parts"
        return StepFault(rule="script-syntax", message=message, hint="Name one that there is.")
    suspicions = _suspicions(text)
    return _find_weight(text, suspicions) if suspicions else None


def count_words(text: str) -> int:
    """The words, signs and lines of a text: what the time to look at it grows with."""
    return len(_WORD.findall(text))


def _suspicions(text: str) -> list[str]:
    """What in a script can be heavy, by a look at the text alone: nothing in nearly all."""
    found = ["copies"] if "finally" in text else []
    if text.count("+") * (LONGEST_REPEATED * text.count("*") + len(text)) > 16_000_000:
        found.append("sums")
    if len(text) <= _SHORT:
        return found
    if "match" in text and "case" in text:
        found.append("patterns")
    if "(" in text and text.count("=") - 2 * text.count("==") > 3_000:
        found.append("keywords")
    if len(SCOPE.findall(text)) * len(text) > 12_000_000:
        found.append("scopes")
    if "with" in text and len(_EXIT.findall(text)) > 500:
        found.append("copies")
    return found


def _find_weight(text: str, suspicions: list[str]) -> StepFault | None:
    import ast
    import warnings

    from runner.jobfiles.lint.script_weight import WEIGHTS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None  # the compiler will say why
    except (RecursionError, MemoryError):
        return TOO_DEEP
    message, hint = next((_TOO_HEAVY[name] for name in suspicions if WEIGHTS[name](tree, text)), ("", ""))
    return StepFault(rule="script-syntax", message=message, hint=hint) if message else None


def _has_many_marks(text: str) -> bool:
    marks = "".join(character for character in set(text) if unicodedata.combining(character))
    return bool(marks) and re.search(f"[{marks}]{{{_MOST_MARKS + 1}}}", text) is not None
