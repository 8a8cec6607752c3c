import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, cycle

import pytest

from runner.core.bookmark import Bookmark
from runner.core.check import Check, CheckKind, CheckTarget
from runner.core.job import AttachmentFormat, DeliveryOptions, Incremental, Job, OnEmpty, Step, StepKind
from runner.core.job_policy import RunBounds
from runner.core.run import FailureKind, RunOrder, RunState
from runner.core.source import (
    Auth,
    AuthType,
    DataSource,
    FileType,
    OnUnchanged,
    Pagination,
    PaginationKind,
    SourceType,
    TableOptions,
)
from runner.execution.zygote import Zygote
from runner.fetch.checked_file import CheckedFile
from runner.pipeline import Pipeline

SECRET = "planted-secret-0815"
NOWHERE = Bookmark()


@pytest.fixture(scope="module")
def zygote():
    started = Zygote(sandbox_mode="strict", waiting=1)
    started.start()
    yield started
    started.close()


@pytest.fixture
def execute(zygote, tmp_path):
    pipeline = Pipeline(
        zygote=zygote,
        environ={"TOKEN": SECRET},
        fetch_timeout=5,
        clock=lambda: datetime.now(UTC),
    )
    (tmp_path / "a.csv").write_text("n\n1\n2\n3\n")
    run_dirs = (tmp_path / f"run-{number}" for number in count())

    def call(script, *, cancelled=False, bookmark=NOWHERE, skip_unchanged=False, **changes):
        run_dir = next(run_dirs)
        run_dir.mkdir()
        job = Job(
            job_name="report",
            schedule_time="@daily",
            timezone="Europe/Berlin",
            data_source=DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV),
            consumer_emails=("analyst@example.com",),
            step=Step(kind=StepKind.SCRIPT, text=script, path="jobs.d/report.yaml", first_line=7),
            bounds=RunBounds(private_hosts=("127.0.0.1",)),
            digest="d1",
        )
        order = RunOrder(
            run_id="r1",
            job=replace(job, **changes),
            attempt=1,
            scheduled_time=datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
            project_dir=str(tmp_path),
            run_dir=str(run_dir),
            data_interval_start=datetime(2026, 2, 28, 23, 30, tzinfo=UTC),
            bookmark=bookmark,
            skip_unchanged=skip_unchanged,
        )
        event = threading.Event()
        if cancelled:
            event.set()
        return pipeline.execute(order, event), run_dir

    return call


def test_data_comes_in_and_result_goes_out(execute):
    outcome, run_dir = execute("result = data[data.n > 1]")
    assert (outcome.state, outcome.rows_in, outcome.rows_out) == (RunState.SUCCEEDED, 3, 2)
    assert (run_dir / outcome.result_file).read_text() == "n\n2\n3\n"


def test_the_attachment_is_written_beside_the_csv(execute):
    options = DeliveryOptions(attachment=AttachmentFormat.PARQUET, defuse_formulas=False)
    outcome, run_dir = execute("result = data.assign(s='=1').head(1)", delivery=options)
    assert (run_dir / outcome.result_file).read_text() == "n,s\n1,=1\n"
    assert outcome.attachment_bytes == (run_dir / outcome.attachment_file).stat().st_size > 0
    empty = DeliveryOptions(attachment=AttachmentFormat.PARQUET, on_empty=OnEmpty.FAIL)
    outcome, _ = execute("result = data.head(0)", delivery=empty)
    assert (outcome.result_file, outcome.attachment_file) == (None, None)


def test_the_script_sees_the_run_in_the_zone_of_the_job(execute):
    outcome, run_dir = execute("result = data.head(1).assign(day=str(run.scheduled_date))")
    assert outcome.failure is None
    assert (run_dir / "result.csv").read_text() == "n,day\n1,2026-03-02\n"


def test_a_source_that_cannot_be_had_is_a_failed_fetch(execute):
    source = DataSource(source_type=SourceType.FILE, location="missing.csv", format=FileType.CSV)
    outcome, _ = execute("result = data", data_source=source)
    assert (outcome.state, outcome.failure.kind) == (RunState.FAILED, FailureKind.FETCH)
    assert "missing.csv" in outcome.failure.message
    assert outcome.failure.hint


def test_no_rows_may_be_a_failure(execute):
    outcome, _ = execute("result = data.head(0)", delivery=DeliveryOptions(on_empty=OnEmpty.FAIL))
    assert (outcome.state, outcome.failure.kind, outcome.result_file) == (
        RunState.FAILED,
        FailureKind.RESULT,
        None,
    )


def test_too_long_is_timed_out(execute):
    outcome, _ = execute("import time; time.sleep(60)", timeout_seconds=0.5)
    assert (outcome.state, outcome.failure.kind) == (RunState.TIMED_OUT, FailureKind.TIMEOUT)
    assert "timeout_seconds" in outcome.failure.hint


def test_a_cancelled_run_says_so(execute):
    outcome, _ = execute("result = data", cancelled=True)
    assert outcome.state is RunState.CANCELLED


@pytest.fixture
def api():
    """An API that answers as often as it is asked: an echo of the credentials, with an ETag."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers["If-None-Match"] == self.server.etag
            status = 304 if known else self.server.status
            self.server.answers.append(status)
            body = b"" if status != 200 else f'[{{"n": 1, "echo": "{self.headers["Authorization"]}"}}]'.encode()
            self.send_response(status)
            self.send_header("ETag", self.server.etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.etag, server.status, server.answers = '"v1"', 200, []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def source_of(server, **more):
    return DataSource(
        source_type=SourceType.API,
        location=f"http://127.0.0.1:{server.server_port}/",
        format=FileType.JSON,
        auth=Auth(type=AuthType.BEARER, token="${env:TOKEN}"),
        **more,
    )


def test_a_secret_that_an_api_echoes_is_masked_wherever_it_is_shown(execute, api):
    source = source_of(api)
    check = Check(kind=CheckKind.MIN, columns=("n",), at_least=2, blocking=False)
    shown, _ = execute("print(data.echo[0])\nresult = data", data_source=source, checks=(check,))
    raised, _ = execute("raise ValueError(data.echo[0])", data_source=source)
    assert shown.state is RunState.SUCCEEDED
    assert "Bearer ***" in shown.output
    assert "Bearer ***" in str(shown.preview.rows)
    assert "Bearer ***" in str(shown.checks[0].rows)
    assert "Bearer ***" in raised.failure.message
    assert SECRET not in f"{shown}{raised}"


def test_each_source_has_its_name_and_the_first_is_data(execute, tmp_path):
    (tmp_path / "b.ndjson").write_text('{"n": 2, "name": "two"}\n')
    more = DataSource(name="names", source_type=SourceType.FILE, location="b.ndjson", format=FileType.NDJSON)
    outcome, run_dir = execute("result = data.merge(names, on='n')", more_sources=(more,))
    assert outcome.failure is None
    assert (run_dir / "result.csv").read_text() == "n,name\n2,two\n"
    query = Step(kind=StepKind.QUERY, text="SELECT name FROM data JOIN names USING (n)", path="q.sql")
    outcome, run_dir = execute("", step=query, more_sources=(more,))
    assert (run_dir / "result.csv").read_text() == "name\ntwo\n"


@pytest.mark.parametrize(
    ("script", "state"), [("result = data[['n']]", RunState.SUCCEEDED), ("1 / 0", RunState.FAILED)]
)
def test_a_path_to_the_next_page_that_leads_to_nothing_is_told_with_the_run(execute, api, script, state):
    pages = Pagination(kind=PaginationKind.NEXT_LINK, link_path="next")
    source = source_of(api, pagination=pages)
    more = source_of(api, name="more", pagination=replace(pages, link_path="more.next"))
    outcome, _ = execute(script, data_source=source, more_sources=(more,))
    assert outcome.state is state
    first, second = outcome.note.split("; ")
    assert "`data_source.pagination.link_path: next` leads to nothing, as there is no next, but an array" in first
    assert "`data_sources.more.pagination.link_path: more.next` leads to nothing, as there is no more" in second


def test_a_run_is_skipped_while_an_api_says_that_nothing_has_changed(execute, api):
    source = source_of(api, on_unchanged=OnUnchanged.SKIP)
    first, _ = execute("result = data[['n']]", data_source=source, skip_unchanged=True)
    assert (first.state, first.bookmark.cursor) == (RunState.SUCCEEDED, None)
    again, _ = execute("1 / 0", data_source=source, bookmark=first.bookmark, skip_unchanged=True)
    assert (again.state, again.failure, again.bookmark) == (RunState.SKIPPED, None, None)
    assert "nothing has changed" in again.note
    by_hand, _ = execute("result = data", data_source=source, bookmark=first.bookmark)
    assert by_hand.state is RunState.SUCCEEDED
    changed_job, _ = execute(
        "result = data", data_source=source, bookmark=first.bookmark, skip_unchanged=True, digest="d2"
    )
    assert changed_job.state is RunState.SUCCEEDED
    api.etag = '"v2"'
    changed, _ = execute("result = data", data_source=source, bookmark=first.bookmark, skip_unchanged=True)
    assert (changed.state, changed.bookmark == first.bookmark) == (RunState.SUCCEEDED, False)
    assert api.answers == [200, 304, 200, 200, 200]


def test_where_one_api_has_changed_the_others_are_asked_again(execute, api):
    source = source_of(api, on_unchanged=OnUnchanged.SKIP)
    first, _ = execute("result = data", data_source=source, skip_unchanged=True)
    more = replace(source, name="more", location=source.location + "more")
    outcome, run_dir = execute(
        "result = data.merge(more, on='n')[['n']]",
        data_source=source,
        more_sources=(more,),
        bookmark=first.bookmark,
        skip_unchanged=True,
    )
    assert outcome.failure is None
    assert (run_dir / "result.csv").read_text() == "n\n1\n"
    assert api.answers == [200, 304, 200, 200]


def test_a_run_is_not_skipped_beside_a_source_that_cannot_say_whether_it_has_changed(execute, api, tmp_path):
    rates = source_of(api, name="rates", on_unchanged=OnUnchanged.SKIP)
    script = "result = data.merge(rates, on='n')[['n']]"
    orders = tmp_path / "a.csv"
    first, _ = execute(script, more_sources=(rates,), skip_unchanged=True)
    assert first.state is RunState.SUCCEEDED
    orders.write_text("n\n1\n1\n")
    again, run_dir = execute(
        script, more_sources=(rates,), bookmark=first.bookmark or NOWHERE, skip_unchanged=True
    )
    assert (again.state, again.failure) == (RunState.SUCCEEDED, None)
    assert (run_dir / "result.csv").read_text() == "n\n1\n1\n"
    assert api.answers == [200, 200], "it is not asked whether it has changed, as that cannot matter"


@pytest.mark.parametrize(
    "other",
    [
        {"on_unchanged": OnUnchanged.RUN},
        {"method": "POST"},
        {"pagination": Pagination(kind=PaginationKind.LINK_HEADER)},
        {"headers": (("If-Modified-Since", "Sun, 09 Nov 2025 13:00:00 GMT"),)},
    ],
)
def test_a_run_is_not_skipped_beside_an_api_that_is_not_asked_whether_it_has_changed(execute, api, other):
    rates = source_of(api, on_unchanged=OnUnchanged.SKIP)
    more = replace(rates, name="more", **{"on_unchanged": OnUnchanged.SKIP, **other})
    first, _ = execute("result = data[['n']]", data_source=rates, skip_unchanged=True)
    again, _ = execute(
        "result = data.merge(more, on='n')[['n']]",
        data_source=rates,
        more_sources=(more,),
        bookmark=first.bookmark,
        skip_unchanged=True,
    )
    assert (again.state, again.rows_out) == (RunState.SUCCEEDED, 1)
    assert api.answers == [200, 200, 200]


@pytest.mark.parametrize(
    ("load", "answers"),
    [(None, [304, 200, 200]), (Incremental(cursor="n", initial_value=0), [304, 200, 200, 200])],
)
def test_no_source_is_read_before_the_one_that_tells_how_far_the_load_got(execute, api, load, answers):
    rates = source_of(api, on_unchanged=OnUnchanged.SKIP)
    job = {"data_source": rates, "more_sources": (replace(rates, name="more"),), "incremental": load}
    first, _ = execute("result = more", skip_unchanged=True, **job)
    known, changed = first.bookmark.validators
    bookmark = replace(first.bookmark, validators=(known, replace(changed, etag='"v0"')))
    api.answers.clear()
    again, _ = execute("result = more", bookmark=bookmark, skip_unchanged=True, **job)
    assert again.state is RunState.SUCCEEDED
    assert api.answers == answers


def test_the_cursor_of_an_incremental_load(execute):
    incremental = Incremental(cursor="n", initial_value=1)
    first, run_dir = execute("result = data[data.n > run.cursor]", incremental=incremental)
    assert (run_dir / "result.csv").read_text() == "n\n2\n3\n"
    assert first.bookmark == Bookmark(cursor=3)
    query = Step(kind=StepKind.QUERY, text="SELECT n FROM data WHERE n >= ${run:cursor}", path="q.sql")
    _, run_dir = execute("", step=query, incremental=incremental, bookmark=first.bookmark)
    assert (run_dir / "result.csv").read_text() == "n\n3\n"
    failed, _ = execute("1 / 0", incremental=incremental)
    assert failed.bookmark is None


def test_a_database_is_told_which_column_is_the_cursor(execute, tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.executescript("CREATE TABLE orders (key BLOB); INSERT INTO orders VALUES (x'01');")
    of_bytes = DataSource(
        source_type=SourceType.DATABASE,
        location="sqlite:///shop.db",
        format=FileType.PARQUET,
        query="SELECT key FROM orders",
    )
    incremental = Incremental(cursor="key", initial_value="")
    outcome, _ = execute("result = data", data_source=of_bytes, incremental=incremental)
    assert outcome.failure.message == (
        "data_source.query: its column 'key', which `incremental.cursor` names, holds bytes"
    )
    (tmp_path / "b.csv").write_text("key\na\n")
    first = DataSource(name="first", source_type=SourceType.FILE, location="b.csv", format=FileType.CSV)
    other = replace(of_bytes, name="other")
    outcome, _ = execute("result = other", data_source=first, more_sources=(other,), incremental=incremental)
    assert (outcome.failure, outcome.bookmark) == (None, Bookmark(cursor="a"))


@pytest.fixture
def write_on(tmp_path):
    """Writes to the file again and again, one text after the other, until the test ends."""
    ended = threading.Event()
    threads = []

    def begin(mode, *texts):
        def write():
            for text in cycle(texts):
                with (tmp_path / "a.csv").open(mode) as file:
                    file.write(text)
                if ended.wait(0.001):
                    return

        threads.append(threading.Thread(target=write))
        threads[-1].start()

    yield begin
    ended.set()
    for thread in threads:
        thread.join()


TOLD = "somebody wrote to a.csv while the run read it: rows may be missing"


@pytest.mark.parametrize("kind", [StepKind.SCRIPT, StepKind.QUERY])
def test_a_file_that_grows_while_it_is_read_is_told_and_moves_the_cursor(execute, write_on, kind):
    step = Step(kind=kind, text="result = data" if kind is StepKind.SCRIPT else "FROM data", path="q.sql")
    write_on("a", "3\n")
    outcome, _ = execute("", step=step)
    assert (outcome.state, outcome.note, outcome.bookmark) == (RunState.SUCCEEDED, TOLD, None)
    outcome, _ = execute("", step=step, incremental=Incremental(cursor="n", initial_value=0))
    assert (outcome.state, outcome.note, outcome.bookmark) == (RunState.SUCCEEDED, TOLD, Bookmark(cursor=3))


@pytest.mark.parametrize("kind", [StepKind.SCRIPT, StepKind.QUERY])
def test_a_file_that_is_rewritten_while_it_is_read_is_told_and_moves_no_cursor(execute, write_on, kind):
    step = Step(kind=kind, text="result = data" if kind is StepKind.SCRIPT else "FROM data", path="q.sql")
    # In the place of the first bytes: it is never empty.
    write_on("r+", *(f"n\n{number}\n{number}\n" for number in range(100, 999)))
    outcome, _ = execute("", step=step, incremental=Incremental(cursor="n", initial_value=0))
    assert (outcome.state, outcome.bookmark) == (RunState.SUCCEEDED, NOWHERE)
    assert outcome.note == f"{TOLD}, and the next run loads them all again"


def test_what_a_step_that_hung_was_reading_is_not_looked_at(execute, monkeypatch):
    """A network mount whose server goes away answers neither of them."""

    def never(file):
        raise AssertionError("it would wait for ever")

    monkeypatch.setattr(CheckedFile, "was_written_to", never)
    outcome, _ = execute("import time\ntime.sleep(60)", timeout_seconds=0.5)
    assert outcome.state is RunState.TIMED_OUT


@pytest.mark.parametrize("incremental", [None, Incremental(cursor="n", initial_value=0)])
def test_what_gives_no_answer_after_a_step_ends_the_run_all_the_same(execute, mount, monkeypatch, incremental):
    (mount.path / "a.csv").write_text("n\n1\n")
    source = DataSource(source_type=SourceType.FILE, location="mount/a.csv", format=FileType.CSV)
    was_written_to = CheckedFile.was_written_to

    def then_away(file):
        mount.goes()
        return was_written_to(file)

    monkeypatch.setattr(CheckedFile, "was_written_to", then_away)
    outcome, _ = execute("result = data", data_source=source, incremental=incremental)
    assert outcome.state is RunState.SUCCEEDED
    assert outcome.note == (
        "whether somebody wrote to the data while the run read it is not known: where a.csv lies gives no answer: "
        f"it was waited for 0.3 s{', and the next run loads them all again' if incremental else ''}"
    )
    assert outcome.bookmark == (NOWHERE if incremental else None)
    monkeypatch.setattr(CheckedFile, "was_written_to", was_written_to)
    other, _ = execute("result = data")
    assert (other.state, other.note) == (RunState.SUCCEEDED, ""), "of the same name, elsewhere"


@pytest.mark.parametrize("step", [StepKind.SCRIPT, StepKind.QUERY, StepKind.PASS_THROUGH])
def test_an_incremental_load_of_nothing_is_an_empty_result(execute, tmp_path, step):
    texts = {
        StepKind.SCRIPT: "result = data[data.n > run.cursor]",
        StepKind.QUERY: "SELECT n FROM data WHERE n > ${run:cursor}",
        StepKind.PASS_THROUGH: "",
    }
    answer = tmp_path / "answer.json"
    source = DataSource(source_type=SourceType.FILE, location="answer.json", format=FileType.JSON)
    options = {
        "step": Step(kind=step, text=texts[step], path="jobs.d/report.yaml"),
        "data_source": source,
        "incremental": Incremental(cursor="n", initial_value=1),
    }
    answer.write_text('[{"n": 2}, {"n": 3}]')
    first, run_dir = execute("", **options)
    assert (run_dir / "result.csv").read_text() == "n\n2\n3\n"
    answer.write_text("[]")
    for on_empty in OnEmpty:
        delivery = DeliveryOptions(on_empty=on_empty)
        second, _ = execute("", **options, bookmark=first.bookmark, delivery=delivery)
        if on_empty is OnEmpty.FAIL:
            assert (second.state, second.failure.kind) == (RunState.FAILED, FailureKind.RESULT)
            assert "no rows" in second.failure.message
            continue
        assert (second.state, second.rows_in, second.rows_out) == (RunState.SUCCEEDED, 0, 0)
        assert (second.result_file, second.note) == (
            "result.csv",
            "The data has no records: the step was not run.",
        )
        assert first.bookmark.moved_to(second.bookmark).cursor == 3


@pytest.mark.parametrize("step", [StepKind.SCRIPT, StepKind.QUERY, StepKind.PASS_THROUGH])
def test_an_api_without_content_is_an_empty_result(execute, api, step):
    api.status = 204
    source = replace(
        source_of(api),
        format=FileType.CSV,
        table=TableOptions(columns=("n",), dtypes=(("n", "integer"),)),
    )
    text = {StepKind.SCRIPT: "result = data.n", StepKind.QUERY: "SELECT n FROM data"}.get(step, "")
    outcome, _ = execute("", step=Step(kind=step, text=text, path="jobs.d/report.yaml"), data_source=source)
    assert (outcome.state, outcome.rows_in, outcome.rows_out) == (RunState.SUCCEEDED, 0, 0)
    assert outcome.note == "The data has no records: the step was not run."


def test_a_blocking_check_fails_the_run_and_keeps_its_result(execute):
    checks = (
        Check(kind=CheckKind.MAX, columns=("n",), at_most=2),
        Check(kind=CheckKind.ROW_COUNT, at_least=1),
    )
    outcome, run_dir = execute("result = data", checks=checks)
    assert (outcome.state, outcome.failure.kind) == (RunState.FAILED, FailureKind.CHECK)
    assert [(check.passed, check.failed_rows, check.rows.rows) for check in outcome.checks] == [
        (False, 1, (("3",),)),
        (True, 0, ()),
    ]
    assert (run_dir / outcome.result_file).read_text() == "n\n1\n2\n3\n"
    assert outcome.failure.hint.endswith(
        f"The result was not sent to the consumers; as CSV it is kept at {run_dir}/result.csv"
    )
    early, _ = execute("result = data", checks=(replace(checks[0], on=CheckTarget.INPUT),))
    assert "kept at" not in early.failure.hint


def test_the_script_cannot_find_the_secrets_of_the_service(execute):
    script = "import os\nresult = data.assign(found=str(dict(os.environ)))"
    outcome, run_dir = execute(script)
    assert outcome.failure is None
    assert SECRET not in (run_dir / "result.csv").read_text()
