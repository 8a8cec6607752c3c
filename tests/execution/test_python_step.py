from runner.core.run import FailureKind

JOB_PATH = "jobs.d/sales.yaml"


def test_a_script_gets_data_and_leaves_result(bench):
    assert bench.csv("result = data[data['amount'] > 1]") == "category,amount\nb,2\na,3\n"


def test_the_keys_of_a_group_are_columns(bench):
    assert bench.csv('result = data.groupby("category").sum()') == "category,amount\na,4\nb,2\n"


def test_the_run_and_the_usual_names_are_there(bench):
    text = """
import datetime
assert run.scheduled_time.utcoffset() == datetime.timedelta(hours=1), run.scheduled_time
result = pd.DataFrame({"n": [run.job_name], "a": [run.attempt + 1], "d": [run.scheduled_date], "x": [np.int64(1)]})
"""
    assert bench.csv(text) == "n,a,d,x\nsales,3,2025-11-09,1\n"


def test_a_local_clock_is_that_of_the_job(bench):
    assert bench.csv("import time\nresult = time.tzname[0]") == "result\nCET\n"


def test_other_results_are_helped_along(bench):
    assert bench.csv("result = data.groupby('category')['amount'].sum()") == "category,amount\na,4\nb,2\n"
    assert bench.csv("result = data['amount'].sum()") == "result\n6\n"
    assert bench.csv("result = data.describe()['amount'].head(1)") == "index,amount\ncount,3.0\n"
    assert bench.csv("result = data['category'].value_counts()") == "category,count\na,2\nb,1\n"
    assert bench.csv("result = data['category'].unique()") in {"result\na\nb\n", "result\nb\na\n"}
    assert (
        bench.csv("result = data.groupby('category').agg({'amount': ['sum', 'max']})")
        == "category,amount_sum,amount_max\na,4,3\nb,2,2\n"
    )


def test_a_key_that_is_a_column_too_stands_once(bench):
    assert bench.csv("result = data.set_index('category', drop=False)").splitlines()[0] == "category,amount"


def test_an_empty_result_has_its_header(bench):
    outcome = bench.run("result = data[data['amount'] > 99]")
    assert (outcome.rows_in, outcome.rows_out, outcome.preview.rows) == (3, 0, ())
    assert outcome.preview.columns == ("category", "amount")


def test_a_missing_result_is_told(bench):
    failure = bench.failure("x = 1")
    assert failure.kind is FailureKind.RESULT
    assert "result = " in failure.hint
    assert "dict" in bench.failure("result = {}").message
    assert "None" in bench.failure("result = None").message


def test_columns_of_one_name_are_refused(bench):
    failure = bench.failure("result = pd.concat([data, data], axis=1)")
    assert failure.kind is FailureKind.RESULT
    assert "'amount', 'category'" in failure.message


def test_a_traceback_is_that_of_the_script(bench):
    text = "def share(frame, column):\n    return frame[column] / 2\n\nresult = share(data, 'revenue')\n"
    failure = bench.failure(text)
    assert failure.kind is FailureKind.SCRIPT
    assert failure.message == f"KeyError: 'revenue' ({JOB_PATH}, line 11)"
    assert failure.hint == "`data` has the columns category, amount."
    assert failure.traceback.splitlines() == [
        "Traceback (most recent call last):",
        f'  File "{JOB_PATH}", line 13, in <module>',
        "    result = share(data, 'revenue')",
        *[line for line in failure.traceback.splitlines() if set(line) <= set(" ^~") and line.strip()][:1],
        f'  File "{JOB_PATH}", line 11, in share',
        "    return frame[column] / 2",
        *[line for line in failure.traceback.splitlines() if set(line) <= set(" ^~") and line.strip()][1:],
        "KeyError: 'revenue'",
    ]


def test_chains_of_the_script_are_kept(bench):
    text = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('no share') from error"
    failure = bench.failure(text)
    assert "line 11, in <module>" in failure.traceback
    assert "direct cause" in failure.traceback
    assert failure.message == f"ValueError: no share ({JOB_PATH}, line 13)"


def test_a_syntax_error_has_its_place(bench):
    failure = bench.failure("x = 1\ndef f(:\n    pass")
    assert failure.message == f"SyntaxError: invalid syntax ({JOB_PATH}, line 11)"
    assert "def f(:" in failure.traceback
    assert "runner" not in failure.traceback


def test_leaving_early_is_a_failure(bench):
    failure = bench.failure("import sys\nsys.exit(3)")
    assert failure.message == f"the script called sys.exit(3) ({JOB_PATH}, line 11)"
    assert bench.failure("raise KeyboardInterrupt").kind is FailureKind.SCRIPT
    assert "code 7" in bench.failure("import os\nprint('x')\nos._exit(7)").message


def test_a_deep_recursion_is_shown_by_its_ends(bench):
    failure = bench.failure("def f(n):\n    return f(n + 1)\nf(0)")
    assert failure.message.startswith("RecursionError")
    assert len(failure.traceback) < 20_000


def test_errors_that_cannot_be_shown_are_told_anyway(bench):
    text = "class E(Exception):\n    def __str__(self): raise ValueError('no')\nraise E()"
    assert "E: <exception str() failed>" in bench.failure(text).message


def test_a_result_whose_cells_cannot_be_shown_is_a_failure(bench):
    text = "class Cell:\n    def __str__(self): raise ValueError('no text')\nresult = pd.DataFrame({'a': [Cell(), Cell()]})"
    failure = bench.failure(text)
    assert failure.kind is FailureKind.RESULT
    assert "no text" in failure.message


def test_what_a_script_prints_is_kept(bench):
    outcome = bench.run(
        "import os, sys\nprint('out')\nprint('err', file=sys.stderr)\nos.write(1, b'raw\\n')\n1 / 0"
    )
    assert outcome.output.splitlines() == ["out", "err", "raw"]


def test_warnings_of_libraries_are_kept_too(bench):
    outcome = bench.run("import warnings\nwarnings.warn('careful')\nresult = data")
    assert "careful" in outcome.output
    assert outcome.failure is None


def test_a_script_has_temporary_files(bench):
    text = "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')\nopen('own.txt', 'w').close()\nresult = data"
    assert bench.csv(text).startswith("category")


def test_the_input_is_named_when_it_cannot_be_read(bench):
    failure = bench.failure("result = data", source="")
    assert failure.kind is FailureKind.FETCH
    assert "empty" in failure.message
    assert bench.failure("result = data", source=b"a,b\n\xff\xfe,1\n").kind is FailureKind.FETCH
    assert bench.failure("result = data", source='a\n"x\n1,2,3').kind is FailureKind.FETCH
