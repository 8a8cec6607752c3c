import sysconfig
import warnings
from pathlib import Path

import pytest

from runner.jobfiles.lint import script_events
from runner.jobfiles.lint.script_code import all_codes
from runner.jobfiles.lint.script_events import Deed, can_bind, name_events

LIBRARY = Path(sysconfig.get_paths()["stdlib"])


@pytest.mark.parametrize(
    "name", ["argparse.py", "typing.py", "datetime.py", "inspect.py", "tarfile.py", "opcode.py"]
)
def test_it_reads_what_dis_reads(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile((LIBRARY / name).read_text("utf-8"), name, "exec")
    for inner in all_codes(code):
        assert list(name_events(inner)) == list(script_events._ask_dis(inner))


@pytest.mark.long
def test_names_beyond_the_256th():
    code = compile("\n".join(f"a{n} = b{n}" for n in range(40_000)), "x", "exec")
    found = list(name_events(code))
    assert [one.name for one in found[-2:]] == ["b39999", "a39999"]
    assert found[-1].deed is Deed.STORE
    assert found[-1].place == (40_000, 0)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("result = 1", True),
        ("def f():\n  global result\n  result = 1", False),
        ("print(result)", False),
        ("from math import *", True),
        ("x.result = 1", False),
    ],
)
def test_what_a_module_binds(script, answer):
    assert can_bind(compile(script, "x", "exec"), "result") is answer
