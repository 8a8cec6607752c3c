"""`runner test` and `runner run --sample` as a team meets them: the installed command in a repository of jobs."""

import json
import xml.etree.ElementTree as ET

import pytest

ORDERS = """\
job_name: orders
schedule_time: "0 9 * * 1-5"
data_source:
  source_type: api
  location: https://api.example.com/orders
  auth: {type: bearer, token: "${env:ORDERS_TOKEN}"}
processing_script: |
  print("orders:", len(data))
  large = data[data["amount"] > 100]
  result = large.groupby("region", as_index=False)["amount"].sum()
consumer_emails: [analyst@example.com]
tests:
  - name: keeps large orders
    given:
      data:
        - {region: north, amount: 120}
        - {region: south, amount: 80}
    expect:
      rows: [{region: north, amount: 120}]
  - name: adds them up
    given: {data: tests/orders.json}
    expect: {file: tests/sums.csv}
"""
PLAIN = ORDERS.partition("tests:")[0].replace("job_name: orders", "job_name: plain")
GIVEN = (
    '[{"region": "north", "amount": 101}, {"region": "north", "amount": 102}, {"region": "east", "amount": 300}]'
)
SUMS = "region,amount\neast,300\nnorth,203\n"


@pytest.fixture
def project(repository):
    repository.write("orders.yaml", ORDERS)
    repository.write("plain.yaml", PLAIN)
    (repository.folder / "tests").mkdir()
    (repository.folder / "tests" / "orders.json").write_text(GIVEN)
    (repository.folder / "tests" / "sums.csv").write_text(SUMS)
    return repository


def test_all_pass(runner, project):
    done = runner("test", cwd=project.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 tests in ")
    assert done.stdout.endswith(" s: 2 passed; 1 job has no tests\n")
    assert not (project.folder / "data").exists()
    assert project.git("status", "--porcelain", "--untracked-files=all").count("\n") == 3, (
        "nothing else was written"
    )


@pytest.mark.long
def test_a_failing_test_shows_the_cells_that_differ(runner, project):
    (project.folder / "tests" / "sums.csv").write_text(SUMS.replace("203", "204") + "west,1\n")
    done = runner("test", "orders", cwd=project.folder)
    assert (done.returncode, done.stderr) == (1, "")
    head, message, *table = done.stdout.split("\n")
    assert head == "FAILED orders: adds them up  jobs.d/orders.yaml:20"
    assert message == "  1 cell differs, 1 row is missing"
    assert [line.split() for line in table[:4] if "─" not in line] == [
        ["row", "column", "expected", "got"],
        ["2", "amount", "204", "203"],
        ["3", "region=west,", "amount=1", "missing"],
    ]
    assert "    orders: 3\n" in done.stdout
    assert "2 tests in" in done.stdout
    assert "1 passed, 1 failed" in done.stdout


@pytest.mark.long
def test_a_failing_script_shows_its_lines_in_the_job_file(runner, project):
    project.write("orders.yaml", ORDERS.replace('large.groupby("region"', 'large.groupby("regio"'))
    done = runner("test", "jobs.d/orders.yaml", cwd=project.folder)
    assert done.returncode == 1
    assert 'File "jobs.d/orders.yaml", line 10, in <module>' in done.stdout
    assert '      result = large.groupby("regio"' in done.stdout


@pytest.mark.long
def test_expected_files_are_rewritten(runner, project):
    sums = project.folder / "tests" / "sums.csv"
    sums.unlink()
    missing = runner("test", cwd=project.folder)
    assert (missing.returncode, "hint: runner test --update" in missing.stdout) == (1, True)
    written = runner("test", "--update", cwd=project.folder)
    assert (written.returncode, written.stdout.split("\n")[0]) == (0, "wrote tests/sums.csv")
    assert sums.read_text() == SUMS
    assert "wrote" not in runner("test", "--update", cwd=project.folder).stdout


@pytest.mark.long
@pytest.mark.parametrize("content", [None, b"\xff"], ids=["missing", "no CSV"])
def test_update_is_not_promised_for_what_it_does_not_write(runner, project, content):
    project.write("orders.yaml", ORDERS.replace("tests/sums.csv", "tests/sums.json"))
    if content is not None:
        (project.folder / "tests" / "sums.json").write_bytes(content)
    done = runner("test", cwd=project.folder)
    assert "hint: An expected file is a CSV: name one that ends in .csv" in done.stdout
    refused = runner("test", "--update", cwd=project.folder)
    assert "tests/sums.json is not written" in refused.stdout


@pytest.mark.long
def test_json_and_junit(runner, project):
    project.write("broken.yaml", ORDERS.replace("consumer_emails", "consumers").replace("orders", "broken", 1))
    done = runner("test", "--format", "json", cwd=project.folder)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert [document[key] for key in ("tests", "passed", "failed", "errors")] == [3, 2, 0, 1]
    broken, keeps, _ = document["results"]
    assert (broken["path"], broken["name"], broken["outcome"]) == ("jobs.d/broken.yaml", None, "error")
    assert (keeps["job_name"], keeps["line"], keeps["name"]) == ("orders", 13, "keeps large orders")
    target = project.folder / "report.xml"
    done = runner("test", "--format", "junit", "--output", str(target), cwd=project.folder)
    assert (done.returncode, "written to" in done.stdout) == (1, True)
    assert ET.parse(target).getroot().attrib["tests"] == "3"


@pytest.mark.long
def test_what_is_printed_cannot_steer_a_terminal(runner, project):
    steered = ORDERS.replace('"orders:"', r'"\\x1b[31m"'.replace("\\\\", "\\"))
    project.write("orders.yaml", steered.replace("amount: 120}]", 'amount: 120, "\\e]0;x": 1}]'))
    done = runner("test", cwd=project.folder)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m" in done.stdout


@pytest.mark.long
def test_usage(runner, project):
    unknown = runner("test", "ordrs", cwd=project.folder)
    assert (unknown.returncode, "Did you mean 'orders'?" in unknown.stderr) == (2, True)
    named = runner("test", "plain", cwd=project.folder)
    assert (named.returncode, named.stdout.split("\n")[0]) == (0, "plain has no tests")
    assert runner("test", cwd=project.folder / "tests").returncode == 3


@pytest.mark.long
def test_a_sample_of_a_job(runner, project):
    done = runner("run", "orders", "--sample", "1", cwd=project.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "orders: 1" in done.stdout
    assert "north" in done.stdout
    assert not (project.folder / "data").exists(), "nothing is recorded"
    run = json.loads(runner("run", "orders", "--sample", "2", "--json", cwd=project.folder).stdout)
    assert (run["state"], run["rows_in"], run["rows_out"], run["deliveries"]) == ("succeeded", 2, 1, [])


@pytest.mark.long
def test_a_sample_that_fails_or_makes_no_sense(runner, project):
    project.write("orders.yaml", ORDERS.replace('data["amount"]', 'data["amuont"]'))
    failed = runner("run", "orders", "--sample", "5", cwd=project.folder)
    assert (failed.returncode, "KeyError: 'amuont'" in failed.stdout) == (1, True)
    assert runner("run", "plain", "--sample", "5", cwd=project.folder).returncode == 2
    assert runner("run", "orders", "--sample", "5", "--output", "x.csv", cwd=project.folder).returncode == 2
    assert runner("run", "orders", "--sample", "0", cwd=project.folder).returncode == 2
