import textwrap

import pytest

from runner.execution.crashes import line_of_crash, own_words

TOLD = """\
Fatal Python error: Segmentation fault

Current thread 0x00007f0b9ff04180 (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "jobs.d/ums\\xe4tze.yaml", line 12 in look
  File "jobs.d/ums\\xe4tze.yaml", line 14 in <module>

Extension modules: numpy._core._multiarray_umath (total: 1)
"""


def test_what_python_tells_of_a_crash_is_no_word_of_the_script():
    assert own_words(f"before\n{TOLD}{TOLD}") == "before\n"
    own = "Fatal Python error: none_dealloc: deallocating None\n"
    assert own_words(own) == own


@pytest.mark.parametrize(("path", "line"), [("jobs.d/umsätze.yaml", 12), ("jobs.d/other.yaml", None)])
def test_the_line_is_the_last_one_of_the_script(path, line):
    printed = '  File "jobs.d/other.yaml", line 3 in own\n'
    assert line_of_crash(printed + TOLD, path) == line


def test_a_step_names_the_line_where_it_crashed_and_keeps_what_it_printed(bench):
    text = """
    import ctypes
    def look(address):
        return ctypes.string_at(address)
    print("before")
    result = look(0)
    """
    outcome = bench.run(textwrap.dedent(text).strip(), allowed_imports=("ctypes",), first_line=10)
    assert outcome.failure.message.endswith("(SIGSEGV) (jobs.d/sales.yaml, line 12)")
    assert outcome.output == "before\n"
