import pytest

from runner.jobtests.tables import TableError, expected_rows, read_table
from runner.jobtests.values import Table


def test_a_table():
    content = b'\xef\xbb\xbfregion,note\r\nnorth,"a ""b"", c\nd"\r\n\r\n"",\r\n'
    assert read_table(content) == Table(columns=("region", "note"), rows=(("north", 'a "b", c\nd'), ("", "")))


def test_one_column_keeps_its_empty_cells():
    assert read_table(b'a\n""\n1\n').rows == (("",), ("1",))


def test_a_very_long_cell():
    assert len(read_table(b"a\n" + b"x" * 200_000 + b"\n").rows[0][0]) == 200_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "there is no line of column names"),
        (b"\n1\n", "there is no line of column names"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cells, the first has 2"),
        (b"a\n\xff\n", "line 2 is not UTF-8"),
    ],
)
def test_what_is_no_table(content, reason):
    with pytest.raises(TableError, match=reason):
        read_table(content)


def test_the_cells_of_an_expected_file_are_what_they_look_like():
    rows = expected_rows(Table(columns=("a", "b", "c", "d"), rows=(("1", "", "True", "007"),)))
    assert rows.cells == ((1, None, True, "007"),)
