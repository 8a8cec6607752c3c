import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from jmespath import compile as compile_path

from runner.core.diagnostic import Severity
from runner.jobfiles import lint_people, lint_source
from runner.jobfiles.lint_query import find_query_fault
from runner.jobfiles.lint_schedule import is_zone
from runner.jobfiles.lint_script import find_script_fault


def rules(checked):
    return [found.rule for found in checked.diagnostics]


@pytest.mark.parametrize(
    "script",
    [
        "result = data", "result: object = data", "x = result = data", "x, (result, y) = data", "result += 1", "for result in data: pass",
        "with open(x) as result: pass", "import pandas as result", "from pandas import DataFrame as result", "from pandas import *",
        "def result(): pass", "class result: pass", "print(result := data)", "[result := x for x in data]", "if data.empty:\n  pass\nelse:\n  result = data",
        "try:\n  pass\nexcept E:\n  result = data", "while x:\n  result = data", "match data:\n  case result: pass", "exec('result = data')",
        "def f():\n  global result\n  result = data\nf()", "globals()['result'] = data", "\n".join(f"v{n} = {n}" for n in range(300)) + "\nresult = v1",
    ],
)  # fmt: skip
def test_every_way_to_assign_result(script):
    assert find_script_fault(script) is None


@pytest.mark.parametrize(
    "script",
    [
        "results = data", "data.result = 1", "result.x = 1", "result[0] = 1", "print(result)", "result: int", "def f():\n  result = data",
        "class A:\n  result = data", "f(result=data)", "lambda: (result := data)", "# result = data", "'result = data'",
        "def f():\n  x = 1\n  def g():\n    nonlocal x\n    x = data", "",
        "\n".join(f"v{n} = {n}" for n in range(300)) + "\nresult",
    ],
)  # fmt: skip
def test_what_does_not_assign_result(script):
    assert find_script_fault(script).rule == "script-no-result"


@pytest.mark.parametrize(
    "script",
    [
        "result = (",
        "if x\n  y",
        "\tx = 1\n  y = 2",
        "result = '\0'",
        "-" * 30_000 + "1",
        "x" + ".a" * 30_000,
        "[" * 5000,
        "9" * 5000,
        "return 1",
        "result = \ud800",
        "f'{",
        "await x",
    ],
)
def test_scripts_that_do_not_compile(script):
    assert find_script_fault(script).rule == "script-syntax"


def test_a_doubtful_script_raises_no_warning(recwarn):
    assert find_script_fault("result = data is 1\nx = '\\d'") is None
    assert not recwarn.list


@given(st.text(max_size=80))
def test_any_script_gives_an_answer(script):
    fault = find_script_fault(script)
    assert fault is None or fault.rule in {"script-syntax", "script-no-result"}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "FROM data",
        "WITH a AS (SELECT 1) FROM a;",
        "VALUES (1)",
        "PIVOT data ON x",
        "SUMMARIZE data",
        "SELECT ${run:scheduled_date} AS d FROM data",
        "(SELECT 1) UNION ALL SELECT 2 -- end",
    ],
)
def test_queries_that_will_do(query):
    assert find_query_fault(query) is None


@pytest.mark.parametrize(
    ("query", "rule", "place"),
    [
        ("SELEC 1", "query-syntax", (1, 1)),
        ("SELECT a\nFROM data\nGROUP a", "query-syntax", (3, 7)),
        ("SELECT " + "a, " * 100 + "\nb FROM\n  x y z w", "query-syntax", (3, 7)),
        ("SELECT " + "abc, " * 60 + "1 FROM x y z", "query-syntax", (1, 319)),
        ("SELECT 'a", "query-syntax", (1, 8)),
        ("-- nothing", "query-syntax", None),
        ("SELECT 1; SELECT 2", "query-not-select", None),
        ("DROP TABLE data", "query-not-select", None),
        ("COPY data TO 'x'", "query-not-select", None),
        ("SELECT\n ${env:X}", "bad-reference", (2, 2)),
        ("SELECT ${x}", "bad-reference", (1, 8)),
    ],
)
def test_queries_that_will_not(query, rule, place):
    fault = find_query_fault(query)
    assert fault.rule == rule
    assert (None if fault.line is None else (fault.line, fault.column)) == place


@given(st.text(max_size=40))
def test_any_query_gives_an_answer(query):
    fault = find_query_fault(query)
    assert fault is None or fault.message


LABEL = st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True)


@given(st.from_regex(r"[a-z0-9._+-]{1,70}@([a-z0-9-]{1,70}\.){1,3}(com|de|io|org|test|local)", fullmatch=True))
def test_the_short_way_takes_only_what_the_long_way_takes(address):
    if lint_people._OBVIOUS.fullmatch(address):
        validate_email(address, check_deliverability=False)


@given(LABEL, LABEL)
def test_the_verdict_on_addresses_is_that_of_the_library(local, label):
    address = f"{local}@{label}.com"
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        assert lint_people.address_fault(address)
    else:
        assert lint_people.address_fault(address) is None


def test_the_common_address_takes_the_short_way():
    assert lint_people._OBVIOUS.fullmatch("first.last+tag@mail.data-team.example.com")


@given(st.from_regex(r"[a-zA-Z_.0-9]{1,12}", fullmatch=True))
def test_the_short_way_of_records_paths_is_right(path):
    if lint_source._PLAIN_RECORDS_PATH.fullmatch(path):
        compile_path(path)
    fault = lint_source.records_path_fault(path)
    assert fault is None or fault[1] <= len(path)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_zones(name):
    assert is_zone(name)


@pytest.mark.parametrize(
    "name",
    [
        "utc",
        "Berlin",
        "Europe",
        "Europe/",
        "posix/UTC",
        "right/UTC",
        "localtime",
        "/etc/localtime",
        "../UTC",
        "zone.tab",
        "a\0b",
        "é" * 64,
    ],
)
def test_what_is_no_zone(name):
    assert not is_zone(name)


def test_all_topics_are_checked_at_once(check):
    text = (
        "job_name: A\nschedule_time: 9am\ntimezone: Moon\nprocessing_script: 'x ='\nconsumer_emails: [a, b@example.com, b@example.com]\n"
        "data_source: {source_type: api, location: 'ftp://x', records_path: '[', params: {a: '${b}'}, extra: 1}\n"
    )
    assert set(rules(check(text=text))) == {
        "bad-value", "cron-syntax", "unknown-timezone", "script-syntax", "bad-address", "duplicate-address", "bad-location",
        "bad-records-path", "bad-reference", "unknown-key",
    }  # fmt: skip


def test_data_that_is_not_there_yet_is_a_warning_and_the_job_is_good(check, project):
    (project / "sales.csv").unlink()
    checked = check()
    assert [(found.rule, found.severity) for found in checked.diagnostics] == [("missing-file", Severity.WARNING)]
    assert checked.job is not None


def test_a_location_with_a_reference_is_not_looked_for(check, minimal):
    checked = check(text=minimal.replace("sales.csv", "in/${run:scheduled_date}.csv"))
    assert (checked.diagnostics, checked.job.data_source.location) == ((), "in/${run:scheduled_date}.csv")


@pytest.mark.parametrize(
    "location",
    [
        "https://api.example.com:${env:PORT}/x",
        "https://${env:HOST}/x?d=${run:scheduled_date}",
        "${env:URL}",
        "HTTP://example.com",
        "http://[::1]:8000/x",
    ],
)
def test_addresses_of_apis(check, minimal, location):
    text = (
        minimal.replace("file_type: csv", "")
        .replace("type: file", "type: api")
        .replace("sales.csv", f'"{location}"')
    )
    assert check(text=text).diagnostics == ()


def test_a_step_file_is_checked_where_it_stands(check, write):
    write("steps/a.py", "x = 1\nif x\n")
    (found,) = check("processing_script_file: steps/a.py\n").diagnostics
    assert (found.path, found.line, found.rule) == ("steps/a.py", 2, "script-syntax")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("nothing.py", "missing-file"),
        ("../x.py", "outside-project"),
        ("/etc/hosts", "outside-project"),
        ("jobs.d", "not-a-file"),
        ('"a\\0b"', "outside-project"),
    ],
)
def test_step_files_that_cannot_be_read(check, name, rule):
    checked = check(f"processing_script_file: {name}\n")
    assert (rules(checked), checked.job) == ([rule], None)
    assert checked.diagnostics[0].path == "jobs.d/sales.yaml"
