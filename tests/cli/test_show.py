"""`runner show`."""

import json
import sqlite3

import pytest

JOB = """\
job_name: sales
schedule_time: '0 9 * * *'
consumer_emails: [a@example.com]
data_sources:
  orders: {source_type: database, location: '${env:DB_URL}', query: 'SELECT * FROM orders WHERE at > ${run:cursor}'}
  stock: {source_type: file, location: a.csv, file_type: csv}
incremental: {cursor: updated_at, initial_value: 0}
checks:
  - {not_null: id, blocking: false}
chart: {kind: line, x: day, "y": amount}
"""


@pytest.fixture
def incremental(project, monkeypatch):
    monkeypatch.setenv("DB_URL", "postgresql://reader:hunter2@db.example.com/shop")
    (project / "jobs.d" / "sales.yaml").write_text(JOB)


@pytest.mark.usefixtures("incremental")
def test_sources_checks_chart_and_cursor_are_shown_as_written(call):
    text = call("show", "sales").stdout
    for words in (
        "data_sources.orders.query",
        "data_sources.stock.location",
        '"not_null": "id"',
        "chart",
        "updated_at: nothing is delivered yet",
    ):
        assert words in text
    assert "${env:DB_URL}" in text
    assert "hunter2" not in text
    document = json.loads(call("show", "sales", "--json").stdout)
    assert document["cursor"] is None
    values = {value["key"]: value["value"] for value in document["values"]}
    assert values["data_sources.orders.location"] == "${env:DB_URL}"


@pytest.mark.usefixtures("incremental")
def test_how_far_a_load_has_got(call, history):
    bookmark = '{"cursor":"2026-03-01","origin":"updated_at from 0"}'
    with sqlite3.connect(history.storage_path) as database:
        database.execute("INSERT INTO bookmarks VALUES ('sales', ?, 0, 'r1', 0)", (bookmark,))
    database.close()
    assert "updated_at: delivered up to 2026-03-01" in call("show", "sales").stdout


def test_a_line_end_in_the_name_of_a_file_breaks_no_row(call, project):
    (project / "jobs.d" / "sales.yaml").rename(project / "jobs.d" / "a\nb.yaml")
    assert call("show", "sales").stdout.startswith("sales  jobs.d/a b.yaml  ")
    assert "\n jobs.d/a b.yaml " in call("list").stdout
