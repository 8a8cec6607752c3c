from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepInput

LONG = "1234567890123456789012345678901234567890123456.78"
READERS = pytest.mark.parametrize(
    "step", [(StepKind.QUERY, "SELECT * FROM data"), (StepKind.PASS_THROUGH, "")], ids=["query", "pass-through"]
)


@pytest.fixture
def source(tmp_path):
    """An input of one file for each list of decimals."""

    def written(*columns, kind=None):
        paths = []
        for number, cells in enumerate(columns):
            kind = kind or pa.decimal256(50, 2)
            table = {"k": range(len(cells)), "x": pa.array([cell and Decimal(cell) for cell in cells], kind)}
            paths.append(str(tmp_path / f"{number}.parquet"))
            pq.write_table(pa.table(table), paths[-1])
        return (StepInput(paths=tuple(paths), format=FileType.PARQUET),)

    return written


@READERS
@pytest.mark.parametrize("columns", [["1.10", LONG], ["1.10"], [None, LONG]])
def test_digits_that_would_be_lost_are_refused(bench, source, step, columns):
    kind, text = step
    inputs = source(columns) if len(columns) > 1 else source(columns, [LONG])
    failure = bench.failure(text, kind=kind, inputs=inputs)
    assert failure.kind is FailureKind.FETCH
    assert "column 'x' has decimals of more than 38 digits" in failure.message
    assert "a script" in failure.hint


def test_a_script_has_all_digits(bench, source):
    assert bench.csv("result = data[['x']]", inputs=source(["1.10", LONG])) == f"x\n1.10\n{LONG}\n"


def test_a_query_over_the_other_columns_goes_on(bench, source):
    inputs = source([LONG, "1.10"])
    assert bench.csv("SELECT k FROM data WHERE k > 0", kind=StepKind.QUERY, inputs=inputs) == "k\n1\n"
    assert bench.csv("SELECT count(*) AS n FROM data", kind=StepKind.QUERY, inputs=inputs) == "n\n2\n"


@READERS
def test_values_that_a_float_has_are_what_they_are(bench, source, step):
    kind, text = step
    inputs = source(["1.10", None, "-12345.67"], [])
    assert bench.csv(text, kind=kind, inputs=inputs) == "k,x\n0,1.1\n1,\n2,-12345.67\n"


def test_a_value_that_duckdb_takes_for_its_neighbour_is_refused(bench, source):
    inputs = source(["90992.5048"], kind=pa.decimal256(76, 38))
    failure = bench.failure("SELECT sum(x) AS s FROM data", kind=StepKind.QUERY, inputs=inputs)
    assert "column 'x'" in failure.message


def test_decimals_within_cells_are_refused_where_they_are_read(bench, tmp_path):
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"k": [1], "x": pa.array([[Decimal(LONG)]], pa.list_(pa.decimal256(50, 2)))}), path)
    inputs = (StepInput(paths=(str(path),), format=FileType.PARQUET),)
    assert "column 'x'" in bench.failure("SELECT x[1] AS y FROM data", kind=StepKind.QUERY, inputs=inputs).message
    assert bench.csv("SELECT k FROM data", kind=StepKind.QUERY, inputs=inputs) == "k\n1\n"
