"""The frame around the verbs: what is imported, and how errors end."""

import subprocess
import sys

import pytest

HEAVY = ("pandas", "numpy", "duckdb", "sqlalchemy", "starlette", "uvicorn", "requests", "rich", "yaml", "watchdog")


def modules_after(*arguments: str, cwd) -> set[str]:
    program = (
        "import sys\n"
        "from runner.cli import main\n"
        f"sys.argv = ['runner', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


def test_help_imports_nothing_heavy(tmp_path):
    assert not modules_after("--help", cwd=tmp_path) & set(HEAVY)
    assert not modules_after("validate", "--help", cwd=tmp_path) & set(HEAVY)


def test_validate_imports_no_data_library_for_a_script(tmp_path):
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d" / "a.yaml").write_text(
        "job_name: a\nschedule_time: '@daily'\n"
        "data_source: {source_type: file, location: a.csv, file_type: csv}\n"
        "processing_script: result = data\nconsumer_emails: [a@example.com]\n"
    )
    loaded = modules_after("validate", cwd=tmp_path)
    assert "yaml" in loaded
    assert not loaded & (set(HEAVY) - {"yaml"})


def test_the_service_never_imports_pandas_or_duckdb():
    program = "import sys, runner.service.loop; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not {"pandas", "numpy", "duckdb", "pyarrow"} & set(done.stdout.split())


@pytest.mark.parametrize("arguments", [["nosuchverb"], ["next", "--count", "0"], ["next", "--after", "soon"]])
def test_wrong_usage_ends_with_two(tmp_path, arguments):
    program = "from runner.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Usage" in done.stderr
