import ast
import sysconfig
from pathlib import Path

import pytest

from runner.jobfiles.lint.script import find_script_faults
from runner.jobfiles.lint.script_bounds import MOST_WORDS, count_words, find_excess
from runner.jobfiles.lint.script_weight import WEIGHTS

LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def nested_finally(depth):
    lines = [f"{' ' * n}try:\n{' ' * n} pass\n{' ' * n}finally:" for n in range(depth)]
    return "\n".join([*lines, " " * depth + "result = 1"])


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (nested_finally(16), "finally"),
        (
            "while a:\n try:\n  " + "\n  ".join(["if a: continue"] * 300) + "\n finally:\n  " + "f;" * 300,
            "finally",
        ),
        ("def f():\n with " + ",".join("b" * 19) + ":\n  " + "return;" * 8_000, "finally"),
        ("x = " + "+".join(["'a'*4000"] * 300), "sum"),
        ("x = " + "+".join(["(1, 2) * 120"] * 600), "sum"),
        ("match x:\n case {" + ",".join(f"{n}: a{n}" for n in range(600)) + "}: pass", "case"),
        ("f(" + ",".join(f"a{n}=1" for n in range(3_200)) + ")", "arguments"),
        (
            "def f():\n " + ";".join(f"a{n}=1" for n in range(1_600)) + "\n x=[" + "lambda:0," * 1_600 + "]",
            "functions",
        ),
        ("global " + ",".join(f"a{n}" for n in range(1_600)) + "\nx=[" + "lambda:0," * 1_600 + "]", "functions"),
        ("x = a" + "\u0315\u0316" * 16, "marks"),
        ("import " + ".".join("a" * 300), "parts"),
        ("import a, \\\n" + " . ".join("a" * 300), "parts"),
        ("x = 1\n" * (MOST_WORDS // 4 + 1), "words"),
    ],
)
def test_what_is_not_compiled(cpu_seconds, script, word):
    (fault,), seconds = cpu_seconds(find_script_faults, script)
    assert seconds < 1
    assert word in fault.message
    assert fault.hint
    assert fault.rule == ("too-long" if word == "words" else "script-syntax")


@pytest.mark.parametrize(
    "script",
    [
        nested_finally(6),
        "\n".join("try:\n  result = 1\nfinally:\n  print(1)" for _ in range(200)),
        "def f():\n  while a:\n    try:\n      if b: return 1\n      continue\n    finally:\n      close()\n",
        "x = " + " + ".join(["'text'"] * 400),
        "x = a * 4000" + " + b * 4000" * 500,
        "match x:\n" + "\n".join(f"  case [{n}, a, *b]: pass" for n in range(400)),
        "a = {" + ", ".join(f"'k{n}': dict(a=1, b=2)" for n in range(900)) + "}",
        "\n".join(f"def f{n}(a, b):\n  return [c for c in a if c != b]" for n in range(700)),
        "\n".join(f"a{n} = dict(b={n})" for n in range(2_500)),
        "x = '" + "é" * 5_000 + "'",
        "x = a" + ".b" * 300,
        "from a.b.c import d\n" * 300,
        "x = ",
    ],
)
def test_what_people_write_is_compiled(script):
    assert find_excess(script) is None


@pytest.mark.long
def test_real_modules_are_light():
    """The two largest modules of Python itself that are short enough for a script."""
    texts = [path.read_text("utf-8") for path in LIBRARY.glob("*.py")]
    largest = sorted((text for text in texts if count_words(text) <= MOST_WORDS), key=len)[-2:]
    for text in largest:
        assert find_excess(text) is None
        tree = ast.parse(text)
        assert not [name for name, weighs_too_much in WEIGHTS.items() if weighs_too_much(tree, text)]


def test_a_long_script_is_not_looked_at_closely():
    short, long = ("unknown\n" + "x = 1\n" * count for count in (100, 2_000))
    assert [fault.rule for fault in find_script_faults(short)] == ["undefined-name", "script-no-result"]
    assert [fault.rule for fault in find_script_faults(long)] == ["script-no-result"]
    assert find_script_faults(long + "result = x\n") == ()
    assert find_script_faults(long + "exec('result = 1')\n") == ()
    assert [fault.rule for fault in find_script_faults(long + "(")] == ["script-syntax"]


def test_twenty_findings_of_a_kind_are_told_in_the_order_of_lines():
    script = "\n".join([*(f"wrong_{n}" for n in range(30)), *(f"import wrong_{n}" for n in range(30))])
    faults = find_script_faults(script)
    undefined = [fault.line for fault in faults if fault.rule == "undefined-name"]
    imports = [fault.line for fault in faults if fault.rule == "import-not-allowed"]
    assert undefined == list(range(1, 21))
    assert imports == list(range(31, 51))
    assert faults[-1].rule == "script-no-result"


def test_the_first_look_takes_next_to_nothing(lines_run):
    script = "kept = data[data['amount'] > 0]\nresult = kept.groupby('category').sum()\n"
    assert lines_run(find_excess, script)[1] < 30
