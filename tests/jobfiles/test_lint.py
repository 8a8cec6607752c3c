import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from jmespath import compile as compile_path

from runner.core.diagnostic import Severity
from runner.jobfiles.check import inspect_file
from runner.jobfiles.lint import people as lint_people
from runner.jobfiles.lint import source as lint_source
from runner.jobfiles.lint.schedule import is_zone
from runner.jobfiles.read import read_job_file


def rules(checked):
    return [found.rule for found in checked.diagnostics]


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


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("$HOME/sales.csv", "Write ${env:HOME} for the variable."),
        ("~/sales.csv", "Write the path out: ~ stands for itself."),
        ("C:\\data\\x.csv", "Write a path with /, relative to the folder that holds the folder of jobs."),
        ("$IN/*.csv", "Write ${env:IN} for the variable."),
        (
            "later.csv",
            "Relative paths start at the folder that holds the folder of jobs. It may still come later.",
        ),
    ],
)
def test_what_to_do_about_a_path_that_leads_nowhere(check, minimal, location, hint):
    (found,) = check(text=minimal.replace("sales.csv", location)).diagnostics
    assert (found.rule, found.hint) == ("missing-file", hint)


@pytest.mark.parametrize(
    ("path", "likely"),
    [
        ("$.data.items[*]", "data.items"),
        ("/data/items", "data.items"),
        ("$", "data.items"),
        ("results[", "data.items"),
        ("$.results", "results"),
    ],
)
def test_jsonpath_is_turned_into_jmespath(path, likely):
    assert lint_source._hint_for_records_path(path) == f"Write JMESPath, such as {likely}."


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
        "http://[2606:4700::1111]:8000/x",
    ],
)
def test_addresses_of_apis(check, minimal, location):
    text = (
        minimal.replace("file_type: csv", "")
        .replace("type: file", "type: api")
        .replace("sales.csv", f'"{location}"')
    )
    assert check(text=text).diagnostics == ()


def test_every_fault_of_a_step_is_told_where_it_stands_in_the_job_file(check, minimal):
    checked = check("processing_script: |\n  import socket\n\n  if dta.empty:\n      result = data\n")
    line = minimal.count("\n") + 1
    assert [(found.rule, found.line, found.column) for found in checked.diagnostics] == [
        ("import-not-allowed", line + 1, 10),
        ("script-result-not-always-assigned", line + 3, 3),
        ("undefined-name", line + 3, 6),
    ]


def test_a_folded_script_is_told_of_its_fold_only_where_that_broke_it(check):
    (broken,) = check("processing_script: >\n  x = 1\n  result = x\n").diagnostics
    (unknown,) = check("processing_script: >\n  result = dta\n").diagnostics
    assert ("`>` joins lines" in broken.hint, "`>` joins lines" in unknown.hint) == (True, False)


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("processing_script:\n  x = 1\n  result = x\n", True),
        ("processing_script: '\n  x = 1\n  result = x'\n", True),
        ("processing_script: result = (\n", False),
        ("processing_script: |\n  x = 1\n  result = (\n", False),
    ],
)
def test_a_script_without_a_block_is_told_that_its_lines_are_one(check, text, joined):
    (broken,) = check(text).diagnostics
    hint = "YAML made one line of these: write processing_script: |, and the script below it, indented."
    assert (broken.rule, broken.hint == hint) == ("script-syntax", joined)


def test_header_names_are_one_whatever_their_case(check, minimal):
    text = minimal.replace("sales.csv", "https://api.example.com").replace("type: file", "type: api")
    text = text.replace(
        "  file_type: csv\n", "  headers:\n    Accept: a\n    X-Day: b\n    accept: c\n    ACCEPT: d\n"
    )
    checked = check(text=text)
    assert [(found.rule, found.line) for found in checked.diagnostics] == [
        ("same-but-for-case", 9),
        ("same-but-for-case", 10),
    ]
    assert "line 7" in checked.diagnostics[1].message


@pytest.mark.parametrize(
    ("script", "line", "said"),
    [
        ("if True:\nresult = data", 2, "'if' statement on line {}"),
        ("x = (1\nresult = 2]", 2, "does not match opening parenthesis '(' on line {}"),
        ('result = """data', 1, "(detected at line {})"),
    ],
)
def test_what_python_says_of_a_script_has_the_lines_of_its_file(check, write, minimal, script, line, said):
    write("steps/a.py", script)
    (found,) = check("processing_script_file: steps/a.py\n").diagnostics
    assert (found.line, said.format(1) in found.message) == (line, True)
    block = "".join(f"  {one}\n" for one in script.split("\n"))
    (found,) = check(f"processing_script: |-\n{block}").diagnostics
    first = minimal.count("\n") + 2
    assert (found.line, said.format(first) in found.message) == (first + line - 1, True)


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


@pytest.mark.parametrize("name", [".env", ".git/config"])
@pytest.mark.parametrize("key", ["processing_script_file", "processing_query_file"])
def test_what_may_hold_secrets_is_no_step_and_nothing_of_it_is_told(check, write, key, name):
    write(name, "SMTP_PASSWORD=Correct9Horse\n")
    checked = check(f"{key}: {name}\n")
    assert (rules(checked), checked.job) == (["outside-project"], None)
    assert "Correct9Horse" not in str(checked.diagnostics)


@pytest.mark.parametrize("name", [".env", ".git/config"])
@pytest.mark.parametrize("expect", ["given: {{data: {}}}", "given: {{data: []}}, expect: {{file: {}}}"])
def test_what_may_hold_secrets_is_no_file_of_a_test(check, write, expect, name):
    write(name, "SMTP_PASSWORD=Correct9Horse\n")
    expect = expect.format(name)
    expect = expect if "expect" in expect else f"{expect}, expect: {{row_count: 1}}"
    assert "outside-project" in rules(check(f"tests:\n  - {{name: t, {expect}}}\n"))


@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        ("timezone: " + "A" * 65, "too-long"),
        ("owner: " + "a" * 255, "too-long"),
        ('owner: ""', "empty"),
    ],
)
def test_what_the_schema_refuses_is_told_once(check, extra, rule):
    found = check(extra + "\n").diagnostics
    assert len(found) == 1


def test_a_text_that_is_too_long_is_not_looked_at_behind_any_number_of_findings(check, minimal):
    text = "".join(f"k{n}: 1\n" for n in range(300)) + minimal + "timezone: " + "a/" * 100_000 + "\n"
    assert "unknown-timezone" not in rules(check(text=text))


def test_a_folder_is_no_file(check, minimal, project):
    (project / "data").mkdir()
    (found,) = check(text=minimal.replace("sales.csv", "data")).diagnostics
    assert (found.rule, found.severity, found.hint) == ("missing-file", Severity.WARNING, "Name a file.")
    assert "folder" in found.message


def test_a_folder_that_becomes_a_file_is_noticed(context, minimal, project, write):
    (project / "data").mkdir()
    write("jobs.d/sales.yaml", minimal.replace("sales.csv", "data"))
    job_file = read_job_file(project / "jobs.d/sales.yaml", "jobs.d/sales.yaml")
    (dependency,) = inspect_file(job_file, context).verdict.dependencies
    assert dependency.is_current(context.files)
    (project / "data").rmdir()
    assert not dependency.is_current(context.files)
    write("data", "a\n1\n")
    assert not dependency.is_current(context.files)


@pytest.mark.parametrize(
    "other",
    ["Analyst@Bücher.example.com", "analyst@xn--bcher-kva.example.com", "ANALYST@XN--BCHER-KVA.EXAMPLE.COM"],
)
def test_an_address_in_other_letters_is_the_same(other):
    assert lint_people.mailbox(other) == lint_people.mailbox("analyst@bücher.example.com")


@given(st.text(max_size=40))
def test_any_text_has_a_mailbox(address):
    assert isinstance(lint_people.mailbox(address), str)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('"a@example.com, b@example.com"', "Write one address an item: [a@example.com, b@example.com]."),
        ('"a@example.com;B <b@example.com>"', "Write one address an item: [a@example.com, b@example.com]."),
        ("a@example.com\n   - b@example.com", "Write one address an item: [a@example.com, b@example.com]."),
        ("Team <team@example.com>", "Write team@example.com alone."),
        ("mailto:team@example.com", "Write team@example.com alone."),
        ("team at example.com", "Write one address, such as analyst@example.com."),
        ("Mailto:team@example.com", "Write team@example.com alone."),
        ('"team@example.com <team@example.com>"', "Write team@example.com alone."),
        (
            '"a@b.de b@b.de c@b.de d@b.de e@b.de f@b.de"',
            "Write one address an item: [a@b.de, b@b.de, c@b.de, d@b.de, e@b.de, …].",
        ),
    ],
)
def test_what_holds_whole_addresses_is_told_as_it_should_be_written(check, minimal, written, told):
    (found,) = check(text=minimal.replace("analyst@example.com", written)).diagnostics
    assert (found.rule, found.hint) == ("bad-address", told)


def test_of_many_wrong_values_twenty_are_told(check, minimal):
    recipients = "".join(f"  - a{n % 30}@exa_mple.com\n" for n in range(80))
    found = rules(check(text=minimal.replace("  - analyst@example.com\n", recipients)))
    assert (found.count("bad-address"), found.count("duplicate-address")) == (20, 20)
    params = "".join(f"    p{n}: ${{en:X}}\n" for n in range(50))
    text = minimal.replace("source_type: file\n  location: sales.csv\n  file_type: csv\n", "SOURCE")
    text = text.replace("SOURCE", f"source_type: api\n  location: https://a\n  params:\n{params}")
    assert rules(check(text=text)) == ["bad-reference"] * 20


@pytest.mark.parametrize("written", ['"\\x24{en:X}"', "'${en:X}'"])
def test_a_reference_is_looked_at_however_it_is_written(check, minimal, written):
    text = minimal.replace("file_type: csv", "file_type: csv\n  headers: {A: " + written + "}")
    assert "bad-reference" in rules(check(text=text))
