import hashlib
import json
from dataclasses import replace

from runner.core.check import Check, CheckKind, CheckTarget
from runner.core.job import (
    AttachmentFormat,
    Chart,
    ChartKind,
    ConcurrencyPolicy,
    DeliveryOptions,
    Incremental,
    Job,
    NotifyFailures,
    OnAmbiguous,
    OnEmpty,
    OnMissed,
    Resources,
    Retry,
    Step,
    StepKind,
)
from runner.core.job_defaults import JobDefaults
from runner.core.job_policy import RunBounds
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
from runner.jobfiles.check import build_checked, inspect_file
from runner.jobfiles.read import read_job_file

FULL = """\
job_name: full
description: |
  Two
  lines
owner: owner@example.com
tags: [a, b]
suspend: true
schedule_time: "@daily"
timezone: Europe/Berlin
on_missed: skip
starting_deadline_seconds: 60.0
concurrency_policy: allow
timeout_seconds: 12
retry: {limit: 3.0, backoff_seconds: 30, max_delay_seconds: 90.5}
resources: {memory_mb: 512, cpu_seconds: 9}
data_source:
  source_type: api
  location: https://api.example.com/x
  method: POST
  headers: {A: b, X-N: 1}
  params: {p: [x, 2], flag: true, f: 1.5}
  body: {"ü": ["${env:X}", null]}
  auth: {type: basic, username: u, password: "${env:P}"}
  response_format: json
  records_path: a.b
  max_bytes: 1000
processing_query: SELECT 1
consumer_emails: [a@example.com, b@example.com]
delivery:
  on_empty: fail
  preview_rows: 0
  attachment: csv.gz
  defuse_formulas: false
  notify_failures: owner
  notify_after: 2
  on_ambiguous: hold
"""


def test_every_key_arrives_in_the_job(check):
    job = check(text=FULL).job
    assert json.loads(job.data_source.body) == {"ü": ["${env:X}", None]}
    assert job == Job(
        job_name="full",
        schedule_time="@daily",
        timezone="Europe/Berlin",
        data_source=DataSource(
            source_type=SourceType.API,
            location="https://api.example.com/x",
            format=FileType.JSON,
            method="POST",
            headers=(("A", "b"), ("X-N", "1")),
            params=(("p", "x"), ("p", "2"), ("flag", "true"), ("f", "1.5")),
            body=job.data_source.body,
            auth=Auth(type=AuthType.BASIC, username="u", password="${env:P}"),
            records_path="a.b",
            max_bytes=1000,
        ),
        consumer_emails=("a@example.com", "b@example.com"),
        step=Step(kind=StepKind.QUERY, text="SELECT 1", path="jobs.d/sales.yaml", first_line=27),
        description="Two\nlines",
        owner="owner@example.com",
        tags=("a", "b"),
        suspend=True,
        timeout_seconds=12.0,
        retry=Retry(limit=3, backoff_seconds=30.0, max_delay_seconds=90.5),
        resources=Resources(memory_mb=512, cpu_seconds=9),
        on_missed=OnMissed.SKIP,
        starting_deadline_seconds=60,
        concurrency_policy=ConcurrencyPolicy.ALLOW,
        delivery=DeliveryOptions(
            on_empty=OnEmpty.FAIL,
            preview_rows=0,
            attachment=AttachmentFormat.CSV_GZ,
            defuse_formulas=False,
            notify_failures=NotifyFailures.OWNER,
            notify_after=2,
            on_ambiguous=OnAmbiguous.HOLD,
        ),
        path="jobs.d/sales.yaml",
        digest=hashlib.sha256(FULL.encode()).hexdigest(),
    )
    assert type(job.starting_deadline_seconds) is int
    assert type(job.retry.limit) is int


def test_a_job_after_others_has_their_names_and_places(check, minimal):
    checked = check(text=minimal.replace('schedule_time: "0 9 * * 1-5"', "after: [load_orders, 'load_stock']"))
    assert (checked.job.schedule_time, checked.job.after) == (None, ("load_orders", "load_stock"))
    assert [(one.job_name, one.line, one.column) for one in checked.after] == [
        ("load_orders", 2, 9),
        ("load_stock", 2, 22),
    ]
    assert check().after == ()


def test_what_is_left_out_has_the_defaults(context, write, minimal):
    path = write("jobs.d/sales.yaml", minimal)
    with_defaults = replace(context, defaults=JobDefaults(timezone="Asia/Tokyo", timeout_seconds=7.0))
    job = build_checked(inspect_file(read_job_file(path, "jobs.d/sales.yaml"), with_defaults), with_defaults).job
    assert (job.timezone, job.timeout_seconds) == ("Asia/Tokyo", 7.0)
    assert (job.step, job.data_source.format, job.data_source.max_bytes) == (Step(), FileType.CSV, 1 << 30)
    assert job == Job(
        job_name="sales",
        schedule_time="0 9 * * 1-5",
        timezone="Asia/Tokyo",
        timeout_seconds=7.0,
        data_source=DataSource(source_type=SourceType.FILE, location="sales.csv", format=FileType.CSV),
        consumer_emails=("analyst@example.com",),
        path="jobs.d/sales.yaml",
        digest=job.digest,
    )


def test_the_first_line_of_a_script_is_its_line_in_the_file(check):
    job = check("processing_script: |\n\n  # comment\n  result = data\n").job
    assert (job.step.first_line, job.step.text) == (10, "\n# comment\nresult = data\n")


def test_the_digest_covers_the_step_file(check, write, minimal):
    script = "result = data\n"
    write("steps/a.py", script)
    job = check("processing_script_file: steps/a.py\n").job
    digests = [
        hashlib.sha256(text.encode()).hexdigest()
        for text in (minimal + "processing_script_file: steps/a.py\n", script)
    ]
    assert job.digest == hashlib.sha256("".join(digests).encode()).hexdigest()
    assert job.step == Step(kind=StepKind.SCRIPT, text=script, path="steps/a.py", first_line=1)


def test_a_fault_of_our_own_is_a_finding(check, monkeypatch):
    monkeypatch.setattr("runner.jobfiles.check.lint", lambda inspection: 1 / 0)
    checked = check()
    assert [found.rule for found in checked.diagnostics] == ["internal-error"]
    assert "ZeroDivisionError: division by zero" in checked.diagnostics[0].message
    assert checked.job is None


def test_the_name_and_its_place_are_known_of_a_bad_file_too(check):
    checked = check(text="# x\njob_name: 'sales'\nschedule_time: [\n")
    assert (checked.job, checked.job_name, checked.job_name_line, checked.job_name_column) == (
        None,
        "sales",
        2,
        11,
    )


SEVERAL = """\
job_name: several
schedule_time: "@daily"
data_sources:
  orders:
    source_type: database
    location: ${env:DB_URL}
    query: SELECT * FROM orders
  pages:
    source_type: api
    location: https://api.example.com/x
    auth: {type: header, header: X-Api-Key, token: "${env:KEY}"}
    pagination: {type: page, param: page, size_param: num, size: 10.0, max_pages: 5}
    retries: 0
    on_unchanged: skip
  more: {source_type: api, location: "https://api.example.com/y", pagination: {type: offset, param: o, size: 5}}
  linked:
    source_type: api
    location: https://api.example.com/l
    pagination: {type: next_link, link_path: '"@odata.nextLink"'}
  posted:
    source_type: api
    location: https://api.example.com/p
    method: POST
    body: {a: 1}
    pagination: {type: page, param: b.c, in: body}
  sheet: {source_type: file, location: a.xlsx, file_type: xlsx, sheet: One, columns: [a], dtypes: {a: string}}
  listed:
    source_type: api
    location: https://api.example.com/z
    response_format: csv
    delimiter: '\\t'
    encoding: latin-1
    decimal: ","
    parse_dates: [day]
incremental: {cursor: num, initial_value: 0}
processing_script: result = data[data.num > run.cursor]
checks:
  - {name: whole, not_null: [a, b], on: input, source: pages}
  - unique: a
  - {accepted_values: {column: a, values: [x, 1]}, blocking: false}
  - min: {column: a, value: 0.5}
  - max: {column: d, value: "2030-01-01"}
  - row_count: {min: 1.0}
chart: {kind: line, x: a, y: b, title: Title}
consumer_emails: [a@example.com]
"""


def test_every_key_of_sources_and_checks_arrives_in_the_job(check, write):
    write("a.xlsx", "")
    checked = check(text=SEVERAL)
    assert [found.rule for found in checked.diagnostics] == ["idle-on-unchanged"]
    job = checked.job
    orders, pages, more, linked, posted, sheet, table = job.data_sources
    assert orders == DataSource(
        name="orders",
        source_type=SourceType.DATABASE,
        location="${env:DB_URL}",
        format=FileType.PARQUET,
        query="SELECT * FROM orders",
    )
    assert pages == DataSource(
        name="pages",
        source_type=SourceType.API,
        location="https://api.example.com/x",
        format=FileType.JSON,
        auth=Auth(type=AuthType.HEADER, header="X-Api-Key", token="${env:KEY}"),
        pagination=Pagination(
            kind=PaginationKind.PAGE, param="page", size_param="num", size=10, start=1, max_pages=5
        ),
        retries=0,
        on_unchanged=OnUnchanged.SKIP,
    )
    assert type(pages.pagination.size) is int
    assert more.pagination == Pagination(kind=PaginationKind.OFFSET, param="o", size=5, start=0, max_pages=1000)
    assert linked.pagination == Pagination(kind=PaginationKind.NEXT_LINK, link_path='"@odata.nextLink"')
    assert posted.pagination == Pagination(kind=PaginationKind.PAGE, param="b.c", in_body=True, start=1)
    assert (sheet.format, sheet.table) == (
        FileType.XLSX,
        TableOptions(sheet="One", columns=("a",), dtypes=(("a", "string"),)),
    )
    assert table.table == TableOptions(delimiter="\t", encoding="latin-1", decimal=",", parse_dates=("day",))
    assert job.incremental == Incremental(cursor="num", initial_value=0)
    assert job.chart == Chart(kind=ChartKind.LINE, x="a", y=("b",), title="Title")
    assert job.checks == (
        Check(kind=CheckKind.NOT_NULL, columns=("a", "b"), on=CheckTarget.INPUT, source="pages", name="whole"),
        Check(kind=CheckKind.UNIQUE, columns=("a",)),
        Check(kind=CheckKind.ACCEPTED_VALUES, columns=("a",), values=("x", 1), blocking=False),
        Check(kind=CheckKind.MIN, columns=("a",), at_least=0.5),
        Check(kind=CheckKind.MAX, columns=("d",), at_most="2030-01-01"),
        Check(kind=CheckKind.ROW_COUNT, at_least=1),
    )


def test_the_one_source_is_called_data(check):
    job = check().job
    assert (job.data_source.name, job.more_sources, job.bounds) == ("data", (), RunBounds())
