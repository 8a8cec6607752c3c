"""The frame around the verbs: what is imported, and how errors end."""

import contextlib
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.cli import VERBS, main

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


@pytest.mark.long
def test_help_imports_nothing_heavy(tmp_path):
    assert not modules_after("--help", cwd=tmp_path) & set(HEAVY)
    for verb in ("validate", "mail", "doctor", "status"):
        assert not modules_after(verb, "--help", cwd=tmp_path) & set(HEAVY), verb


def test_the_help_of_every_verb_is_in_one_style():
    verbs = [(verb,) for verb in VERBS] + [("mail", verb) for verb in ("list", "show", "retry", "hold")]
    helps = {verb: CliRunner().invoke(main, [*verb, "--help"], prog_name="runner").stdout for verb in verbs}
    for verb, text in helps.items():
        for odd in ("INTEGER", "TEXT", "DIRECTORY", "Exit code 1", "COMMAND", "..."):
            assert odd not in text.replace("]...", "").replace("ID...", ""), (verb, odd)
        # A paragraph of its own, at the end.
        before, found, _ = text.partition("Exit codes: 0 ")
        assert not found or before.endswith("\n\n  "), verb
    for verb in ("backfill", "doctor", "fmt", "import", "plan", "run", "start", "status", "test", "validate"):
        assert "Exit codes: 0 " in helps[(verb,)]
    assert "\n    # yaml-language-server: $schema=" in helps[("schema",)]


@pytest.fixture
def folder(tmp_path):
    """One with a job whose step is a script."""
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d" / "a.yaml").write_text(
        "job_name: a\nschedule_time: '@daily'\n"
        "data_source: {source_type: file, location: a.csv, file_type: csv}\n"
        "processing_script: result = data\nconsumer_emails: [a@example.com]\n"
    )
    return tmp_path


@pytest.mark.long
def test_validate_imports_no_data_library_for_a_script(folder):
    loaded = modules_after("validate", cwd=folder)
    assert "yaml" in loaded
    assert not loaded & (set(HEAVY) - {"yaml"})


@pytest.mark.long
@pytest.mark.parametrize("arguments", [["next"], ["next", "a"], ["show", "a"]])
def test_what_needs_no_history_imports_no_database(folder, arguments):
    loaded = modules_after(*arguments, cwd=folder)
    assert "rich" in loaded
    assert not {"sqlalchemy", "requests", "pandas", "duckdb"} & loaded


@pytest.mark.long
def test_the_service_never_imports_pandas_or_duckdb():
    program = "import sys, runner.service.loop; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not {"pandas", "numpy", "duckdb", "pyarrow"} & set(done.stdout.split())


@pytest.fixture
def forked(commands, tmp_path):
    """`forked(*arguments)`: the command in a folder of its own, where nothing depends on how its process began."""
    return lambda *arguments, **env: commands(*arguments, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1", **env})


@pytest.mark.parametrize("arguments", [["nosuchverb"], ["next", "--count", "0"], ["next", "--after", "soon"]])
def test_wrong_usage_ends_with_two(forked, arguments):
    done = forked(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def call(program, *arguments, cwd, env=None):
    # As the installed command: without the working folder in its path.
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


MAIN = "from runner.cli import main; main()"
# Runs a verb in a folder that is removed under it.
GONE = "import os, sys, tempfile; folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder); " + MAIN
# Sends a signal while a verb is still importing what it needs.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{number})
sys.meta_path.insert(0, Interrupt())
from runner.cli import main
main()
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "time", ["9999-12-31", "0001-01-01", "0001-01-01T00:00:00+05:00", "9001-01-01", "1969-12-31"]
)
@pytest.mark.parametrize("verb", [("next", "--after"), ("run", "any", "--at")])
def test_a_time_at_the_ends_of_the_calendar_is_wrong_usage(forked, verb, time):
    done = forked(*verb, time)
    assert done.returncode == 2
    assert f"Invalid value for '{verb[-1]}': " in done.stderr
    assert "the year must be 1970 to 9000" in done.stderr


def test_a_verb_that_is_misspelt_is_told_the_nearest(forked):
    done = forked("vaildate")
    assert (done.returncode, "There is no verb 'vaildate'. Did you mean validate?" in done.stderr) == (2, True)
    assert "Did you mean" not in forked("fly").stderr


def test_completion_behind_a_verb_that_is_misspelt_says_nothing(tmp_path):
    typed = {"_RUNNER_COMPLETE": "bash_complete", "COMP_WORDS": "runner vaildate --", "COMP_CWORD": "2"}
    done = call("from runner.cli import main; main(prog_name='runner')", cwd=tmp_path, env=typed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_the_exit_code_tells_of_an_error_that_cannot_be_printed(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "list"], cwd=tmp_path, stderr=full, timeout=60, check=False
        )
    assert done.returncode == 3


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments", [["list"], ["validate"], ["init"], ["history"], ["next"], ["demo"], ["start"]]
)
def test_a_working_folder_that_is_gone_is_said(tmp_path, arguments):
    done = call(GONE, *arguments, cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "working folder" in done.stderr
    assert "hint" in done.stderr


@pytest.mark.long
def test_a_bug_shows_its_traceback(tmp_path):
    program = "import runner.cli.environment as e\ndef open_settings(): raise OSError('unforeseen')\n"
    done = call(f"{program}e.open_settings = open_settings\n{MAIN}", "list", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "unforeseen" in done.stderr


@pytest.mark.long
def test_ctrl_c_ends_with_130_and_says_nothing(tmp_path):
    program = INTERRUPTED.format(module="runner.store.store", number="SIGINT")
    done = call(program, "history", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("module", ["runner.cli", "click", "runner.cli.history"])
def test_ctrl_c_while_the_command_line_is_imported_says_nothing(tmp_path, module):
    as_command = "from runner.__main__ import main\nmain()\n"
    program = INTERRUPTED.replace("from runner.cli import main\nmain()\n", as_command)
    done = call(program.format(module=module, number="SIGINT"), "history", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_command_begins_where_ctrl_c_is_seen_to(tmp_path):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"runner": "runner.__main__:main"}
    done = subprocess.run(
        [sys.executable, "-m", "runner", "nxt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: runner ")
    assert "Did you mean next?" in done.stderr


@pytest.mark.long
def test_a_terminal_that_is_closed_ends_the_demo_and_reloads_the_service():
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))\n"
        "from runner.cli.signals import Signals\n"
        "signals = Signals(hang_up_stops=sys.argv[2] == 'demo')\n"
        "signals.hand_to(stop=lambda: print('stop'), reload=lambda: print('reload'))\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    heard = {
        ("SIG_DFL", "demo"): "stop\n",
        ("SIG_IGN", "demo"): "",
        ("SIG_DFL", "start"): "reload\n",
        ("SIG_IGN", "start"): "reload\n",
    }
    for arguments, words in heard.items():
        assert call(program, *arguments, cwd=".").stdout == words, arguments


def test_what_nohup_started_goes_on_when_its_terminal_is_closed():
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))\n"
        "from runner.cli.signals import StopFlag\n"
        "stop_asked = StopFlag()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(stop_asked())\n"
    )
    assert call(program, "SIG_IGN", cwd=".").stdout == "False\n"
    assert call(program, "SIG_DFL", cwd=".").stdout == "True\n"


@pytest.mark.long
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_that_ends_tests_lets_them_remove_what_they_made(tmp_path, number):
    job = (
        "job_name: a\nschedule_time: '@daily'\nconsumer_emails: [a@example.com]\n"
        "data_source: {source_type: file, location: a.csv, file_type: csv}\n"
        "tests: [{name: one, given: {data: [{amount: 1}]}, expect: {rows: [{amount: 1}]}}]\n"
    )
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d" / "a.yaml").write_text(job)
    (tmp_path / "tmp").mkdir()
    environment = {"TMPDIR": str(tmp_path / "tmp")}
    program = f"""
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signals = [signal.{number}]
def interrupt(event, arguments):
    # The first result is read, while the folder of the tests is there.
    if signals and event == "open" and str(arguments[0]).endswith("result.csv"):
        os.kill(os.getpid(), signals.pop())
sys.addaudithook(interrupt)
from runner.cli import main
main()
"""
    done = call(program, "test", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    for verb in (["validate", "--run-samples"], ["run", "a", "--sample", "1"]):
        program = INTERRUPTED.format(module="runner.execution.zygote", number=number)
        assert call(program, *verb, cwd=tmp_path, env=environment).returncode == 130
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_while_the_interpreter_ends_does_not_spoil_a_clean_stop(tmp_path, number):
    (tmp_path / "jobs.d").mkdir()
    stop = INTERRUPTED.format(module="runner.logs", number="SIGTERM").replace("main()\n", "")
    program = f"""{stop}
class Last:
    def __del__(self, kill=os.kill, own=os.getpid(), number=signal.{number}):
        kill(own, number)
last = Last()
main()
"""
    done = call(program, "start", cwd=tmp_path, env={"STATUS_PORT": "0"})
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize(("number", "module"), [("SIGINT", "runner.logs"), ("SIGTERM", "runner.service.loop")])
def test_a_stop_while_the_service_is_imported_is_a_stop(tmp_path, number, module):
    (tmp_path / "jobs.d").mkdir()
    done = call(INTERRUPTED.format(module=module, number=number), "start", cwd=tmp_path, env={"STATUS_PORT": "0"})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Aborted" not in done.stderr


@pytest.mark.long
def test_a_reload_while_the_service_is_imported_does_not_end_it(tmp_path):
    (tmp_path / "jobs.d").mkdir()
    program = INTERRUPTED.format(module="runner.logs", number="SIGHUP")
    done = call(program, "start", cwd=tmp_path, env={"STATUS_HOST": "203.0.113.7"})
    assert done.returncode == 3, done.stderr
    assert "203.0.113.7" in done.stderr


@pytest.mark.long
def test_an_error_message_steers_no_terminal(forked):
    done = forked("list", JOBS_DIR="\x1b[2J")
    assert "\x1b" not in done.stdout + done.stderr
    done = forked("run", "\x1b[2J")
    assert done.returncode in {2, 3}
    assert "\x1b" not in done.stderr


PRINTING = [
    ["schema"],
    ["rules", "--json"],
    ["--version"],
    ["run", "--help"],
    ["validate", "--explain", "unknown-key"],
]


def call_with_output(output, *arguments, cwd, closed=""):
    # A shell, which can close what Python would open.
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-P", "-c", MAIN, *arguments]
    return subprocess.run(
        command, cwd=cwd, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", PRINTING)
def test_output_that_cannot_be_written_is_said(tmp_path, arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("w") as full:
        done = call_with_output(full, *arguments, cwd=tmp_path)
    assert done.returncode == 3
    assert "the output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", PRINTING)
def test_a_reader_that_goes_away_ends_the_output_quietly(tmp_path, arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = call_with_output(writing, *arguments, cwd=tmp_path)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.long
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_result_is_written_where_its_report_cannot_be(folder, form):
    (folder / "a.csv").write_text("n\n1\n")
    with Path("/dev/full").open("w") as full:
        done = call_with_output(full, "run", "a", "--no-mail", "--output", "out.csv", *form, cwd=folder)
    assert done.returncode == 3
    assert "the output cannot be written: No space left on device" in done.stderr
    assert (folder / "out.csv").read_text() == "n\n1\n"


@pytest.mark.long
def test_a_result_goes_to_a_socket_that_is_standard_output(folder):
    """As of a unit of systemd, or of what Node.js starts: nobody can open it by its path."""
    (folder / "a.csv").write_text("n\n1\n")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = call_with_output(theirs, "run", "a", "--no-mail", "--json", "--output", "-", cwd=folder)
        assert done.returncode == 0, done.stderr
        theirs.close()
        with ours.makefile() as read:
            assert read.read().endswith("}\nn\n1\n")


@pytest.mark.long
@pytest.mark.parametrize("arguments", [*PRINTING, ["history"], ["mail", "list"]])
def test_streams_that_are_closed_hinder_nothing(tmp_path, arguments):
    done = call_with_output(None, *arguments, cwd=tmp_path, closed="<&- >&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_a_bug_shows_its_traceback_where_nobody_reads_the_output(tmp_path):
    program = "import runner.cli.environment as e\ndef open_settings():\n    print('x')\n    raise OSError('unforeseen')\n"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", f"{program}e.open_settings = open_settings\n{MAIN}", "list"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode != 0
    assert "OSError: unforeseen" in done.stderr


@pytest.mark.long
def test_a_file_never_stands_in_the_place_of_a_closed_stream(tmp_path):
    program = (
        "import os, runner.cli.environment as e\n"
        "def open_settings():\n"
        "    open('places', 'w').write(' '.join(os.readlink(f'/proc/self/fd/{n}') for n in range(3)))\n"
        "    import subprocess, sys\n"
        '    look = \'import os; print(*(os.readlink(f"/proc/self/fd/{n}") for n in range(3)), file=open("childs", "w"))\'\n'
        "    subprocess.run([sys.executable, '-c', look], check=True)\n"
        "    raise SystemExit(0)\n"
        f"e.open_settings = open_settings\n{MAIN}"
    )
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-P", "-c", program, "list"]
    subprocess.run(command, cwd=tmp_path, timeout=60, check=True)
    for name in ("places", "childs"):
        assert (tmp_path / name).read_text().split() == ["/dev/null"] * 3


ENCODINGS = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]


@pytest.mark.long
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("arguments", [["schema"], ["rules"], ["rules", "--json"], ["doctor"]])
def test_what_is_piped_is_utf8_in_every_locale(tmp_path, arguments, encoding):
    (tmp_path / "jobs.d").mkdir()
    command = [sys.executable, "-P", "-c", MAIN, *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **encoding}, capture_output=True, timeout=60, check=False
    )
    assert done.returncode in ({0, 1} if arguments == ["doctor"] else {0})
    assert b"Traceback" not in done.stderr
    assert not done.stdout.decode("utf-8").isascii()


def test_a_terminal_that_knows_no_utf8_gets_escapes(tmp_path):
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", MAIN, "schema"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    shown = bytearray()
    with contextlib.suppress(OSError):  # how the end of a terminal is told
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()
    assert b"${run:\\u2026}" in shown
