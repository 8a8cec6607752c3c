"""`runner fmt` and `runner import` as they are called: files on disk, exit codes, what is printed."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

JOBS = Path(__file__).parents[2] / "jobs.d"
LOOSE = "# of the schedule\r\nschedule_time: 0 9 * * 1\r\njob_name: 'loose' # a name\r\n"
TIDY = 'job_name: loose  # a name\n# of the schedule\nschedule_time: "0 9 * * 1"\n'
STORED = {
    "job_name": "daily_sales",
    "schedule_time": "0 9 * * 1-5",
    "data_source": {"source_type": "file", "location": "./data/input.csv", "file_type": "csv"},
    "processing_script": "result = data[['a']]",
    "consumer_emails": ["analyst@example.com"],
}
DAILY_SALES = """\
job_name: daily_sales
schedule_time: "0 9 * * 1-5"
data_source:
  source_type: file
  location: ./data/input.csv
  file_type: csv
processing_script: |
  result = data[['a']]
consumer_emails:
  - analyst@example.com
"""


@pytest.fixture
def project(tmp_path):
    """A folder of three jobs: one in canonical form, one that is not, one that does not parse."""
    jobs = tmp_path / "jobs.d"
    jobs.mkdir()
    (jobs / "tidy.yaml").write_text(TIDY.replace("loose", "tidy"))
    (jobs / "loose.yaml").write_bytes(LOOSE.encode())
    (jobs / "broken.yaml").write_text("job_name: [\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "input.csv").write_text("a\n1\n")
    return tmp_path


@pytest.fixture
def store(project):
    """`store(document)` → the path of a file of stored jobs; texts and bytes are written as they are."""

    def call(document):
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        (project / "jobs.json").write_bytes(content)
        return "jobs.json"

    return call


@pytest.fixture
def imports(runner, project, store):
    """`imports(document)` → the answer of `import --json`, and the exit code."""

    def call(document, *arguments):
        done = runner("import", store(document), "--output-dir", "new/jobs.d", "--json", *arguments, cwd=project)
        return json.loads(done.stdout)["jobs"], done.returncode

    return call


@pytest.mark.long
def test_fmt_formats_all_it_can_and_names_the_rest(runner, project):
    done = runner("fmt", cwd=project)
    assert done.returncode == 1
    assert done.stdout == "1 file reformatted, 1 file left unchanged, 1 file cannot be formatted\n"
    assert done.stderr.startswith("jobs.d/broken.yaml:2:1: error: ")
    assert (project / "jobs.d/loose.yaml").read_bytes() == TIDY.encode()
    assert (project / "jobs.d/broken.yaml").read_text() == "job_name: [\n"
    again = runner("fmt", "jobs.d/loose.yaml", "jobs.d/tidy.yaml", cwd=project)
    assert (again.returncode, again.stdout) == (0, "2 files left unchanged\n")
    assert sorted(path.name for path in (project / "jobs.d").iterdir()) == [
        "broken.yaml",
        "loose.yaml",
        "tidy.yaml",
    ]


@pytest.mark.long
def test_fmt_check_writes_nothing(runner, project):
    done = runner("fmt", "--check", "jobs.d/loose.yaml", "jobs.d/tidy.yaml", cwd=project)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "would reformat jobs.d/loose.yaml\n1 file would be reformatted, 1 file already formatted\n"
    )
    assert (project / "jobs.d/loose.yaml").read_bytes() == LOOSE.encode()
    assert runner("fmt", "--check", "jobs.d/tidy.yaml", cwd=project).returncode == 0


@pytest.mark.long
def test_fmt_names_a_file_on_one_line(runner, project):
    for name, text in (("late", "schedule_time:   '@daily'\n"), ("torn", "job_name: [torn\n")):
        (project / f"jobs.d/{name}\n::error::forged.yaml").write_text(text)
    done = runner("fmt", "--check", cwd=project)
    assert "would reformat jobs.d/late ::error::forged.yaml\n" in done.stdout
    assert "jobs.d/torn ::error::forged.yaml:1:11: error: " in done.stderr


@pytest.mark.long
def test_fmt_diff_prints_what_git_applies(runner, project):
    # Line ends of Windows in the middle of a diff would be lost on the way through a pipe of texts.
    (project / "jobs.d/loose.yaml").write_text(LOOSE.replace("\r\n", "\n").removesuffix("\n"))
    done = runner("fmt", "--diff", "jobs.d", cwd=project)
    assert done.returncode == 1
    assert "\\ No newline at end of file" in done.stdout
    assert "1 file would be reformatted" in done.stderr
    subprocess.run(["git", "apply", "-p0"], input=done.stdout, text=True, cwd=project, check=True)
    assert (project / "jobs.d/loose.yaml").read_text() == TIDY
    assert runner("fmt", "--diff", "jobs.d/loose.yaml", cwd=project).stdout == ""


def test_fmt_keeps_modes_and_links(runner, project):
    real = project / "elsewhere.yaml"
    real.write_bytes(b"\xef\xbb\xbf" + LOOSE.encode())
    real.chmod(0o640)
    link = project / "jobs.d/loose.yaml"
    link.unlink()
    link.symlink_to(real)
    assert runner("fmt", "jobs.d/loose.yaml", cwd=project).returncode == 0
    assert link.is_symlink()
    assert real.read_text() == TIDY
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.long
def test_fmt_takes_standard_input(runner, project):
    def call(text, *arguments):
        return runner("fmt", "-", *arguments, text=text, cwd=project)

    done = call(LOOSE.replace("\r\n", "\n"))
    assert (done.returncode, done.stdout, done.stderr) == (0, TIDY, "")
    assert call(TIDY, "--check").returncode == 0
    checked = call("b: 1\njob_name: a\n", "--check", "--stdin-filename", "jobs.d/a.yaml")
    assert (checked.returncode, checked.stdout) == (1, "would reformat jobs.d/a.yaml\n")
    broken = call("a: [")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert broken.stderr.startswith("<stdin>:2:1: error: ")
    assert call("max_memory_mb: 64\nallowed_hosts: []\n", "--stdin-filename", "_policy.yaml").stdout.startswith(
        "allowed"
    )


def test_fmt_formats_the_settings_of_folders(runner, project):
    (project / "jobs.d/_defaults.yaml").write_text("timeout_seconds: 5\nowner: 'a@example.com'\n")
    (project / "jobs.d/_notes.yaml").write_text("b:   1\n")
    done = runner("fmt", "jobs.d", "jobs.d/_notes.yaml", cwd=project)
    assert done.stdout.startswith("2 files reformatted, ")
    assert (project / "jobs.d/_defaults.yaml").read_text() == "owner: a@example.com\ntimeout_seconds: 5\n"
    assert (project / "jobs.d/_notes.yaml").read_text() == "b:   1\n"


@pytest.mark.long
def test_fmt_says_what_stops_it(runner, project, tmp_path_factory):
    missing = runner("fmt", "nowhere", cwd=project)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "there is no nowhere" in missing.stderr
    assert runner("fmt", "-", "jobs.d", cwd=project).returncode == 2
    assert runner("fmt", cwd=tmp_path_factory.mktemp("empty")).returncode == 3


@pytest.mark.long
def test_the_jobs_of_the_project_are_in_canonical_form(runner):
    done = runner("fmt", "--check", str(JOBS), cwd=JOBS.parent)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_import_writes_a_valid_file_for_each_job(runner, project, store):
    (project / "schemas").mkdir()
    (project / "schemas/job.schema.json").write_text("{}")
    old = {**STORED, "job_name": "Stock Levels!", "created_at": "2024-01-01T00:00:00"}
    done = runner("import", store({"daily_sales": STORED, "Stock Levels!": old}), cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "written   jobs.d/daily_sales.yaml",
        "written   jobs.d/stock_levels.yaml",
        '  changed   job_name: "Stock Levels!" is now stock_levels',
        "  left out  created_at: the service's own record of the job",
    ]
    assert [line.split(" ")[0] for line in lines[4:-1]] == ["", "Schedules", "Days", "Relative", "Scripts"]
    assert "0 = Sunday" in lines[6]
    assert lines[-1] == "2 jobs: 2 written; all carried over and valid."
    modeline = "# yaml-language-server: $schema=../schemas/job.schema.json\n"
    assert (project / "jobs.d/daily_sales.yaml").read_text() == modeline + DAILY_SALES
    second = (project / "jobs.d/stock_levels.yaml").read_text()
    assert second.startswith(
        modeline + '# The REST service called this job "Stock Levels!".\njob_name: stock_levels\n'
    )
    files = ["jobs.d/daily_sales.yaml", "jobs.d/stock_levels.yaml"]
    assert runner("validate", "--strict", *files, cwd=project).returncode == 0
    assert runner("fmt", "--check", *files, cwd=project).returncode == 0


def test_import_never_changes_a_file_that_exists(runner, project, store):
    before = (project / "jobs.d/tidy.yaml").read_text()
    done = runner("import", store([{**STORED, "job_name": "tidy"}]), cwd=project)
    assert done.returncode == 1
    assert "kept      jobs.d/tidy.yaml is there already and stays as it is" in done.stdout
    assert (project / "jobs.d/tidy.yaml").read_text() == before


def test_import_lists_what_validate_finds_in_the_files_it_wrote(imports, project):
    bad = {**STORED, "job_name": "bad", "schedule_time": "0 0 9 * * *", "processing_script": "result = ("}
    jobs, code = imports([bad, STORED])
    assert code == 1
    assert [found["rule"] for found in jobs[0]["diagnostics"]] == ["cron-syntax", "missing-file", "script-syntax"]
    assert [job["state"] for job in jobs] == ["written", "written"]
    assert [job["needs_attention"] for job in jobs] == [True, False]
    assert (project / "new/jobs.d/bad.yaml").exists()


def test_import_finds_a_name_that_another_file_has(runner, project, store):
    taken = DAILY_SALES.replace("job_name: daily_sales", "job_name: one")
    (project / "jobs.d/other.yaml").write_text(taken)
    done = runner("import", store([{**STORED, "job_name": "one"}]), "--json", cwd=project)
    (job,) = json.loads(done.stdout)["jobs"]
    assert (done.returncode, job["state"]) == (1, "written")
    assert [found["rule"] for found in job["diagnostics"]] == ["duplicate-job-name"]


def test_import_drops_no_entry_in_silence(imports):
    jobs, code = imports(
        [
            3,
            {"schedule_time": "@daily"},
            {**STORED, "description": "\ud800"},
            {**STORED, "x": 1},
            {**STORED, "tags": ["a"]},
            STORED,
        ]
    )
    assert code == 1
    assert [job["state"] for job in jobs] == ["left_out", "left_out", "left_out", "written", "written", "left_out"]
    assert all(job["notes"] for job in jobs)
    assert [job["job_name"] for job in jobs[2:]] == ["daily_sales", "daily_sales_2", "daily_sales_3", None]


def test_import_shows_no_credential(runner, project, store):
    address = "https://reports:hunter2hunter2@api.example.com/sales"
    stored = {**STORED, "data_source": {"source_type": "api", "location": address}}
    done = runner("import", store([stored]), cwd=project)
    assert done.returncode == 1
    assert "[literal-credential]" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.long
def test_import_keeps_a_terminal_from_obeying_names(runner, project, store):
    done = runner("import", store([{**STORED, "job_name": "a\x1b[31m\u202eb"}]), cwd=project)
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    text = (project / "jobs.d/a_31mb.yaml").read_text()
    assert text.startswith('# The REST service called this job "a\\u001b[31m\\u202eb".\n')
    assert runner("fmt", "--check", "jobs.d/a_31mb.yaml", cwd=project).returncode == 0


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b'[\n  {"job_name": }\n]', 3, "jobs.json:2:16: this is no JSON: expecting value"),
        (b"[" * 100_000, 3, "jobs.json is nested too deeply"),
        (b"\xe9", 3, "jobs.json is not UTF-8"),
    ],
)
def test_import_says_why_a_file_cannot_be_read(runner, project, store, content, code, words):
    done = runner("import", store(content), cwd=project)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.long
def test_import_of_no_jobs_says_so(runner, project, store):
    done = runner("import", store([]), cwd=project)
    assert (done.returncode, done.stdout) == (0, "The file holds no jobs.\n")
    assert runner("import", "nowhere.json", cwd=project).returncode == 3
    assert runner("import", cwd=project).returncode == 2
