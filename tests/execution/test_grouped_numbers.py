import pathlib
import threading
from dataclasses import replace

import pytest

from runner.core.job import StepKind
from runner.core.source import FileType, TableOptions
from runner.execution.orders import StepInput
from runner.execution.steps.grouped_numbers import grouped_note

PLAIN = TableOptions()
GERMAN = TableOptions(delimiter=";", decimal=",")
NAMED = TableOptions(delimiter=";", decimal=",", dtypes=(("amount", "string"),))
NARROW = TableOptions(delimiter=";", decimal=",", columns=("id",))


@pytest.fixture
def source(tmp_path):
    def write(text, table=PLAIN, name="data"):
        path = tmp_path / f"{name}.csv"
        path.write_text(text, encoding=table.encoding)
        return StepInput(name=name, paths=(str(path),), format=FileType.CSV, table=table)

    return write


@pytest.mark.parametrize(
    ("text", "table", "cell"),
    [
        ("id;amount\n1;999,00\n2;\n3;-1.234,50\n", GERMAN, "-1.234,50"),
        ("id;amount\n1;1.234\n", GERMAN, "1.234"),
        ("id;amount\n1;1.234\n", TableOptions(delimiter=";", encoding="utf-16", decimal=","), "1.234"),
        ('id,amount\n1,12\n2,"1,234.50"\n', PLAIN, "1,234.50"),
        ("id,amount\n1,1 234\n" + "2,5\n" * 40_000, PLAIN, "1 234"),
    ],
)
def test_numbers_with_a_sign_for_thousands_are_told(source, text, table, cell):
    note = grouped_note([source(text, table)])
    assert note.startswith(f"the column 'amount' has texts such as '{cell}', which sort and compare as texts: ")
    assert "`dtypes`" in note


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("id;amount\n1;1.234,50\n", NAMED),
        ("id;amount\n1;1.234,50\n", NARROW),
        ("id;amount\n1;1.234,50\n2;unknown\n", GERMAN),
        ("id;amount\n1;1234,50\n2;-5\n", GERMAN),
        ("id,amount\n1,1.234\n2,.5\n", PLAIN),
        ('id,share\n1,"1,500"\n2,"0,125"\n', PLAIN),
        ("id;share\n1;1.500\n2;-0.125\n", GERMAN),
        ("id,amount\n1," + "5" * 60_000 + "x\n", PLAIN),
        ("id,amount\n", PLAIN),
        ("", PLAIN),
    ],
)
def test_other_columns_are_not(source, text, table):
    assert not grouped_note([source(text, table)])


def test_the_source_is_named_where_there_are_several(source):
    inputs = [source("a\n1\n"), source("amount\n1 234\n", name="old")]
    assert grouped_note(inputs).startswith("the column 'amount' of the source 'old' has texts such as '1 234'")


@pytest.mark.parametrize(
    ("kind", "text"),
    [(StepKind.QUERY, "FROM data"), (StepKind.SCRIPT, "result = data"), (StepKind.PASS_THROUGH, "")],
)
def test_a_step_says_so_and_a_job_without_one_does_not(bench, source, kind, text):
    outcome = bench.run(text, kind=kind, inputs=(source("id;amount\n1;1.234,50\n", GERMAN),))
    assert outcome.failure is None
    assert ("sort and compare as texts" in outcome.note) is (kind is not StepKind.PASS_THROUGH)


def test_a_script_that_removes_its_data_has_its_note_and_its_result(bench):
    script = "import pathlib\npathlib.Path('input.csv').unlink()\nresult = data"
    order = bench.order(script)
    path = pathlib.Path(order.run_dir) / "input.csv"
    path.write_text("id,amount\n1,1 234\n")
    order = replace(order, inputs=(replace(order.inputs[0], paths=(str(path),)),))
    outcome = bench.zygote.run_step(order, cancelled=threading.Event())
    assert outcome.failure is None
    assert "sort and compare as texts" in outcome.note
