import pytest
import xlsxwriter

from runner.core.job import StepKind
from runner.core.source import FileType, TableOptions
from runner.execution.orders import StepInput
from runner.execution.steps.hidden_sheets import hidden_note

PLAIN = TableOptions()


@pytest.fixture
def book(tmp_path):
    """A workbook of sheets, hidden where their name begins so; a sheet called empty has no rows."""

    def write(*sheets, table=PLAIN, name="book"):
        path = tmp_path / f"{name}.xlsx"
        with xlsxwriter.Workbook(path) as workbook:
            for number, title in enumerate(sheets):
                sheet = workbook.add_worksheet(title)
                if "empty" not in title:
                    sheet.write_column(0, 0, ["a", number])
                if title.startswith("hidden"):
                    sheet.hide()
                elif title.startswith("very hidden"):
                    sheet.very_hidden()
                else:
                    sheet.activate()
                    sheet.set_first_sheet()
        return StepInput(name=name, paths=(str(path),), format=FileType.XLSX, table=table)

    return write


@pytest.mark.parametrize(
    "sheets", [("hidden", "Orders"), ("very hidden", "Orders"), ("empty", "hidden", "Orders")]
)
def test_a_hidden_sheet_that_is_read_is_told(book, sheets):
    note = hidden_note([book("Old", name="other"), book(*sheets)])
    assert note.startswith(f'the rows of book.xlsx are those of its sheet "{sheets[-2]}", which is hidden: ')
    seen = "Orders" if len(sheets) == 2 else "empty"
    assert f'as in `sheet: "{seen}"`, or `sheet: "{sheets[-2]}"` if it is this one' in note


@pytest.mark.parametrize(
    ("sheets", "table"),
    [
        (("hidden", "Orders"), TableOptions(sheet="hidden")),
        (("hidden", "Orders"), TableOptions(sheet="Orders")),
        (("Orders", "hidden"), PLAIN),
        (("hidden empty", "Orders"), PLAIN),
        (("Orders",), PLAIN),
    ],
)
def test_what_is_named_or_seen_is_not(book, sheets, table):
    assert not hidden_note([book(*sheets, table=table)])


@pytest.mark.parametrize(
    ("kind", "text"),
    [(StepKind.QUERY, "SELECT a FROM data"), (StepKind.SCRIPT, "result = data"), (StepKind.PASS_THROUGH, "")],
)
def test_each_step_says_so_of_what_it_reads(bench, book, kind, text):
    inputs = (book("hidden", "Orders", name="data"), book("hidden", "Orders", name="other"))
    outcome = bench.run(text, kind=kind, inputs=inputs)
    assert (outcome.failure, outcome.rows_out) == (None, 1)
    assert "data.xlsx" in outcome.note
    inputs = (book("Orders", name="data"), book("hidden", "Orders", name="other"))
    note = bench.run(text, kind=kind, inputs=inputs).note
    assert ("other.xlsx" in note) is (kind is not StepKind.PASS_THROUGH)
