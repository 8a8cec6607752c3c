"""Each verb as a user types it."""

import csv
import io
import json
import shutil
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from runner.cli import VERBS

REPOSITORY = Path(__file__).resolve().parents[2]

JOB = """\
job_name: totals
schedule_time: "0 9 * * 1-5"
timezone: Europe/Berlin
data_source:
  source_type: file
  location: ./input/{file}
  file_type: {file_type}
{step}
consumer_emails:
  - analyst@example.com
"""
GROUPED = 'processing_script: |\n  result = data.groupby("category").sum()'
ROWS = [{"category": "b", "amount": 2}, {"category": "a", "amount": 1}, {"category": "b", "amount": 3}]
EXPECTED = "category,amount\na,1\nb,5\n"


def write_job(repository, *, file="data.csv", file_type="csv", step=GROUPED):
    folder = repository.folder / "input"
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_text("category,amount\nb,2\na,1\nb,3\n")
    (folder / "data.json").write_text(json.dumps(ROWS))
    repository.write("totals.yaml", JOB.format(file=file, file_type=file_type, step=step))
    return repository.commit("A job")


@pytest.mark.long
@pytest.mark.parametrize(("file", "file_type"), [("data.csv", "csv"), ("data.json", "json")])
def test_run_mails_the_group_keys(repository, runner, file, file_type):
    write_job(repository, file=file, file_type=file_type)
    done = runner("run", "totals", "--output", "out.csv", cwd=repository.folder)
    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stdout
    assert (repository.folder / "out.csv").read_text() == EXPECTED
    (kept,) = (repository.folder / "data" / "mail").glob("*.eml")
    mail = message_from_bytes(kept.read_bytes(), policy=policy.default)
    (part,) = mail.iter_attachments()
    assert part.get_payload(decode=True).decode() == EXPECTED


def test_run_with_sql(repository, runner):
    write_job(
        repository,
        step="processing_query: SELECT category, sum(amount)::INT AS amount FROM data GROUP BY 1 ORDER BY 1",
    )
    done = runner("run", "totals", "--no-mail", "--output", "out.csv", cwd=repository.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (repository.folder / "out.csv").read_text() == EXPECTED
    assert not (repository.folder / "data" / "mail").exists()


@pytest.mark.long
def test_a_dash_is_standard_output(repository, runner):
    write_job(repository)
    done = runner("run", "totals", "--no-mail", "--json", "--output", "-", cwd=repository.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"\n{EXPECTED}")
    assert not (repository.folder / "-").exists()


@pytest.mark.long
def test_run_json_is_one_run_of_the_history(repository, runner):
    commit = write_job(repository)
    done = runner("run", "totals", "--no-mail", "--at", "2026-01-05T08:00:00Z", "--json", cwd=repository.folder)
    run = json.loads(done.stdout)
    assert (run["state"], run["trigger"], run["rows_in"], run["rows_out"]) == ("succeeded", "manual", 3, 2)
    assert run["scheduled_time"] == "2026-01-05T08:00:00Z"
    assert run["revision"] == commit
    history = json.loads(runner("history", "totals", "--json", cwd=repository.folder).stdout)["runs"]
    assert [one["run_id"] for one in history] == [run["run_id"]]
    assert run["run_id"] in runner("history", cwd=repository.folder).stdout


@pytest.mark.long
def test_a_failing_script_shows_its_own_line(repository, runner):
    step = 'processing_script: |\n  print("so far so good")\n  result = data["revenue"]'
    write_job(repository, step=step)
    done = runner("run", "totals", cwd=repository.folder)
    assert done.returncode == 1
    assert 'File "jobs.d/totals.yaml", line 10' in done.stdout
    assert 'result = data["revenue"]' in done.stdout
    assert "KeyError" in done.stdout
    assert "so far so good" in done.stdout
    (kept,) = (repository.folder / "data" / "mail").glob("*.eml")
    mail = message_from_bytes(kept.read_bytes(), policy=policy.default)
    assert mail["Subject"].startswith("Job Failed: totals - ")
    assert "line 10" in mail.get_body(("plain",)).get_content()
    assert "site-packages/runner" not in mail.get_body(("plain",)).get_content()


@pytest.mark.long
def test_run_of_an_unknown_job_names_the_nearest(repository, runner):
    write_job(repository)
    done = runner("run", "total", cwd=repository.folder)
    assert done.returncode == 2
    assert "totals" in done.stderr


def test_list_and_next(repository, runner):
    write_job(repository)
    listed = json.loads(runner("list", "--json", cwd=repository.folder).stdout)["jobs"]
    assert [(job["job_name"], job["path"], job["sync"]) for job in listed] == [
        ("totals", "jobs.d/totals.yaml", "in_force")
    ]
    arguments = ("next", "totals", "--after", "2026-03-27T12:00:00Z", "--count", "2", "--json")
    (fires,) = json.loads(runner(*arguments, cwd=repository.folder).stdout)
    # Friday's clock is CET; over the weekend summer time begins.
    assert fires == {
        "job_name": "totals",
        "timezone": "Europe/Berlin",
        "fires": ["2026-03-30T07:00:00Z", "2026-03-31T07:00:00Z"],
    }
    assert "totals" in runner("list", cwd=repository.folder).stdout
    assert "2026-03-30 09:00 CEST (+02:00)" in runner(*arguments[:-1], cwd=repository.folder).stdout


def test_init_makes_a_repository_that_validates_and_runs(tmp_path, runner):
    done = runner("init", "reports", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "reports"
    assert runner("validate", cwd=folder).returncode == 0
    assert runner("run", "example", "--no-mail", "--output", "out.csv", cwd=folder).returncode == 0
    rows = list(csv.reader(io.StringIO((folder / "out.csv").read_text())))
    assert rows[0] == ["region", "amount"]
    (folder / "jobs.d" / "example.yaml").write_text("mine\n")
    again = runner("init", "reports", cwd=tmp_path)
    assert "kept" in again.stdout
    assert (folder / "jobs.d" / "example.yaml").read_text() == "mine\n"


@pytest.mark.long
def test_the_jobs_of_this_repository_are_valid_and_only_the_one_with_an_example_address_is_suspended(
    tmp_path, runner
):
    shutil.copytree(REPOSITORY / "jobs.d", tmp_path / "jobs.d")
    assert runner("validate", "--strict", cwd=tmp_path).returncode == 0
    jobs = json.loads(runner("list", "--json", cwd=tmp_path).stdout)["jobs"]
    assert len(jobs) == 6
    assert [job["job_name"] for job in jobs if job["suspended"]] == ["sales_by_category"]
    done = runner("run", "large_orders", "--no-mail", "--output", "out.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.csv").read_text().startswith("region,category,orders,amount\n")


def test_demo_runs_every_job_and_names_its_mails(tmp_path, runner):
    done = runner("demo", "--once", "--directory", "demo", cwd=tmp_path, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    mails = sorted((tmp_path / "demo" / "data" / "mail").glob("*.eml"))
    assert len(mails) >= 5
    assert all(str(path) in done.stdout for path in mails)
    subjects = [message_from_bytes(path.read_bytes(), policy=policy.default)["Subject"] for path in mails]
    assert sum(subject.startswith("Job Failed: broken_on_purpose") for subject in subjects) == 1
    assert {subject.split(":")[1].split(" - ")[0].strip() for subject in subjects} == {
        "broken_on_purpose",
        "large_orders",
        "region_targets",
        "sales_by_category",
        "sensor_hours",
        "stock_to_reorder",
    }


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(tmp_path, runner, verb):
    done = runner(verb, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: runner {verb}")


def test_the_command_names_every_verb(tmp_path, runner):
    shown = runner("--help", cwd=tmp_path).stdout
    assert [verb for verb in VERBS if verb not in shown] == []


@pytest.mark.long
def test_a_wrong_setting_is_named(tmp_path, runner):
    done = runner("list", cwd=tmp_path, env={"SCRIPT_TIMEOUT": "soon"})
    assert done.returncode == 3
    assert "SCRIPT_TIMEOUT" in done.stderr
    assert "hint" in done.stderr


def test_wrong_usage_is_exit_code_two(tmp_path, runner):
    assert runner("validate", "no-such-file.yaml", cwd=tmp_path).returncode == 2
    assert runner("fly", cwd=tmp_path).returncode == 2


@pytest.mark.long
def test_output_of_a_failing_job_leaves_the_report_and_exit_code_one(repository, runner):
    write_job(repository, step='processing_script: result = data["revenue"]')
    for options, shown in (((), "KeyError"), (("--json",), '"state": "failed"')):
        done = runner("run", "totals", "--no-mail", "--output", "out.csv", *options, cwd=repository.folder)
        assert done.returncode == 1
        assert shown in done.stdout
        assert "no result to write to out.csv" in done.stderr
        assert not (repository.folder / "out.csv").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", ["r.xlsx", "r.PARQUET", "r.csv.gz", "r.json"])
def test_a_file_that_is_called_another_form_is_refused_before_the_run(repository, runner, name):
    write_job(repository)
    done = runner("run", "totals", "--no-mail", "--output", name, cwd=repository.folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--output writes CSV, and {name} is called something else" in " ".join(done.stderr.split())
    assert "such as r.csv" in done.stderr
    assert not (repository.folder / name).exists()
    assert json.loads(runner("history", "totals", "--json", cwd=repository.folder).stdout)["runs"] == []


@pytest.mark.long
def test_a_folder_that_is_not_there_is_said_before_anybody_is_mailed(repository, runner):
    write_job(repository)
    done = runner("run", "totals", "--output", "nowhere/out.csv", cwd=repository.folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert "nowhere/out.csv cannot be written: there is no folder" in done.stderr
    assert "Nothing has been run" in done.stderr
    assert json.loads(runner("history", "totals", "--json", cwd=repository.folder).stdout)["runs"] == []


@pytest.mark.long
def test_a_result_that_cannot_be_written_is_said_after_the_report(repository, runner):
    write_job(repository)
    done = runner("run", "totals", "--no-mail", "--output", "/dev/full", cwd=repository.folder)
    assert done.returncode == 3
    assert "succeeded" in done.stdout
    assert "/dev/full cannot be written: No space left on device" in done.stderr
    assert "hint" in done.stderr


@pytest.mark.long
def test_texts_of_users_are_shown_as_they_are(repository, runner):
    step = 'processing_script: |\n  print("[/x] \\x1b[2J")\n  result = data[data["[/y] \\x1b[2J"]]'
    write_job(repository, step=f'description: "Sales [/EU]"\n{step}')
    done = runner("run", "totals", "--no-mail", cwd=repository.folder)
    assert done.returncode == 1, done.stderr
    assert "Sales [/EU]" in done.stdout
    assert "[/x] \\x1b[2J" in done.stdout
    assert "KeyError: '[/y] " in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.long
def test_next_tells_a_suspended_job_from_one_that_fires(repository, runner):
    write_job(repository, step=f"suspend: true\n{GROUPED}")
    assert "suspended" in runner("next", cwd=repository.folder).stdout
    write_job(repository)
    far = runner("next", "--after", "9000-12-31", "--count", "1", cwd=repository.folder)
    assert far.returncode == 0, far.stderr
    assert "9000-12-31 09:00 CET (+01:00)" in far.stdout


@pytest.mark.long
@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_tells_why_a_start_failed_and_the_console_once(repository, runner, form):
    env = {"STATUS_HOST": "203.0.113.7", "LOG_FILE": "runner.log", "LOG_FORMAT": form}
    done = runner("start", cwd=repository.folder, env=env)
    assert done.returncode == 3
    last = (repository.folder / "runner.log").read_text().splitlines()[-1]
    if form == "json":
        line = json.loads(last)
        assert line["level"] == "CRITICAL"
        assert "Set STATUS_HOST to" in line["message"]
    else:
        assert " - CRITICAL - " in last
        assert "Set STATUS_HOST to" in last
    assert done.stderr.splitlines()[-1] == last
    assert done.stderr.count("cannot listen on 203.0.113.7") == 1


@pytest.mark.long
def test_a_demo_where_nothing_can_be_written_says_so(tmp_path, runner):
    done = runner("demo", "--once", "--directory", "/proc/demo", cwd=tmp_path)
    assert done.returncode == 3
    assert "/proc/demo" in done.stderr
    assert "--directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_demo_overwrites_nothing(tmp_path, runner):
    (tmp_path / "mine.txt").write_text("mine")
    done = runner("demo", "--once", "--directory", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
