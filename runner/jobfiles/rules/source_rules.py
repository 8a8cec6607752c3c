"""Rules on where the data comes from."""

from runner.core.diagnostic import Severity
from runner.jobfiles.rules.rule import API_SOURCE, FILE_SOURCE, Rule, files, job

_POLICY = "jobs.d/_policy.yaml"
_JOB = "jobs.d/daily_sales.yaml"
_HERE = API_SOURCE.replace("https://api.example.com", "http://localhost:8080")
_TWO_SOURCES = """\
data_sources:
  orders: {source_type: file, location: data/sales.csv, file_type: csv}
  other: {source_type: file, location: data/sales.csv, file_type: csv}
"""
_API_BESIDE_FILE = """\
data_sources:
  orders: {source_type: file, location: data/sales.csv, file_type: csv}
  rates: {source_type: api, location: https://api.example.com/sales}
"""
_INCREMENTAL = """\
incremental:
  cursor: updated_at
  initial_value: "2025-01-01T00:00:00Z"
"""
_DATABASE = """\
data_source:
  source_type: database
  location: "${env:SALES_DB_URL}"
  query: SELECT * FROM sales WHERE day > ${run:scheduled_date}
"""
_OTHER_HOST = API_SOURCE.replace("api.example.com", "files.example.org")

_POSTED = API_SOURCE + "  method: POST\n  pagination: {type: page, param: filter.page, in: body}\n"

SOURCE_RULES = (
    Rule(
        name="bad-body-param",
        summary="The parameter of a page cannot be put into the body of the request.",
        reason=(
            "With in: body each request has the number of its page, its offset or its cursor in body, at the keys"
            " that param names. So there is a body, a mapping, and those keys lead through mappings alone, which"
            " are made where they are missing. What size_param names is a place beside that."
        ),
        bad=job(source=_POSTED),
        good=job(source=_POSTED + "  body: {}\n"),
    ),
    Rule(
        name="bad-location",
        summary="The location is no address, or no path, as its source_type needs one.",
        reason=(
            "An API is fetched by http or https from a host that the address names; a file is read from a"
            " path. What is neither would fail at the first run."
        ),
        bad=job(source=API_SOURCE.replace("https:", "ftp:")),
        good=job(source=API_SOURCE),
    ),
    Rule(
        name="bad-records-path",
        summary="records_path, cursor_path or link_path is not JMESPath.",
        reason=(
            "It names where the rows, or the next page, stand in a JSON answer, and is compiled here as it will"
            " be in the run."
        ),
        bad=job(source=API_SOURCE + '  records_path: "data.[items"\n'),
        good=job(source=API_SOURCE + "  records_path: data.items\n"),
    ),
    Rule(
        name="bad-reference",
        summary="A ${…} is not a reference that can stand here.",
        reason=(
            "References are filled in when a run starts. One that is misspelt, never closed or not possible"
            " in its place would be sent as plain text, or fail the run."
        ),
        bad=job(source=API_SOURCE + '  params:\n    key: "${enw:SALES_API_KEY}"\n'),
        good=job(source=API_SOURCE + '  params:\n    key: "${env:SALES_API_KEY}"\n'),
    ),
    Rule(
        name="host-not-allowed",
        summary="The policy does not allow this host.",
        reason=(
            "allowed_hosts of _policy.yaml lists where data may be fetched from. A new host is a change of"
            " policy, and is reviewed as one."
        ),
        bad=files({_POLICY: "allowed_hosts: [api.example.com]\n", _JOB: job(source=_OTHER_HOST)}),
        good=files({_POLICY: "allowed_hosts: [api.example.com]\n", _JOB: job(source=API_SOURCE)}),
    ),
    Rule(
        name="idle-incremental",
        severity=Severity.WARNING,
        summary="The job keeps a cursor, and nothing asks for it.",
        reason=(
            "incremental keeps the largest value of a column. Which rows are loaded is said where the data is"
            " asked for, with ${run:cursor}: without it every run loads everything again."
        ),
        bad=job(_INCREMENTAL, source=API_SOURCE),
        good=job(_INCREMENTAL, source=API_SOURCE + '  params:\n    since: "${run:cursor}"\n'),
    ),
    Rule(
        name="idle-on-unchanged",
        severity=Severity.WARNING,
        summary="on_unchanged: skip stands where no run is ever skipped.",
        reason=(
            "A run is skipped only where every source is an API that is asked by a single GET and says that"
            " nothing has changed. A file, a database, pages, a POST, or a header If-None-Match of the job's own"
            " cannot say so: they may have new data, and the run goes on."
        ),
        bad=job(source=_API_BESIDE_FILE.replace("sales}", "sales, on_unchanged: skip}")),
        good=job(source=_API_BESIDE_FILE),
    ),
    Rule(
        name="literal-credential",
        summary="A password, token or key stands in the file.",
        reason=(
            "What is in git is read by everyone who can clone it, and stays in its history after it is"
            " removed. ${env:NAME} and ${file:/path} are filled in when the run starts, never stored, and"
            " masked in every text. Change a credential that has been committed."
        ),
        bad=job(source=API_SOURCE.replace("https://", "https://reports:Winter-2025-sales@")),
        good=job(
            source=API_SOURCE
            + '  auth:\n    type: basic\n    username: reports\n    password: "${env:SALES_API_PASSWORD}"\n'
        ),
    ),
    Rule(
        name="private-address",
        summary="The location of an API leads to this machine or its network.",
        reason=(
            "A job is text that anyone may propose: it could ask the service's own machine, its neighbours or"
            " the metadata address of a cloud for what they tell nobody else. Hosts that are meant stand in"
            " private_hosts, or allowed_hosts, of _policy.yaml. Where a name leads is looked at in every run."
        ),
        bad=job(source=_HERE),
        good=files({_POLICY: "private_hosts: [localhost]\n", _JOB: job(source=_HERE)}),
    ),
    Rule(
        name="source-name",
        summary="A source has a name that a step cannot use.",
        reason=(
            "A query knows each source as a table, and a script as a variable: words of SQL and Python, and the"
            " names that a step is given beside its data, cannot stand for one. Capital letters make no"
            " difference in SQL."
        ),
        bad=job(source=_TWO_SOURCES.replace("other:", "order:")),
        good=job(source=_TWO_SOURCES),
    ),
    Rule(
        name="source-query",
        summary="The query of a database source is no single statement that reads.",
        reason=(
            "A source is read in a read-only session, by one SELECT. ${run:…} in it becomes a parameter of the"
            " database and so stands without quotes; other references have no place there: a value that is put"
            " into a query as text could change what it asks."
        ),
        bad=job(source=_DATABASE.replace("${run:scheduled_date}", "'${run:scheduled_date}'")),
        good=job(source=_DATABASE),
    ),
    Rule(
        name="outside-data-roots",
        summary="The data file is not in a folder that the policy allows.",
        reason=(
            "data_roots of _policy.yaml lists the folders that jobs may read from, so that no job mails a"
            " file that only happens to lie on the machine. Links are followed before the comparison."
        ),
        bad=files(
            {
                _POLICY: "data_roots: [data]\n",
                _JOB: job(source=FILE_SOURCE.replace("data/sales.csv", "private/sales.csv")),
            }
        ),
        good=files({_POLICY: "data_roots: [data]\n", _JOB: job()}),
    ),
)
