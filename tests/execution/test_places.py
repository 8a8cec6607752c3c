import gzip
import threading
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.core.check import Check, CheckKind, CheckTarget
from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType, TableOptions
from runner.execution.orders import StepInput

STEPS = {
    StepKind.SCRIPT: "result = data",
    StepKind.QUERY: "SELECT * FROM data",
    StepKind.PASS_THROUGH: "",
}
CUT = gzip.compress(b"a,b\n" + bytes(range(97, 123)) * 999)[:-20]
FAULTS = {
    "empty": ("csv", "a,b\n1,2\n", ""),
    "latin": ("csv", "a,b\n1,2\n", b"a,b\n1,caf\xe9 au lait\n"),
    "late latin": ("csv", "a,b\n1,2\n", b"a,b\n" + b"1,x\n" * 30_000 + b"1,caf\xe9 au lait\n"),
    "cut": ("csv.gz", gzip.compress(b"a,b\n1,2\n"), CUT),
    "long line": ("csv", "a,b\n1,2\n", "a,b\n1,2\n1,2,3\n"),
    "object": ("json", '[{"a": 1}]', '{"a": {"b": 1}}'),
    "broken": ("json", '[{"a": 1}]', '[{"a": 1'),
    "nothing": ("json", '[{"a": 1}]', ""),
    "broken line": ("ndjson", '{"a": 1}\n', '{"a": 1\n'),
    "parquet": ("parquet", "no", "no"),
    "xlsx": ("xlsx", "no", "no"),
}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def source_of(name, *paths, **more):
    kind = FileType(paths[0].removesuffix(".gz").rpartition(".")[2])
    return StepInput(name=name, paths=paths, format=kind, **more)


@pytest.fixture(params=STEPS, ids=str)
def failure(bench, request):
    """Why a step fails that gives its first input back."""

    def failing(*inputs, **more):
        found = bench.failure(STEPS[request.param], kind=request.param, inputs=inputs, **more)
        assert found.kind is FailureKind.FETCH
        return found

    failing.kind = request.param
    return failing


@pytest.mark.parametrize("fault", FAULTS)
def test_of_several_files_the_one_is_named(failure, tmp_path, fault):
    end, good, bad = FAULTS[fault]
    # A file that cannot be read at all is the first one: there is none that could be.
    bad_path, good_path = write(tmp_path / f"bad.{end}", bad), write(tmp_path / f"good.{end}", good)
    paths = (bad_path, good_path) if good == bad else (good_path, bad_path)
    message = failure(source_of("data", *paths)).message
    assert message.count(f"bad.{end}") == 1
    assert "good" not in message
    assert "source" not in message.replace("input source", "")


@pytest.mark.parametrize("fault", FAULTS)
def test_of_several_sources_the_one_is_named(bench, tmp_path, fault):
    end, _, bad = FAULTS[fault]
    good = source_of("regions", write(tmp_path / "good.csv", "c\n1\n"))
    for kind in (StepKind.SCRIPT, StepKind.QUERY):
        inputs = (good, source_of("orders", write(tmp_path / f"bad.{end}", bad)))
        message = bench.failure(STEPS[kind], kind=kind, inputs=inputs).message
        assert message.startswith("source 'orders'")
        assert message.count(f"bad.{end}") == 1


def test_one_file_of_one_source_needs_no_name(failure, tmp_path):
    message = failure(source_of("orders", write(tmp_path / "bad.csv", ""))).message
    assert message == "the data cannot be read as CSV: it is empty"


def test_a_damaged_page_of_parquet_is_about_its_file(failure, tmp_path):
    paths = tuple(str(tmp_path / f"{name}.parquet") for name in ("good", "bad"))
    for path in paths:
        table = pa.table({"k": list(map(str, range(5000)))})
        pq.write_table(table, path, compression="none", use_dictionary=False)
    content = bytearray((tmp_path / "bad.parquet").read_bytes())
    content[4:60] = b"\x0f" * 56
    (tmp_path / "bad.parquet").write_bytes(content)
    found = failure(source_of("data", *paths))
    assert found.message.startswith("bad.parquet: the data cannot be read as Parquet: ")
    assert "don't know what type" in found.message
    assert "Look at the file" in found.hint


def test_a_cell_that_is_no_number_is_told_also_beside_a_workbook(bench, tmp_path):
    table = TableOptions(dtypes=(("n", "number"),))
    orders = source_of("orders", write(tmp_path / "orders.csv", "n\n" + "1\n" * 30_000 + "x\n"), table=table)
    pd.DataFrame({"c": [1]}).to_excel(tmp_path / "regions.xlsx", index=False)
    inputs = (orders, source_of("regions", str(tmp_path / "regions.xlsx")))
    found = bench.failure("SELECT sum(n) AS s FROM orders, regions", kind=StepKind.QUERY, inputs=inputs)
    told = "source 'orders', orders.csv: the data cannot be read as the job says: column 'n' has 'x'"
    assert (found.kind, found.message) == (FailureKind.FETCH, f"{told}, which is no number (line 30002)")


def test_the_answer_of_an_api_has_the_name_of_its_source(bench, tmp_path):
    regions = source_of("regions", write(tmp_path / "regions.csv", "c\n1\n"))
    for kind, text in STEPS.items():
        order = bench.order(text, kind=kind)
        answer = write(bench.folder / f"run-{bench.count}" / "input-orders.json", '{"a": {"b": 1}}')
        order = replace(order, inputs=(source_of("orders", answer), regions))
        found = bench.zygote.run_step(order, cancelled=threading.Event()).failure
        assert found.message.startswith("source 'orders': the data cannot be read as JSON: it holds an object")


@pytest.mark.parametrize("option", ["columns", "dtypes"])
def test_options_that_do_not_fit_have_the_name_of_their_source(bench, tmp_path, option):
    first = source_of("first", write(tmp_path / "a.csv", "a\n1\n"))
    names = (("c", "string"),) if option == "dtypes" else ("c",)
    second = source_of("second", write(tmp_path / "b.csv", "b\n1\n"), table=TableOptions(**{option: names}))
    for kind in (StepKind.SCRIPT, StepKind.QUERY):
        message = bench.failure(STEPS[kind], kind=kind, inputs=(first, second)).message
        assert message.startswith("source 'second': the data has no column 'c'")


def test_the_source_that_has_to_tell_how_far_a_load_got_is_named(bench, tmp_path):
    first = source_of("first", write(tmp_path / "a.csv", "a\n1\n"))
    second = source_of("second", write(tmp_path / "b.csv", "at\n1\n"))
    for kind, text in STEPS.items():
        message = bench.failure(text, kind=kind, inputs=(first, second), cursor_column="at").message
        assert message == "source 'first': the data has no column 'at', which `incremental.cursor` names"


def test_a_cell_has_the_name_of_its_file(failure, tmp_path):
    paths = (write(tmp_path / "good.csv", "n\n1\n"), write(tmp_path / "bad.csv", "n\n" + "1\n" * 30_000 + "x\n"))
    table = TableOptions(dtypes=(("n", "number"),))
    assert failure(source_of("data", *paths, table=table)).message.startswith("bad.csv: ")


def test_a_cell_that_only_a_check_meets_has_the_name_of_its_file(bench, tmp_path):
    paths = (write(tmp_path / "good.csv", "n\n1\n"), write(tmp_path / "bad.csv", "n\n" + "1\n" * 30_000 + "x\n"))
    source = source_of("data", *paths, table=TableOptions(dtypes=(("n", "number"),)))
    checks = (Check(kind=CheckKind.NOT_NULL, columns=("n",), on=CheckTarget.INPUT),)
    message = bench.failure("SELECT 1 AS a", kind=StepKind.QUERY, inputs=(source,), checks=checks).message
    assert message.startswith("bad.csv: ")
