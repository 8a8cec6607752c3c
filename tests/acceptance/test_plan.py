"""`runner plan` as a user and a CI job meet it."""

import json

import pytest

JOB = """\
job_name: {name}
schedule_time: "{schedule}"
data_source:
  source_type: api
  location: https://api.example.com/sales
consumer_emails:
  - analyst@example.com
"""


@pytest.fixture
def change(repository):
    """A branch that changes one job and adds another."""
    repository.write("sales.yaml", JOB.format(name="sales", schedule="0 9 * * *"))
    repository.commit("one")
    repository.git("checkout", "-qb", "change")
    repository.write("sales.yaml", JOB.format(name="sales", schedule="0 8 * * *"))
    repository.write("stock.yaml", JOB.format(name="stock", schedule="@daily"))
    repository.commit("two")
    return repository


@pytest.mark.long
def test_a_pull_request_is_shown(change, runner):
    done = runner("plan", "--base", "main", cwd=change.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "~ sales  changed  jobs.d/sales.yaml\n    - schedule_time: 0 9 * * *\n" in done.stdout
    assert done.stdout.endswith("Plan: 1 added, 1 changed\n")


@pytest.mark.long
def test_exit_codes(change, runner):
    def code(*arguments):
        return runner("plan", *arguments, cwd=change.folder).returncode

    assert code("--base", "main") == 0
    assert code("--base", "main", "--exit-code") == 1
    assert code("--base", "HEAD", "--exit-code") == 0
    assert code() == 2
    assert code("--base", "main", "--head", "change", "--working-tree") == 2
    assert code("--base", "nothing") == 3
    change.write("stock.yaml", "job_name: stock\n")
    assert code("--base", "main") == 0
    assert code("--base", "main", "--working-tree") == 1
    change.commit("broken")
    assert code("--base", "main") == 1
    assert code("--base", "HEAD") == 1


@pytest.mark.long
def test_a_missing_base_is_told_with_a_remedy(change, runner):
    done = runner("plan", "--base", "nothing", cwd=change.folder)
    assert done.stderr.startswith("error: there is no commit 'nothing' here\n  hint: ")
    assert done.stdout == ""


@pytest.mark.long
def test_a_comment_for_a_bot(change, runner, tmp_path):
    target = tmp_path / "comment.md"
    target.write_text("before")
    done = runner("plan", "--base", "main", "--format", "markdown", "--output", str(target), cwd=change.folder)
    assert (done.returncode, done.stdout) == (0, "Plan: 1 added, 1 changed\n")
    assert target.read_text().startswith("<!-- runner plan -->\n### Plan: 1 added, 1 changed\n")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["comment.md"]


@pytest.mark.long
def test_json_for_a_program(change, runner):
    done = runner("plan", "--base", "main", "--format", "json", cwd=change.folder)
    document = json.loads(done.stdout)
    assert [(job["job_name"], job["actions"]) for job in document["jobs"]] == [
        ("sales", ["changed"]),
        ("stock", ["added"]),
    ]
    assert document["jobs"][0]["fires_after"][0].endswith("T08:00:00Z")


@pytest.mark.long
def test_a_removed_job_is_missed_by_those_after_it(change, runner):
    change.write(
        "report.yaml",
        JOB.format(name="report", schedule="@daily").replace('schedule_time: "@daily"', "after: [sales]"),
    )
    change.commit("three")
    added = runner("plan", "--base", "HEAD~1", cwd=change.folder)
    assert "next fires: none of its own, it runs after sales\n" in added.stdout
    (change.jobs / "sales.yaml").unlink()
    change.commit("four")
    done = runner("plan", "--base", "HEAD~1", cwd=change.folder)
    assert done.returncode == 1
    assert "! jobs.d/report.yaml  newly invalid" in done.stdout
    assert "report comes after sales, and there is no such job" in done.stdout


@pytest.mark.long
def test_without_a_repository(runner, tmp_path):
    (tmp_path / "jobs.d").mkdir()
    done = runner("plan", "--base", "main", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (3, "error: this is no git repository")


def test_help_names_every_format(runner, tmp_path):
    from runner.planning.render import FORMATS

    done = runner("plan", "--help", cwd=tmp_path)
    assert f"[{'|'.join(FORMATS)}]" in done.stdout
