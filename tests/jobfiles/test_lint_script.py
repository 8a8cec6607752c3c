import ast
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.diagnostic import Severity
from runner.core.imports import import_allowed
from runner.core.references import RUN_FACTS
from runner.jobfiles.lint import script as lint_script
from runner.jobfiles.lint.script import find_script_faults
from runner.jobfiles.lint.script_code import is_plainly_good
from runner.jobfiles.wording.finding import ODD_BLANK_HINT


def rules(script, *allowed):
    return [fault.rule for fault in find_script_faults(script, allowed)]


@pytest.mark.parametrize(
    "script",
    [
        "result = data", "result: object = data", "x = result = data", "x, (result, y) = data, (1, 2)", "for result in [data]: pass",
        "with open('x') as result: pass", "import pandas as result", "from pandas import DataFrame as result", "from pandas import *",
        "def result(): pass", "class result: pass", "print(result := data)", "[result := x for x in data]",
        "if data.empty:\n  pass\n  result = 1\nelse:\n  result = data",
        "try:\n  result = 1\nexcept KeyError:\n  result = data", "while True:\n  result = data\n  break", "match data:\n  case result: pass", "exec('result = data')",
        "def f():\n  global result\n  result = data\nf()", "globals()['result'] = data", "\n".join(f"v{n} = {n}" for n in range(300)) + "\nresult = v1",
    ],
)  # fmt: skip
def test_every_way_to_assign_result(script):
    assert find_script_faults(script) == ()


@pytest.mark.parametrize(
    "script",
    [
        "results = data", "data.result = 1", "print(result)", "def f():\n  result = data",
        "class A:\n  result = data", "print(result=data)", "lambda: (result := data)", "# result = data", "'result = data'",
        "def f():\n  x = 1\n  def g():\n    nonlocal x\n    x = data", "", "if 0:\n  result = data",
        "\n".join(f"v{n} = {n}" for n in range(300)) + "\nresult",
    ],
)  # fmt: skip
def test_what_does_not_assign_result(script):
    assert rules(script) == ["script-no-result"]


@pytest.mark.parametrize(
    "script",
    ["result = (", "if x\n  y", "\tx = 1\n  y = 2", "result = '\0'", "-" * 30_000 + "1", "x" + ".a" * 15_000, "[" * 5000, "9" * 5000,
     "return 1", "result = \ud800", "f'{", "await x"],
)  # fmt: skip
def test_scripts_that_do_not_compile(script):
    assert rules(script) == ["script-syntax"]


NOTEBOOK = "Lines with % and ! are for notebooks: leave them out. Packages are installed beside the runner."


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python takes the same quotes from 3.12 on")
@pytest.mark.parametrize("script", ['result = f"{data["a"]}"', """result = f'{"a" if data else 'b'}'"""])
def test_the_same_quotes_within_an_f_string_are_told(script):
    (fault,) = find_script_faults(script)
    assert "write other quotes than those around it" in fault.hint


@pytest.mark.parametrize(
    ("script", "hint"),
    [
        ("return data", "A script gives back what it assigns: write result = in the place of return."),
        ("result\xa0= data", ODD_BLANK_HINT),
        ("result = data\u200b", ODD_BLANK_HINT),
        ("result = \u20ac", "Mend the script: it does not compile."),
        ("result = data[\u201camount\u201d]", "Write straight quotes: an editor for texts, or a chat, has made others of them."),
        ("x = 1\n%matplotlib inline", NOTEBOOK),
        ("!pip install lib\nresult = data", NOTEBOOK),
        ("SELECT * FROM data", "This looks like SQL: it stands under processing_query."),
        ("with a as (select 1)\nselect * from a", "This looks like SQL: it stands under processing_query."),
        ("WITH RECURSIVE a AS(SELECT 1) FROM a", "This looks like SQL: it stands under processing_query."),
        ("select = data['a'\nresult = data", "Mend the script: it does not compile."),
        ("with lock as held:\n    x =\nresult = data", "Mend the script: it does not compile."),
    ],
)  # fmt: skip
def test_what_to_do_about_a_script_that_does_not_compile(script, hint):
    (fault,) = find_script_faults(script)
    assert fault.hint == hint


# Each ends with `result` bound, whatever path it takes, or raises; or nobody can tell.
GOOD_PATHS = [
    "if data.empty:\n  raise ValueError('no rows')\nelse:\n  result = data",
    "if data.empty:\n  result = 1\nelif data.a:\n  result = 2\nelse:\n  result = 3",
    "import sys\nif data.empty:\n  sys.exit('no rows')\nresult = data",
    "import sys\nif data.empty:\n  result = data\nelse:\n  sys.exit(1)",
    "if data.empty:\n  exit()\nelse:\n  result = data",
    "def fail(text):\n  raise ValueError(text)\nif data.empty:\n  fail('none')\nelse:\n  result = data",
    "if data.empty:\n  assert False, 'no rows'\nelse:\n  result = data",
    "for x in data:\n  pass\nelse:\n  result = data",
    "for x in (1, 2):\n  result = x",
    "for n, x in enumerate(['a']):\n  result = x",
    "for x in range(3):\n  result = x",
    "while True:\n  try:\n    result = data.x()\n    break\n  except KeyError:\n    continue",
    "while True:\n  try:\n    break\n  finally:\n    result = data",
    "while 1:\n  if data.empty:\n    result = 1\n    break\n  result = 2\n  break",
    "while data.empty:\n  pass\nelse:\n  result = data",
    "try:\n  x = data.x()\nexcept KeyError as error:\n  raise ValueError('x') from error\nelse:\n  result = x",
    "try:\n  x = 1\nfinally:\n  result = data",
    "try:\n  result = data.x()\nexcept KeyError:\n  result = data\nfinally:\n  print('x')",
    "try:\n  result = data\n  print(1)\nexcept OSError:\n  pass",
    "try:\n  raise KeyError\nexcept KeyError:\n  result = data",
    "try:\n  result = data\nexcept* OSError:\n  raise",
    "from contextlib import suppress\nwith suppress(KeyError):\n  result = data",
    "match len(data):\n  case 0:\n    raise ValueError\n  case n if n > 5:\n    result = 1\n  case _:\n    result = data",
    "match len(data):\n  case 0 | _:\n    result = data",
    "match data.empty:\n  case True:\n    result = 1\n  case False:\n    result = 2",
    "match data:\n  case {'a': 1, **result}:\n    pass\n  case [*result]:\n    pass\n  case _ as result:\n    pass",
    "if __name__ == '__main__':\n  result = data",
    "if True:\n  result = data",
    "if not 0:\n  result = data",
    "if (result := data.head()) is None:\n  pass",
    "result = data\ndel data\nif result.empty:\n  del result['a']",
    "if data.empty:\n  result = data\nelse:\n  exec('result = 1')",
    "def main():\n  global result\n  if data.empty:\n    result = data\nmain()",
    "if data.empty:\n  result = 1\nif True:\n  result = 2",
    "raise SystemExit",
    "del data\nresult = 1",
]


@pytest.mark.parametrize("script", GOOD_PATHS)
def test_a_script_that_always_assigns_result_passes(script):
    assert find_script_faults(script) == () or rules(script) == ["script-no-result"]
    assert "script-result-not-always-assigned" not in rules(script)


@pytest.mark.parametrize(
    ("script", "line", "words"),
    [
        ("if data.empty:\n  result = data", 1, "condition is false"),
        ("x = 1\nif data.empty:\n  if x:\n    result = 1\nelse:\n  result = 2", 3, "condition is false"),
        ("if data.empty:\n  pass\nelse:\n  result = 2", 1, "one way"),
        ("if data.empty:\n  result = 1\nelif data.a:\n  result = 2", 3, "condition is false"),
        ("if data.empty:\n  result = 1\nif data.a:\n  result = 2", 3, "condition is false"),
        ("for x in data:\n  result = x", 1, "loop does not run"),
        ("for result in data:\n  pass", 1, "loop does not run"),
        ("for x in data:\n  if x:\n    result = x\n    break", 1, "loop does not run"),
        ("while len(data) > 5:\n  result = data", 1, "loop does not run"),
        ("while True:\n  if data.empty:\n    break\n  result = 1", 1, "way out of this loop"),
        ("for x in data:\n  if x:\n    break\nelse:\n  result = data", 1, "way out of this loop"),
        ("try:\n  result = data.x()\nexcept KeyError:\n  print('x')", 1, "exception is caught"),
        ("try:\n  x = data.x()\nexcept KeyError:\n  pass\nelse:\n  result = x", 1, "exception is caught"),
        ("match len(data):\n  case 0:\n    result = 1\n  case 1:\n    result = 2", 1, "case"),
        ("match len(data):\n  case n if n:\n    result = 1", 1, "case"),
        ("with open('x'):\n  if data.empty:\n    result = 1", 2, "condition is false"),
        ("result = data\ndel result", 2, "deleted"),
        ("result = data\nif data.empty:\n  del result", 3, "deleted"),
    ],
)
def test_a_script_that_can_end_without_result_is_told_where(script, line, words):
    (fault,) = find_script_faults(script)
    assert (fault.rule, fault.line) == ("script-result-not-always-assigned", line)
    assert words in fault.message
    assert "result = data.head(0)" in fault.hint


GOOD_NAMES = [
    "result = [x for x in data if x]", "result = {k: v for k, v in data.items()}", "result = list(map(lambda r: r + 1, data))",
    "def f(a, *b, c=1, **d):\n  return a, b, c, d, helper()\ndef helper():\n  return data\nresult = f(1)",
    "class A:\n  x = 1\n  y = x\n  def m(self):\n    return __class__\nresult = A().m()",
    "def f():\n  x = 1\n  def g():\n    nonlocal x\n    x = 2\n    return x\n  return g\nresult = f()",
    "def f():\n  global total\n  total = 1\nf()\nresult = total",
    "if (n := len(data)) > 1:\n  result = n\nelse:\n  result = n", "result = pd.DataFrame(np.zeros(3)).assign(d=run.scheduled_date)",
    "import os.path, json as j\nfrom math import pi as p\nresult = os.path.join('a', j.dumps(p))",
    "try:\n  import json\nexcept ImportError:\n  json = None\nresult = json", "try:\n  x\nexcept NameError:\n  x = 1\nresult = x",
    "match data:\n  case [first, *rest]:\n    result = first, rest\n  case {'a': a, **others}:\n    result = a, others\n  case _:\n    result = 0",
    "def f(x: 'Unknown' = 1) -> 'Missing':\n  y: Unseen = 1\n  return y\nresult = f()",
    "from pandas import *\nresult = DataFrame()", "exec('x = 1')\nresult = x", "globals()['x'] = 1\nresult = x", "import builtins\nbuiltins.x = 1\nresult = x",
    "for i in range(3):\n  if i:\n    print(seen)\n  seen = i\nresult = data", "try:\n  y = later\nexcept Exception:\n  later = 1\nresult = later",
    "def f():\n  return later\nlater = 1\nresult = f()", "x = 1\ndel x\nx = 2\nresult = x", "result = f'{len(data):>{3}} {data!r}'",
    "if False:\n  result = nothing\nresult = data", "result = __name__, __doc__", "while True:\n  x = 1\n  break\nresult = x",
    "result = [y for x in data for y in x]", "result = sorted(data, key=lambda r, k='a': r[k])", "result = (lambda: (z := 1))()",
    "with open('x') as f, f:\n  result = f.read()", "@staticmethod\ndef f(): pass\nresult = f", "x: int\nx = 1\nresult = x",
]  # fmt: skip


@pytest.mark.parametrize("script", GOOD_NAMES)
def test_a_name_that_may_be_bound_is_not_told(script):
    assert find_script_faults(script) == ()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("result = dta.sum()", [("dta", 1, 10)]),
        ("result = data\nprint(reslt, dat)", [("reslt", 2, 7), ("dat", 2, 14)]),
        ("def f(x):\n  return x + offset\nresult = f(data)", [("offset", 2, 14)]),
        ("result = data[data.apply(lambda r: r.a > limit)]", [("limit", 1, 42)]),
        ("result = [y for x in data]", [("y", 1, 11)]),
        ("class A:\n  x = missing\nresult = A", [("missing", 2, 7)]),
        ("class A:\n  x = 1\n  def m(self):\n    return x\nresult = A", [("x", 4, 12)]),
        ("result = 'größe', grösse", [("grösse", 1, 19)]),
        ("result = f'{dta}'", [("dta", 1, 13)]),
        ("def f():\n  x = 1\nf()\nresult = x", [("x", 4, 10)]),
        ("result = [x for x in data]\nprint(x)", [("x", 2, 7)]),
        ("print(x)\nx = 1\nresult = x", [("x", 1, 7)]),
        ("x += 1\nresult = x", [("x", 1, 1)]),
        ("print(result)\nresult = data", [("result", 1, 7)]),
        ("x = 1\ndel x\nresult = x", [("x", 3, 10)]),
        ("if data.empty:\n  print(x)\nx = 1\nresult = x", [("x", 2, 9)]),
        ("try:\n  print(1)\nexcept OSError as error:\n  print(error)\nresult = error", [("error", 5, 10)]),
        ("while x:\n  x = 1\nresult = data", [("x", 1, 7)]),
        ("result = json.dumps(data)", [("json", 1, 10)]),
        ("result = __file__", [("__file__", 1, 10)]),
    ],
)
def test_a_name_that_is_surely_undefined(script, found):
    faults = find_script_faults(script)
    assert {fault.rule for fault in faults} == {"undefined-name"}
    shown = [(script.split("\n")[f.line - 1][f.column - 1 : f.end_column - 1], f.line, f.column) for f in faults]
    assert sorted(shown) == sorted(found)


@pytest.mark.parametrize(
    ("script", "hint"),
    [
        ("result = dta", "Did you mean data?"),
        ("totals = 1\nresult = totls", "Did you mean totals?"),
        ("result = json.loads('1')", "Import it first: import json."),
        ("result = qqqq", "A script is given data"),
    ],
)
def test_the_hint_names_what_was_meant(script, hint):
    assert hint in find_script_faults(script)[0].hint


@pytest.mark.parametrize(
    ("script", "shown", "hint"),
    [
        ("result = run.sheduled_date", "run.sheduled_date", "Did you mean run.scheduled_date?"),
        ("result = data\nprint('ä', run.today)", "run.today", "Did you mean run.scheduled_date?"),
        ("def f():\n  return run.year\nresult = f()", "run.year", "Did you mean run.scheduled_year?"),
        ("result = f'{run.zzz}'", "run.zzz", "A run has job_name, run_id, attempt, scheduled_time,"),
    ],
)
def test_a_fact_that_no_run_has(script, shown, hint):
    (fault,) = find_script_faults(script)
    line = script.split("\n")[fault.line - 1]
    assert (fault.rule, line[fault.column - 1 : fault.end_column - 1]) == ("undefined-name", shown)
    assert fault.message == f"a run has no {shown.removeprefix('run.')}"
    assert fault.hint.startswith(hint)


@pytest.mark.parametrize(
    "script",
    [
        f"result = [{', '.join(f'run.{fact}' for fact in RUN_FACTS)}]",
        "import types\nrun = types.SimpleNamespace(x=1)\nresult = run.x",
        "def f(run):\n  return run.x\nresult = [f(one) for one in data]",
        "run.x = 1\nresult = run.x",
        "result = run.x if hasattr(run, 'x') else data",
        "try:\n  result = run.x\nexcept AttributeError:\n  result = data",
        "result = str(run.__dict__)",
        "result = data  # run.x",
        "result = data.run.x",
        "result = data\nif 0:\n  run.x",
    ],
)
def test_what_may_be_a_fact_is_not_told(script):
    assert find_script_faults(script) == ()


def test_a_source_may_be_called_run():
    assert find_script_faults("result = run.x", tables=("run", "other")) == ()


@pytest.mark.parametrize(
    "script",
    [
        "import os, sys, json, re, datetime, math, statistics, urllib.parse, concurrent.futures",
        "from urllib import parse",
        "from urllib.parse import quote",
        "from http import HTTPStatus",
        "from __future__ import annotations",
        "from concurrent.futures import ThreadPoolExecutor",
        "import pandas as pd, numpy as np, pyarrow.parquet, duckdb, dateutil.parser",
        "import importlib\nm = importlib.import_module('json')",
        "def f():\n  import math\n  return math.pi",
        "if False:\n  import subprocess",
    ],
)
def test_imports_that_are_allowed(script):
    assert find_script_faults(f"{script}\nresult = data") == ()


@pytest.mark.parametrize(
    ("script", "module", "column", "hint"),
    [
        ("import subprocess", "subprocess", 8, "processes"),
        ("import os, socket", "socket", 12, "data_source"),
        ("import requests", "requests", 8, "no network: declare the data under data_source or data_sources"),
        ("from urllib import request, parse", "urllib.request", 20, "network"),
        ("from urllib.request import urlopen", "urllib.request", 1, "network"),
        ("import urllib.request as u", "urllib.request", 8, "network"),
        ("from concurrent.futures import ProcessPoolExecutor", "concurrent.futures.ProcessPoolExecutor", 32, "processes"),
        ("import ctypes.util", "ctypes.util", 8, "into C"),
        ("import _socket", "_socket", 8, "public"),
        ("x = __import__('http.client')", "http.client", 16, "network"),
        ("import importlib\nx = importlib.import_module('asyncio')", "asyncio", 29, "network"),
        # It came with pandas before its release 3.
        ("import pytz", "pytz", 8, "zoneinfo"),
        ("import panda as pd", "panda", 8, "Did you mean pandas?"),
        ("def f():\n  import polars\n", "polars", 10, "allowed_imports"),
        ("from . import x", "package", 1, "Name the module"),
        ("from \\\n .pandas import x", "package", 1, "Name the module"),
    ],
)  # fmt: skip
def test_imports_that_are_not(script, module, column, hint):
    (fault,) = find_script_faults(f"{script}\nresult = data")
    assert (fault.rule, fault.column) == ("import-not-allowed", column)
    assert module in fault.message
    assert hint in fault.hint


def test_a_policy_adds_modules_and_what_is_in_them():
    script = "import polars.selectors\nfrom google.cloud import storage\nresult = data"
    assert rules(script) == ["import-not-allowed"] * 2
    assert rules(script, "polars", "google.cloud.storage") == []
    assert rules(script, "pol") == ["import-not-allowed"] * 2
    assert rules("import subprocess\nresult = data", "subprocess") == []


def test_findings_do_not_hide_each_other():
    script = "import socket\nif dta.empty:\n  result = summ(data)\nx = '${env:KEY}'"
    assert sorted(rules(script)) == [
        "bad-reference", "import-not-allowed", "script-result-not-always-assigned", "undefined-name", "undefined-name",
    ]  # fmt: skip


def test_a_reference_in_a_text_of_a_script_is_a_warning():
    script = "# ${env:A}\nresult = data.assign(a='x ${env:A}', b='${run:scheduled_date}', c='${HOME}')"
    faults = find_script_faults(script)
    line = script.split("\n")[1]
    assert [(f.rule, f.severity, f.line, f.column) for f in faults] == [
        ("bad-reference", Severity.WARNING, 2, line.index("${env") + 1),
        ("bad-reference", Severity.WARNING, 2, line.index("${run") + 1),
    ]
    assert "run.scheduled_date" in faults[1].hint


def test_a_doubtful_script_raises_no_warning(recwarn):
    assert find_script_faults("result = data is 1\nx = '\\d'\nfor a in data: pass\ntry: pass\nfinally: pass") == ()
    assert not recwarn.list


@pytest.mark.long
@given(st.text(max_size=80))
def test_any_script_gives_an_answer(script):
    assert all(fault.message for fault in find_script_faults(script))


@pytest.mark.parametrize(
    "script",
    [
        "\n".join(["if x == 0:", "  pass", *(f"elif x == {n}:\n  result = {n}" for n in range(400))]),
        "x = 1\n" + "\n".join(f"{' ' * n}if x:" for n in range(90)) + f"\n{' ' * 90}result = x",
        "result = " + "+".join(["missing"] * 900),
    ],
)
def test_large_scripts_are_checked_without_a_crash(script):
    assert find_script_faults(script)


NAMES = st.sampled_from(["data", "result", "x", "y", "len", "nope"])
EXPRESSIONS = st.recursive(
    NAMES | st.sampled_from(["1", "0", "True", "''", "()"]),
    lambda inner: (
        st.builds("({} + {})".format, inner, inner)
        | st.builds("({} if {} else {})".format, inner, inner, inner)
        | st.builds("({} and {})".format, inner, inner)
        | st.builds("[x for x in {} if {}]".format, inner, inner)
        | st.builds("(lambda y: {})".format, inner)
        | st.builds("(not {})".format, inner)
        | st.builds("(y := {})".format, inner)
    ),
    max_leaves=4,
)
SIMPLE = st.one_of(
    st.builds("{} = {}".format, NAMES, EXPRESSIONS),
    st.builds("print({})".format, EXPRESSIONS),
    st.builds("assert {}, {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("{} += 1".format, NAMES),
    st.builds("del {}".format, NAMES),
    st.sampled_from(
        ["pass", "import json", "import socket", "from math import pi as x", "raise ValueError", "exit()"]
    ),
)


def block(statements):
    return "\n".join(f"  {line}" for statement in statements for line in statement.split("\n"))


def compound(inner):
    body = st.lists(inner, min_size=1, max_size=2).map(block)
    return st.one_of(
        st.builds("if {}:\n{}".format, EXPRESSIONS, body),
        st.builds("if {}:\n{}\nelse:\n{}".format, EXPRESSIONS, body, body),
        st.builds("for x in {}:\n{}".format, EXPRESSIONS, body),
        st.builds("for x in {}:\n{}\n  if {}: break\nelse:\n{}".format, EXPRESSIONS, body, EXPRESSIONS, body),
        st.builds("while {}:\n{}\n  break".format, EXPRESSIONS, body),
        st.builds("try:\n{}\nexcept OSError as y:\n{}".format, body, body),
        st.builds("try:\n{}\nfinally:\n{}".format, body, body),
        st.builds("with {} as y:\n{}".format, EXPRESSIONS, body),
        st.builds("def x(y):\n{}\n  return {}".format, body, EXPRESSIONS),
        st.builds("match {}:\n  case [y]:\n    pass\n  case _:\n{}".format, EXPRESSIONS, body.map(lambda b: b.replace("\n", "\n  ").replace("  ", "    ", 1))),
    )  # fmt: skip


SCRIPTS = st.lists(st.recursive(SIMPLE, compound, max_leaves=3), min_size=1, max_size=4).map("\n".join)


def compiled(script):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return compile(script, "s", "exec"), ast.parse(script)
        except SyntaxError:
            return None, None


@pytest.mark.long
@given(SCRIPTS)
def test_what_the_byte_code_passes_the_syntax_tree_passes_too(script):
    code, _ = compiled(script)
    if code is not None and is_plainly_good(code, import_allowed):
        assert list(lint_script._look_closely(script, code, (), ("data",))) == []


@pytest.mark.long
@given(SCRIPTS)
def test_a_script_that_ends_well_when_it_is_run_has_no_undefined_name_on_its_straight_line(script):
    """A fault that is told of a script without branches is met when the script is run."""
    code, tree = compiled(script)
    branches = ast.stmt | ast.match_case
    if code is None or any(isinstance(node, branches) and hasattr(node, "body") for node in ast.walk(tree)):
        return
    names = {"data": [1], "__name__": "__main__", "run": None, "pd": None, "np": None}
    try:
        exec(code, names)
    except NameError:
        return
    except BaseException:  # noqa: BLE001
        return
    bad = {"script-no-result", "script-result-not-always-assigned"}
    if "result" in names:
        assert bad.isdisjoint(rules(script))
    else:
        assert not bad.isdisjoint(rules(script))


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("data['a'][data['b'] > 1] = 0", "data['a']"),
        ("data['a'][0] += 1", "data['a']"),
        ("data[data['a'] == 1]['b'] = data['c']", "data[data['a'] == 1]"),
        ("data.loc[data['a'] > 1]['b'] = 0", "data.loc[data['a'] > 1]"),
        ("data['a'].loc[0] = 1", "data['a']"),
        ("data['a'].fillna(0, inplace=True)", "data['a']"),
        ("if True:\n  data['ü'].replace({1: 2}, inplace=True)", "data['ü']"),
        ("def f():\n  data['a'][0] = 1", "data['a']"),
        ("stock['a'][0] = 1", "stock['a']"),
        ("data.iloc[0]['a'] = 1", "data.iloc[0]"),
        ("data.loc[data['a'] > 1, 'a'].fillna(0, inplace=True)", "data.loc[data['a'] > 1, 'a']"),
        ("data['a'].sort_values(inplace=True)", "data['a']"),
    ],
)
def test_what_is_written_to_a_part_of_a_source_is_lost(line, part):
    (fault,) = find_script_faults(f"{line}\nresult = data", tables=("data", "stock"))
    assert (fault.rule, fault.severity) == ("script-lost-write", Severity.WARNING)
    written = f"{line}\n".split("\n")[fault.line - 1]
    assert written[fault.column - 1 : fault.end_column - 1] == part


@pytest.mark.parametrize(
    "line",
    [
        "data.loc[0, 'a'] = 1",
        "data['a'] = data['a'].fillna(0)",
        "data.fillna(0, inplace=True)",
        "data['a'].fillna(0, inplace=False)",
        "column = data['a']\ncolumn[0] = 1",
        "print(data['a'][0] == 1)",
        # The list or object in a cell is no copy.
        "data.at[0, 'address']['city'] = 'Bonn'",
        "data.loc[0, 'tags'][0] = 'new'",
        "data.iloc[0, 1]['city'] += 'x'",
        # What a script binds itself may be anything.
        "data = {'a': {}}\ndata['a']['b'] = 1",
        "def f(data):\n  data['a']['b'] = 1",
        "counts = {'a': {}}\ncounts['a']['b'] = 1",
        "globals()['data'] = {'a': {}}\ndata['a']['b'] = 1",
    ],
)
def test_what_is_written_elsewhere_is_kept(line):
    assert find_script_faults(f"{line}\nresult = data") == ()
