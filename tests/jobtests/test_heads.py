"""The first rows of a file, and that the step reads them as it would read the file."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from xlsxwriter import Workbook

from runner.core.source import FileType, TableOptions
from runner.execution.steps.sheet_errors import cell_errors
from runner.jobtests.heads import write_head
from runner.jobtests.inputs import StepInput

COUNT = 2
FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y\nz", ""]})
AS_TEXT = {"options": {"strings_to_formulas": False}}
RECORDS = FRAME.to_dict("records")


@pytest.fixture
def head(tmp_path):
    def write(kind, content, records_path=None):
        path = tmp_path / "whole"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        whole = StepInput(paths=(str(path),), format=kind, records_path=records_path)
        return write_head(whole, tmp_path / "head", COUNT)

    return write


def test_csv_lines_are_copied_as_they_stand(head):
    found = head(FileType.CSV, 'a,b\r\n1,x\r\n2,"y\nz"\r\n3,\r\n')
    assert Path(found.paths[0]).read_bytes() == b'a,b\r\n1,x\r\n2,"y\nz"\r\n'
    assert found.format is FileType.CSV


def test_ndjson(head):
    found = head(FileType.NDJSON, '{"a": 1}\n\n{"a": 2}\n{"a": 3}\n')
    assert Path(found.paths[0]).read_text() == '{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize(
    ("document", "records_path"),
    [(RECORDS, None), ({"data": {"items": RECORDS}}, "data.items"), ({"data": RECORDS}, "data")],
)
def test_json_records(head, document, records_path):
    found = head(FileType.JSON, json.dumps(document), records_path)
    assert (json.loads(Path(found.paths[0]).read_text()), found.records_path) == (RECORDS[:2], None)


@pytest.mark.parametrize("orient", ["list", "columns"])
def test_json_by_columns(head, orient):
    document = FRAME.to_dict("list") if orient == "list" else json.loads(FRAME.to_json())
    found = json.loads(Path(head(FileType.JSON, json.dumps(document)).paths[0]).read_text())
    assert pd.DataFrame(found)["a"].tolist() == [1, 2]


def test_parquet(head, tmp_path):
    FRAME.to_parquet(tmp_path / "frame")
    found = head(FileType.PARQUET, (tmp_path / "frame").read_bytes())
    pd.testing.assert_frame_equal(pd.read_parquet(found.paths[0]), FRAME.head(2))


def test_a_file_with_fewer_rows_is_whole(head):
    assert Path(head(FileType.CSV, "a\n1\n").paths[0]).read_text() == "a\n1\n"
    assert json.loads(Path(head(FileType.JSON, "[]").paths[0]).read_text()) == []


@pytest.mark.parametrize(
    ("kind", "content", "records_path"),
    [
        (FileType.CSV, b"\xff\xfe", None),
        (FileType.NDJSON, b"\xff", None),
        (FileType.JSON, b"{", None),
        (FileType.JSON, b'{"a": 1}', None),
        (FileType.JSON, b'{"a": 1}', "a"),
        (FileType.JSON, b"[" * 100_000, None),
        (FileType.PARQUET, b"PAR1", None),
        (FileType.XLSX, b"PK", None),
    ],
)
@pytest.mark.usefixtures("no_collection")
def test_what_is_no_such_file_is_left_to_the_step(head, kind, content, records_path):
    assert head(kind, content, records_path) is None


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_text_in_its_encoding_and_with_its_delimiter(tmp_path, ending):
    content = 'größe;b\n"1;2";x\n3;y\n4;z\n'
    path = tmp_path / f"whole.csv{ending}"
    with pa.output_stream(path, compression={".gz": "gzip", ".zst": "zstd"}[ending]) as file:
        file.write(content.encode("cp1252"))
    table = TableOptions(delimiter=";", encoding="cp1252")
    whole = StepInput(name="stock", paths=(str(path),), format=FileType.CSV, table=table)
    found = write_head(whole, tmp_path / "head", COUNT)
    assert Path(found.paths[0]).read_bytes().decode("cp1252") == 'größe;b\n"1;2";x\n3;y\n'
    assert (found.name, found.table) == ("stock", table)


def test_a_workbook(tmp_path):
    frame = pd.DataFrame(
        {
            "a": ["007", "=1+1", "c"],
            "day": pd.to_datetime(["2026-01-01 00:00", "2026-01-02 03:04", "2026-01-03 00:00"]),
        }
    )
    with pd.ExcelWriter(tmp_path / "whole", engine="xlsxwriter", engine_kwargs=AS_TEXT) as book:
        frame.head(0).to_excel(book, sheet_name="First")
        frame.to_excel(book, sheet_name="Data", index=False)
    whole = StepInput(paths=(str(tmp_path / "whole"),), format=FileType.XLSX, table=TableOptions(sheet="Data"))
    found = write_head(whole, tmp_path / "head", COUNT)
    read = pd.read_excel(found.paths[0], sheet_name="Data", engine="calamine", dtype={"a": str})
    pd.testing.assert_frame_equal(read, frame.head(2), check_dtype=False)
    assert write_head(replace(whole, table=TableOptions(sheet="None")), tmp_path / "other", COUNT) is None


def test_the_first_sheet_of_a_workbook_that_has_rows(tmp_path):
    with Workbook(tmp_path / "whole") as book:
        book.add_worksheet("Cover")
        book.add_worksheet("Data").write_column(0, 0, ["a", 1, 2, 3])
    whole = StepInput(paths=(str(tmp_path / "whole"),), format=FileType.XLSX)
    found = write_head(whole, tmp_path / "head", COUNT)
    assert pd.read_excel(found.paths[0], engine="calamine")["a"].tolist() == [1, 2]


def test_an_error_in_a_workbook_stays_one(tmp_path):
    with Workbook(tmp_path / "whole") as book:
        sheet = book.add_worksheet("Data")
        sheet.write_row(0, 0, ["a", "b"])
        for row, error in enumerate(("#N/A", "#DIV/0!", "#REF!"), start=1):
            sheet.write_number(row, 0, row)
            sheet.write_formula(row, 1, "=A1/0", None, error)
    whole = StepInput(paths=(str(tmp_path / "whole"),), format=FileType.XLSX)
    found = write_head(whole, tmp_path / "head", COUNT)
    assert [(cell.name, cell.error) for cell in cell_errors(found.paths[0], "Data", set)] == [("B3", "#DIV/0!")]
    assert len(pd.read_excel(found.paths[0], engine="calamine")) == COUNT
    narrow = write_head(whole, tmp_path / "narrow", 1)
    assert list(cell_errors(narrow.paths[0], "Data", set)) == []


def test_a_time_below_zero_stays_one(tmp_path):
    with Workbook(tmp_path / "whole") as book:
        sheet = book.add_worksheet("Data")
        for row, cell in enumerate(["rest", -0.25, -0.5, -0.75]):
            sheet.write(row, 0, cell, book.add_format({"num_format": "h:mm"}))
    found = write_head(StepInput(paths=(str(tmp_path / "whole"),), format=FileType.XLSX), tmp_path / "head", COUNT)
    errors = cell_errors(found.paths[0], "Data", lambda: {(row, 0) for row in range(1, 4)})
    assert [(cell.name, cell.error) for cell in errors] == [("A2", "-0.25"), ("A3", "-0.5")]
    clocks = pd.read_excel(found.paths[0], engine="calamine")["rest"]
    assert [str(clock) for clock in clocks] == ["18:00:00", "12:00:00"]


def test_a_workbook_of_another_kind_has_no_head(tmp_path):
    """Of the whole a run says that it is refused; a head would be an .xlsx file, without the errors in it."""
    with Workbook(tmp_path / "whole.xlsx") as book:
        book.add_worksheet("Data").write_row(0, 0, ["a", "b"])
    with zipfile.ZipFile(tmp_path / "whole.xlsx", "a") as whole:
        whole.writestr("xl/workbook.bin", "")
    whole = StepInput(paths=(str(tmp_path / "whole.xlsx"),), format=FileType.XLSX)
    assert write_head(whole, tmp_path / "head", COUNT) is None
