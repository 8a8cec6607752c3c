import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import resource, threading
from runner.errors import ThreadError
from runner.threads import begin

resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))
try:
    begin(threading.Thread(target=print, args=("it began",)))
except ThreadError as error:
    print(error.message, error.hint, sep=": ")
"""


def test_a_bound_on_address_space_is_among_what_keeps_a_thread_from_beginning():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no other thread can be started: ")
    assert "ulimit -u" in done.stdout
    assert "ulimit -v" in done.stdout
