from datetime import UTC, datetime

import pytest

from runner.core.job import StepKind
from runner.core.references import RUN_FACTS
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepInput

JOB_PATH = "jobs.d/sales.yaml"
NETWORK = "A script has no network: declare the address under `data_source` or `data_sources`."
FOLDER = (
    "A script works in a folder of its own: declare a file that it reads under `data_source` or `data_sources`."
)


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


def test_a_script_has_every_fact_of_its_run(bench):
    names = ", ".join(f"type(run.{fact}).__name__" for fact in RUN_FACTS)
    rows = bench.csv(f"result = [{names}]").splitlines()[1:]
    assert dict(zip(RUN_FACTS, rows, strict=True)) == {
        **dict.fromkeys(RUN_FACTS, "datetime"),
        **dict.fromkeys(("job_name", "run_id"), "str"),
        **dict.fromkeys(("attempt", "scheduled_year", "scheduled_month", "scheduled_day"), "int"),
        "scheduled_date": "date",
        "cursor": "NoneType",
    }
    assert (
        bench.csv("result = [run.scheduled_year, run.scheduled_month, run.scheduled_day]")
        == "result\n2025\n11\n9\n"
    )


def test_the_interval_and_the_cursor_are_there(bench):
    text = """
hours = (run.data_interval_end - run.data_interval_start).total_seconds() / 3600
result = {"hours": hours, "end": run.data_interval_end == run.scheduled_time, "zone": str(run.data_interval_start.tzinfo),
          "cursor": run.cursor + 1}
"""
    start = datetime(2025, 11, 8, 13, tzinfo=UTC)
    assert bench.csv(text, interval_start=start, cursor=6) == "hours,end,zone,cursor\n24.0,True,Europe/Berlin,7\n"
    assert bench.csv("result = str(run.cursor)") == "result\nNone\n"


MANY_THREADS = """
import threading
stop = threading.Event()
try:
    for n in range(400):
        threading.Thread(target=stop.wait).start()
finally:
    stop.set()
"""


@pytest.mark.parametrize(
    ("text", "module", "hint"),
    [
        ("import os, socket", "socket", "A script has no network: declare the data under"),
        ("import requests", "requests", "A script has no network: declare the data under"),
        ("from urllib import parse, request", "urllib.request", "A script has no network"),
        ("import importlib\nimportlib.import_module('ctypes')", "ctypes", "A script cannot call into C"),
        ("__import__('ssl', fromlist=['socket'])", "ssl", "A script has no network"),
        ("__import__('subprocess', fromlist=[])", "subprocess", "A script cannot start processes"),
        ("__import__('subprocess')", "subprocess", "A script cannot start processes"),
        ("import pytz", "pytz", "Use zoneinfo of the standard library; or add it to allowed_imports"),
        ("exec('import _socket')", "_socket", "Import the public module instead."),
        ("def f():\n    import yaml\nf()", "yaml", "add it to allowed_imports in jobs.d/_policy.yaml"),
        ("def f():\n    import yaml\nf()", "yaml", "Files beside a script are no part of it."),
    ],
)
def test_an_import_that_is_not_allowed_is_explained(bench, text, module, hint):
    failure = bench.failure(text)
    assert failure.kind is FailureKind.SCRIPT
    assert f"scripts may not import {module} ({JOB_PATH}, line 1" in failure.message
    assert hint in failure.hint
    assert ("allowed_imports" in failure.hint) == (module in {"yaml", "pytz"})
    assert "guarded" not in failure.traceback


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("pd.read_csv('http://127.0.0.1:9/a.csv')", NETWORK),
        ("pd.read_json('http://runner.invalid/a.json')", NETWORK),
        ("import requests\nrequests.get('http://127.0.0.1:9/')", NETWORK),
        ("import socket\nsocket.socket()", NETWORK),
        ("import asyncio\nasync def one(): pass\nasyncio.run(one())", "concurrent.futures.ThreadPoolExecutor"),
        ("data.to_csv('/home/nowhere/a.csv')", "other processes and the network are closed"),
        ("import duckdb\nduckdb.sql(\"SELECT * FROM 'http://127.0.0.1:9/a.csv'\")", NETWORK),
        ("import duckdb\nduckdb.sql('INSTALL spatial')", NETWORK),
        ("try:\n    pd.read_csv('http://127.0.0.1:9/')\nexcept OSError as error:\n    raise ValueError('a') from error", NETWORK),
        ("pd.read_csv('data/a.csv')", FOLDER),
        ("pd.read_parquet('a.parquet')", FOLDER),
        ("import duckdb\nduckdb.sql(\"SELECT * FROM 'a.csv'\")", FOLDER),
        ("try:\n    open('a.csv')\nexcept OSError:\n    raise ValueError('a')", FOLDER),
        ("open('/nowhere/a.csv')", "other processes and the network are closed"),
        ("open('/etc/passwd')", "other processes and the network are closed"),
        ("import os\nos.fork()", "other processes and the network are closed"),
        ("import mmap, os\nos.fork()", "other processes and the network are closed"),
        ("import mmap\nmmap.mmap(-1, 4096)", "mmap.mmap(-1, n, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"),
        ("import mmap\nmmap.mmap(-1, 4096, flags=0x40022)", "in pages of the usual size"),
        ("import os\nos.open(\n'a',\nos.O_SYNC | os.O_RDWR | os.O_CREAT)", "without O_SYNC and O_DSYNC"),
        ("import os\nos.environ['DB_PASSWORD']", "${env:…} stands in `data_source`"),
        ("import os\ndict(os.environ)['DB_PASSWORD']", ""),
        ("from pandas import no_such_thing", "numpy, pandas, pyarrow, duckdb, and what is installed"),
        ("try:\n    open('a.csv')\nexcept OSError:\n    raise ValueError('a') from None", ""),
    ],
)  # fmt: skip
def test_what_reaches_out_of_the_sandbox_is_told_the_way(bench, text, hint):
    failure = bench.failure(text, allowed_imports=("requests", "socket", "asyncio"))
    assert failure.kind is FailureKind.SCRIPT
    assert hint in failure.hint
    assert bool(hint) == bool(failure.hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kept = [open(str(n), 'w') for n in range(999)]", "A step may have 256 files open at a time"),
        (MANY_THREADS, "start fewer, or raise `resources.memory_mb`"),
    ],
    ids=["files", "threads"],
)
def test_a_bound_of_the_kernel_is_told_with_its_remedy(bench, text, hint):
    failure = bench.failure(text, memory_mb=64)
    assert failure.kind is FailureKind.SCRIPT
    assert hint in failure.hint


def test_files_that_are_left_open_keep_the_result_from_being_written(bench):
    failure = bench.failure("""
import os
try:
    while True:
        os.open("kept", os.O_RDWR | os.O_CREAT)
except OSError:
    result = data
""")
    assert failure.kind is FailureKind.RESULT
    assert "too many files open" in failure.message
    assert "close each one" in failure.hint


def test_what_is_written_in_c_imports_what_it_needs(bench):
    text = """
import datetime, io, pickle, time
day = datetime.datetime.strptime("09.11.2025", "%d.%m.%Y")
buffer, old = pickle.loads(pickle.dumps(io.StringIO("x"))), pickle.loads(pickle.dumps(b"y", 0))
result = {"day": day, "year": time.strptime("2025", "%Y").tm_year, "text": buffer.read(), "old": old.decode()}
"""
    assert bench.csv(text) == "day,year,text,old\n2025-11-09,2025,x,y\n"


def test_imports_that_are_allowed(bench):
    text = """
import os, json, urllib.parse, importlib
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import *
import yaml
importlib.import_module("decimal")
data.to_parquet("own.parquet")  # what pandas imports for itself is no matter
result = pd.read_parquet("own.parquet")
"""
    assert bench.csv(text, allowed_imports=("yaml",)).startswith("category")


def test_a_script_is_the_main_module(bench):
    text = """
import pickle, sys, typing
from dataclasses import dataclass
@dataclass
class Sale:
    amount: "int"
    before: "Sale | None" = None
sale = pickle.loads(pickle.dumps(Sale(4, Sale(3))))
hints = typing.get_type_hints(Sale)
result = {"amount": sale.before.amount, "hint": hints["amount"].__name__, "arguments": str(sys.argv)}
"""
    assert bench.csv(text) == f"amount,hint,arguments\n3,int,['{JOB_PATH}']\n"


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


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            "data.groupby(pd.date_range('2024-03-01', periods=3, freq='300D').year)[['amount']].sum()",
            "index,amount\n2024,3\n2025,3\n",
        ),
        ("data['amount'].quantile([0.5, 1])", "index,amount\n0.5,2.0\n1.0,3.0\n"),
        ("data.groupby((data.amount > 1).values)['amount'].sum()", "index,amount\nFalse,1\nTrue,5\n"),
        ("data.groupby(pd.array([7, 7, 8]))['amount'].sum()", "index,amount\n7,3\n8,3\n"),
        ("data.groupby(np.array([-1, 1, 1]))['amount'].sum()", "index,amount\n-1,1\n1,5\n"),
        ("pd.Series([3, 1, 3]).value_counts()", "index,count\n3,2\n1,1\n"),
        ("pd.Series([3, 1, 3, 3]).value_counts(normalize=True)", "index,proportion\n3,0.75\n1,0.25\n"),
    ],
)
def test_keys_without_a_name_are_kept_where_they_cannot_be_numbers_of_rows(bench, result, text):
    assert bench.csv(f"result = {result}") == text


@pytest.mark.parametrize(
    "result",
    [
        "data.sort_values('amount', ascending=False)",
        "data[data.category == 'a']",
        "data.iloc[[2, 0]]",
        "data.sample(9, replace=True, random_state=1)",
        "pd.concat([data, data])",
        "data.assign(amount=[[1, 2], [], [3]]).explode('amount')",
        # Of a table that has more rows than the input.
        "data.loc[data.index.repeat(9)].reset_index(drop=True).sample(9, random_state=1)",
        "data.rename(columns={'amount': 'count'}).sort_values('category')[['category', 'count']]",
        "data[0:0]",
    ],
)
def test_numbers_of_rows_are_dropped(bench, result):
    assert "index" not in bench.csv(f"result = {result}").splitlines()[0]


def test_a_column_named_as_counts_are_has_no_keys(bench):
    assert bench.csv("data['count'] = data.amount\nresult = data['count'].iloc[[2, 0, 1]]") == "count\n3\n1\n2\n"
    assert bench.csv("result = pd.Series([3, 1, 2], name='count')") == "count\n3\n1\n2\n"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ('{"a": [1, 2], "b": ["x", "y"]}', "a,b\n1,x\n2,y\n"),
        ('{"a": 1, "b": None}', "a,b\n1,\n"),
        ('[{"a": 1, "b": 2}, {"a": 3}]', "a,b\n1,2.0\n3,\n"),
        ("[1, 2]", "result\n1\n2\n"),
        ('__import__("pyarrow").table({"a": [1]})', "a\n1\n"),
        ('__import__("pyarrow").array([1, 2])', "result\n1\n2\n"),
        ('__import__("duckdb").sql("SELECT 1 AS a, 2 AS b")', "a,b\n1,2\n"),
        ('__import__("pyarrow").table({"a": [1]}).to_reader()', "a\n1\n"),
        ("data.head(2).to_records(index=False)", "category,amount\na,1\nb,2\n"),
        ('np.array([(1, "x")], dtype=[("a", "i4"), ("b", "U1")])', "a,b\n1,x\n"),
    ],
)
def test_obvious_tables_are_converted(bench, result, text):
    assert bench.csv(f"result = {result}") == text


@pytest.mark.parametrize("form", ["table(x)", "record_batch(x)", "array(x['id'])", "chunked_array([x['id']])"])
def test_whole_numbers_of_arrow_stay_what_they_are(bench, form):
    script = f"import pyarrow as pa\nx = {{'id': [{2**53 + 1}, None]}}\nresult = pa.{form}"
    assert bench.csv(script).splitlines()[1:] == [str(2**53 + 1), '""']


@pytest.mark.long
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT category, sum(amount) AS s FROM data GROUP BY ALL ORDER BY s", "category,s\nb,2\na,4\n"),
        ("SELECT sum(n) AS s FROM (VALUES (9007199254740993::BIGINT), (1)) t(n)", "s\n9007199254740994\n"),
        (
            "SELECT 12345678901234567.10::DECIMAL(38, 2) AS d, n::UHUGEINT AS u FROM (VALUES (1), (NULL)) t(n)",
            "d,u\n12345678901234567.10,1\n12345678901234567.10,\n",
        ),
        ('SELECT [1.5::DECIMAL(2, 1)] AS l, 2::HUGEINT AS "a, b"', 'l,"a, b"\n[1.5],2\n'),
        ("SELECT 1 AS a, 2 AS A", "a,A_1\n1,2\n"),
        ("SELECT ('9' || repeat('0', 40))::BIGNUM AS n", "n\n9" + "0" * 40 + "\n"),
    ],
)
def test_a_relation_of_duckdb_keeps_its_digits(bench, query, text):
    assert bench.csv(f"import duckdb\nresult = duckdb.sql({query!r})") == text


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        ("age(DATE '2024-03-05', DATE '2021-01-01'), NULL::INTERVAL", "3 years 2 months 4 days,"),
        ("TIMESTAMP '2024-03-05' - TIMESTAMP '2024-03-03 10:00', INTERVAL 1 MONTH", "1 day 14:00:00,1 month"),
        ("'0101'::BIT, TIMETZ '10:00:00+02'", "0101,10:00:00+02"),
        ("[INTERVAL 1 MONTH, NULL], [['01'::BIT]]", "\"['1 month', None]\",[['01']]"),
    ],
)
def test_what_pandas_has_no_type_for_is_what_a_query_writes(bench, cells, written):
    script = f"import duckdb\nresult = duckdb.sql({f'SELECT {cells}'!r}).project('#1 AS a, #2 AS b')"
    assert bench.csv(script) == f"a,b\n{written}\n"


def test_a_relation_that_pandas_cannot_hold_is_told_with_its_remedy(bench):
    failure = bench.failure("import duckdb\nresult = duckdb.sql(\"SELECT DATE 'infinity' AS day\")")
    assert (failure.kind, "AS VARCHAR" in failure.hint) == (FailureKind.RESULT, True)
    assert ".df()" in bench.failure("import duckdb\nresult = duckdb.execute('SELECT 1')").hint


@pytest.mark.parametrize(
    "result", ["{1, 2}", "[]", "[[1]]", '{"a": [1], "b": 2}', '{"a": [1], "b": [1, 2]}', "object()"]
)
def test_what_is_no_obvious_table_is_refused(bench, result):
    failure = bench.failure(f"result = {result}")
    assert failure.kind is FailureKind.RESULT
    assert "pd.DataFrame" in failure.hint
    assert ".sum()" in bench.failure("result = data.groupby('category')").hint
    assert "result = result.data" in bench.failure("result = data.style").hint
    assert bench.run("result = data.style\nresult = result.data").failure is None


def test_a_picture_as_result_is_told_what_draws_one(bench):
    pytest.importorskip("matplotlib")
    text = "from matplotlib.figure import Figure\nresult = Figure().subplots()"
    failure = bench.failure(text, allowed_imports=("matplotlib",))
    assert failure.kind is FailureKind.RESULT
    assert "name its columns under `chart`" in failure.hint


@pytest.mark.parametrize("result", ["[]", "{}", "()", "pd.DataFrame([])", "pd.DataFrame(index=[1])"])
def test_an_empty_result_without_columns_is_told_how_to_name_them(bench, result):
    failure = bench.failure(f"result = {result}")
    assert failure.kind is FailureKind.RESULT
    assert "pd.DataFrame(rows, columns=[" in failure.hint
    assert bench.csv("result = pd.DataFrame([], columns=['region', 'amount'])") == "region,amount\n"


def test_a_conversion_that_fails_is_told(bench):
    failure = bench.failure("class Table:\n    def to_pandas(self): raise OSError('no')\nresult = Table()")
    assert (failure.kind, "OSError: no" in failure.message) == (FailureKind.RESULT, True)


def test_a_key_that_is_a_column_too_stands_once(bench):
    assert bench.csv("result = data.set_index('category', drop=False)").splitlines()[0] == "category,amount"
    assert bench.csv("result = data.set_index(['amount', 'category'], drop=False)").splitlines()[1] == "a,1"


@pytest.mark.parametrize(
    "key", ["[None, 'x', 'y']", "[float('nan'), 1, 2]", "pd.to_datetime([None, '2025', '2026'])"]
)
def test_a_key_with_gaps_stands_once_too(bench, key):
    made = f"data['key'] = {key}\nresult = data.set_index('key', drop=False)"
    assert bench.csv(made).splitlines()[0] == "category,amount,key"


@pytest.mark.parametrize(
    ("result", "name"),
    [
        ("data.groupby('category')['category'].count()", "category"),
        ("data.groupby('category').agg(category=('amount', 'sum'))", "category"),
        ("data.groupby(['category', 'amount']).agg(amount=('amount', 'count'))", "amount"),
        ("data.set_index('category').rename(columns={'amount': 'category'})", "category"),
    ],
)
def test_a_key_beside_other_values_of_its_name_is_refused(bench, result, name):
    failure = bench.failure(f"result = {result}")
    assert failure.kind is FailureKind.RESULT
    assert f"the index '{name}' and a column '{name}' with other values" in failure.message
    assert '.rename("count")' in failure.hint
    assert '.rename_axis("key")' in failure.hint


def test_what_is_renamed_as_the_hint_says_is_whole(bench):
    counted = "result = data.groupby('category')['category'].count()"
    assert bench.csv(f"{counted}.rename('count')") == "category,count\na,2\nb,1\n"
    assert bench.csv(f"{counted}.rename_axis('key')") == "key,category\na,2\nb,1\n"


def test_a_key_stands_beside_the_aggregates_of_its_own_column(bench):
    made = "result = data.groupby('category').agg({'category': ['count'], 'amount': ['sum']})"
    assert bench.csv(made) == "category,category_count,amount_sum\na,2,4\nb,1,2\n"


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
    assert "`inplace=True`" in bench.failure("result = data.reset_index(inplace=True)").hint


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
    # Releases of Python differ in what they underline.
    assert [line for line in failure.traceback.splitlines() if not set(line) <= set(" ^~")] == [
        "Traceback (most recent call last):",
        f'  File "{JOB_PATH}", line 13, in <module>',
        "    result = share(data, 'revenue')",
        f'  File "{JOB_PATH}", line 11, in share',
        "    return frame[column] / 2",
        "KeyError: 'revenue'",
    ]


@pytest.mark.parametrize(
    "result",
    [
        "data['revenue']",
        "data[['amount', 'revenue']]",
        "data.loc[:, 'revenue']",
        "data.groupby('revenue').sum()",
        "data.groupby('category')['revenue'].sum()",
        "data.groupby('category').agg({'revenue': 'sum'})",
        "data.sort_values('revenue')",
        "data.merge(data, on='revenue')",
        "data.drop(columns='revenue')",
        "data.set_index('revenue')",
        "data.apply(lambda row: row['revenue'], axis=1)",
        "data.assign(n=1)['revenue']",
        "data.groupby(['category', 'revenue']).sum()",
    ],
)
def test_whoever_asks_for_another_column_is_told_which_there_are(bench, result):
    failure = bench.failure(f"result = {result}")
    assert failure.message.startswith("KeyError: ")
    assert failure.hint == "`data` has the columns category, amount."


@pytest.mark.parametrize(
    ("result", "hint"),
    [
        ("regions['area']", "`regions` has the columns region, zip."),
        ("regions.area", "`regions` has the columns region, zip."),
        ("regions.query('area > 1')", "`regions` has the columns region, zip."),
        ("orders.query('area > 1')", "`orders` has the columns category, amount."),
        ("orders.merge(regions, left_on='category', right_on='name')", "`regions` has the columns region, zip."),
        ("orders.merge(regions, on='region')", "`orders` has the columns category, amount."),
        (
            "pd.concat([orders, regions])['area']",
            "`orders` has the columns category, amount; `regions` has the columns region, zip.",
        ),
        ("pd.concat([orders, regions[['zip']]])['region']", ""),
    ],
)
def test_of_several_sources_the_one_that_was_asked_is_told(bench, tmp_path, result, hint):
    for name, text in (("orders", "category,amount\na,1\n"), ("regions", "region,zip\nnorth,1\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    inputs = tuple(
        StepInput(name=name, paths=(str(tmp_path / f"{name}.csv"),), format=FileType.CSV)
        for name in ("orders", "regions")
    )
    assert bench.failure(f"result = {result}", inputs=inputs).hint == hint


def test_a_line_with_another_delimiter_is_told_as_what_it_is(bench):
    told = 'It is one column: set `delimiter: ";"` under its source.'
    source = "name;n\na;1\n"
    assert bench.failure("result = data[['n']]", source=source).hint == f"`data` has the columns name;n. {told}"
    assert bench.failure("SELECT n FROM data", source=source, kind=StepKind.QUERY).hint == told


@pytest.mark.parametrize(
    ("result", "hint"),
    [
        ("pd.to_datetime(data['day']) > run.scheduled_time", "Times with a zone and times without one"),
        ("run.scheduled_time - pd.to_datetime(data['day'])", "Times with a zone and times without one"),
        ("run.scheduled_time - run.scheduled_time.now()", "Times with a zone and times without one"),
        ("pd.to_datetime(data['day']) > run.scheduled_date", "pd.Timestamp(…) makes one of a date"),
        ("data[data['day'] > run.scheduled_date]", "`parse_dates` of its source"),
        ("data['day'].dt.year", "`parse_dates` of its source"),
        ("data['amount'] if data['amount'] > 1 else 0", "join conditions by & and |"),
        ("data[(data['amount'] > 1) and (data['amount'] < 3)]", "join conditions by & and |"),
        ("data[data['amount'] > 1 & data['day'] == 'x']", "join conditions by & and |"),
        ("data['day'] / 2", "pd.to_numeric("),
        ("data['day'].mean()", "pd.to_numeric("),
        ("data[data['day'] > 5]", "pd.to_numeric("),
        ("data['day'].astype(float)", "pd.to_numeric("),
        ("sum(data['day'])", "pd.to_numeric("),
        ("data.merge(data, left_on='day', right_on='amount')", "Give both columns one type"),
        ("data.groupby('amount').mean()", "choose the columns of numbers"),
        ("data['day'].rolling(2).mean()", "choose the columns of numbers"),
        ("data['day'].astype(int)", "pd.to_numeric("),
        ("data.assign(n=1, k=1).pivot(index='n', columns='k', values='amount')", "data.pivot_table("),
        ("data['amount'].shift().astype(int)", '.astype("Int64") keeps it'),
        ("pd.to_datetime(data['day'] + 'x')", 'errors="coerce"'),
        ("pd.to_datetime(['2026-01-02', '02.03.2026'])", 'errors="coerce"'),
        ("data.append(data)", "It is pd.concat([data, more]) in this pandas."),
        ("data['amount'].iteritems()", "It is .items() in this pandas."),
        ("data.ix[0]", "It is .loc[…] by name, or .iloc[…] by number in this pandas."),
        ("pd.to_datetime(data['day']).dt.week", "It is .dt.isocalendar().week in this pandas."),
        ("data.fillna(method='ffill')", "It is .ffill() or .bfill() in this pandas."),
    ],
)
def test_a_mistake_of_many_is_told_its_remedy(bench, result, hint):
    failure = bench.failure(f"result = {result}", source="day,amount\n2025-11-09,1\n2025-11-10,2\n")
    assert failure.kind is FailureKind.SCRIPT
    assert hint in failure.hint, failure.message


@pytest.mark.parametrize(
    "line",
    [
        "data['amount'][data['category'] == 'a'] = 0",
        "data[data['category'] == 'a']['amount'] = 0",
        "data.amount.fillna(0, inplace=True)",
        "data['category'].replace({'a': 'c'}, inplace=True)",
    ],
)
def test_what_is_written_to_a_copy_fails_as_it_would_be_lost(bench, line):
    failure = bench.failure(f"{line}\nresult = data")
    assert failure.kind is FailureKind.SCRIPT
    assert failure.message.startswith("pandas.errors.ChainedAssignmentError: ")
    assert failure.message.endswith(f"({JOB_PATH}, line 10)")
    assert "In one step it is data.loc[" in failure.hint


@pytest.mark.parametrize(
    "quiet",
    [
        "warnings.filterwarnings('ignore')",
        "warnings.simplefilter('ignore')",
        "warnings.filterwarnings('ignore', category=pd.errors.ChainedAssignmentError)",
        "warnings.resetwarnings()",
        "warnings.warn = lambda *words, **more: None",
        "warnings.catch_warnings(record=True).__enter__()",
    ],
)
def test_a_script_that_wants_no_warnings_is_told_of_lost_writing_all_the_same(bench, quiet):
    failure = bench.failure(
        f"import warnings\n{quiet}\ndata['amount'][data['category'] == 'a'] = 0\nresult = data"
    )
    assert failure.message.startswith("pandas.errors.ChainedAssignmentError: ")
    assert failure.message.endswith(f"({JOB_PATH}, line 12)")


def test_other_warnings_of_pandas_are_as_a_script_wants_them(bench):
    text = """
import warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    pd.DataFrame([[1]]).new = [2]
result = pd.DataFrame({"text": [str(one.message)[:32] for one in told], "line": [one.lineno for one in told]})
"""
    assert bench.csv(text) == "text,line\nPandas doesn't allow columns to ,14\n"


def test_what_is_written_to_a_table_that_somebody_holds_is_kept(bench):
    text = """
def marked(table):
    table["n"] = 1
    return table
tables = {"a": data}
tables["a"].loc[0, "amount"] = 7
for _, group in data.groupby("category"):
    group["amount"] = 0
column = data["amount"]
column[1] = 9
result = data.copy().pipe(marked)[["amount", "n"]].apply(lambda row: row, axis=1)
"""
    assert bench.csv(text) == "amount,n\n7,1\n2,1\n3,1\n"


def test_whoever_asks_for_a_column_by_its_name_alone_is_told_which_there_are(bench):
    failure = bench.failure("result = data[data.week > 1]")
    assert "isocalendar" not in failure.hint, "no table ever had that of its own"
    failure = bench.failure("result = data[data.revenue > 1]")
    assert failure.message.startswith("AttributeError: 'DataFrame' object has no attribute 'revenue'")
    assert failure.hint == "`data` has the columns category, amount."
    assert not bench.failure("result = data.amount.revenue").hint
    assert not bench.failure("result = data[['amount']].revenue").hint


@pytest.mark.parametrize(
    "result",
    [
        "data['category'].map(lambda name: {'a': 1}[name])",
        "{'north': 1}['south']",
        "data.loc[99]",
        "data.loc['revenue']",
        "data['amount']['revenue']",
        "data.set_index('category')['amount'].loc['z']",
        "data.drop('revenue')",
        "data.groupby('category').get_group('z')",
        "__import__('json').loads('{}')['revenue']",
    ],
)
def test_a_key_that_is_no_column_says_nothing_of_columns(bench, result):
    failure = bench.failure(f"result = {result}")
    assert failure.message.startswith("KeyError: ")
    assert failure.hint == ""


@pytest.mark.long
@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("'x' * 9_000_000", "ValueError: xxx"),
        ("'é' * 9_000_000", "ValueError: ééé"),
        ("'\\udcff is no name'", "ValueError: \\udcff is no name ("),
        ("{'\\udcff': 1}", "ValueError: {'\\udcff': 1} ("),
    ],
)
def test_whatever_a_script_says_in_an_error_arrives(bench, message, told):
    failure = bench.failure(f"text = {message}\nraise ValueError(text)")
    assert failure.kind is FailureKind.SCRIPT
    assert failure.message.startswith(told)
    assert failure.message.endswith(f"({JOB_PATH}, line 11)")
    assert "line 11, in <module>" in failure.traceback


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
    failure = bench.failure("def f(n):\n    1 / n\n    f(n - 1)\nf(150)")
    # The call of `f(150)`, the first three of those within it, and the one that raises.
    assert "[Previous line repeated 147 more times]" in failure.traceback
    failure = bench.failure("def f(n):\n    1 / n\n    g(n)\ndef g(n):\n    f(n - 1)\nf(150)")
    # The call of `f(150)` and the one that raises are two of the forty that are shown.
    assert failure.traceback.count(", in g") == 19
    assert failure.traceback.count("… more calls in between …") == 1


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
    outcome = bench.run("import warnings\nfor _ in 'ab':\n    warnings.warn('careful')\nresult = data")
    assert outcome.output.count("UserWarning: careful") == 1
    assert outcome.failure is None


def test_what_a_script_logs_is_kept(bench):
    text = """
import logging
log = logging.getLogger("sales")
log.debug("not this")
log.info("%d rows", len(data))
logging.warning("careful")
1 / 0
"""
    assert bench.run(text).output.splitlines() == ["INFO sales: 3 rows", "WARNING root: careful"]


@pytest.mark.parametrize("force", ["", ", force=True"])
def test_a_script_may_log_in_its_own_way(bench, force):
    text = f"import logging\nlogging.basicConfig(level='DEBUG', format='%(message)s'{force})\nlogging.debug('mine')\nresult = 1"
    assert bench.run(text).output == "mine\n"


def test_a_script_has_temporary_files(bench):
    text = "import tempfile\nwith tempfile.TemporaryFile() as f:\n    f.write(b'x')\nopen('own.txt', 'w').close()\nresult = data"
    assert bench.csv(text).startswith("category")


def test_the_input_is_named_when_it_cannot_be_read(bench):
    failure = bench.failure("result = data", source="")
    assert failure.kind is FailureKind.FETCH
    assert "empty" in failure.message
    assert bench.failure("result = data", source=b"a,b\n\xff\xfe,1\n").kind is FailureKind.FETCH
    assert bench.failure("result = data", source='a\n"x\n1,2,3').kind is FailureKind.FETCH


@pytest.mark.parametrize("raised", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "Quiet"])
def test_whatever_a_result_raises_is_its_own_fault(bench, raised):
    failure = bench.failure(f"""
class Quiet(BaseException):
    def __str__(self): raise self
class Cell:
    def __str__(self): raise {raised}("no text")
result = pd.DataFrame({{"a": [Cell()]}})
""")
    assert failure.kind is FailureKind.RESULT
    assert failure.message.startswith(f"`result` cannot be written as CSV: {raised}")


def test_a_table_of_a_class_of_its_own_has_the_rows_that_it_has(bench):
    outcome = bench.run("""
class Large(pd.DataFrame):
    def __len__(self): return 10**15
result = Large({"a": [1, 2]})
""")
    assert (outcome.failure, outcome.rows_out) == (None, 2)


def test_a_library_in_rust_that_is_refused_something_is_told_with_what_to_use(bench):
    refused = 'Err` value: Os { code: 1, kind: PermissionDenied, message: "Operation not permitted" }'
    failure = bench.failure(f"class PanicException(BaseException): pass\nraise PanicException({refused!r})")
    assert "as polars does for grouping: use pandas" in failure.hint
