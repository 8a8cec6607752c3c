import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runner.execution.namespaces import SCRATCH_MB

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
# What the zygote does, in a bare Python: enter, and fork children, each of which tells what it sees.
ZYGOTE = """
import errno, json, os, signal, socket, sys, time
from runner.execution import limits, seccomp
from runner.execution.namespaces import SCRATCH, enter_namespaces
from runner.execution.syscalls import prctl, this_machine

def be_nobody():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid({nobody}, {nobody}, {nobody})
        os.setresuid({nobody}, {nobody}, {nobody})
        prctl(4, 1)  # PR_SET_DUMPABLE, as after an exec: /proc/self can be written again

def refuse(*calls):
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    seccomp.install(seccomp.refusing_filter(this_machine(), calls, error=errno.EPERM))

def told():
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    room = os.statvfs("/dev/shm")
    return {{
        "pid": os.getpid(),
        "uid": os.geteuid(),
        "outside": int(os.readlink("/proc/self")),
        "capabilities": int(status["CapEff"], 16),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "shared": os.listdir("/dev/shm"),
        "room": room.f_blocks * room.f_frsize,
        "scratch": os.listdir(SCRATCH),
    }}

def child(namespaces, then=lambda: None):
    namespaces.before_fork()
    pid = os.fork()
    if pid == 0:
        entered = namespaces.enter_child()
        limits.give_up_privileges()
        print(json.dumps({{"entered": entered, **(told() if entered else {{}})}}), flush=True)
        if entered:
            open(f"{{SCRATCH}}/left", "w").close()
        then()
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.fixture
def start():
    """Starts such a zygote."""

    def starting(program):
        text = ZYGOTE.format(nobody=NOBODY) + textwrap.dedent(program)
        return subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    return starting


@pytest.fixture
def lines_of(start):
    def reading(program):
        with start(program) as process:
            told = [json.loads(line) for line in process.stdout]
        assert process.returncode == 0
        if told and isinstance(told[0], str):
            pytest.skip(f"no namespaces here: {told[0]}")
        return told

    return reading


ENTER = """
namespaces = enter_namespaces()
if namespaces.missing:
    print(json.dumps(namespaces.missing))
    os._exit(0)
"""


@pytest.mark.parametrize("who", ["", "be_nobody()"], ids=["this user", "nobody"])
def test_a_child_is_alone(lines_of, who):
    here = Path("/proc/self/ns/net").stat().st_ino
    first, second = lines_of(f"{who}{ENTER}for _ in range(2): child(namespaces)")
    for seen in (first, second):
        assert seen["entered"]
        assert seen["pid"] == 1
        assert seen["uid"] == (NOBODY if who and os.geteuid() == 0 else os.geteuid())
        assert seen["interfaces"] == ["lo"]
        assert seen["shared"] == ["tmp"]
        assert seen["room"] == SCRATCH_MB << 20
        # The second does not see what the first has left.
        assert seen["scratch"] == []
        assert seen["capabilities"] == (0b100 if seen["uid"] == 0 else 0)
        assert seen["outside"] > 1
    assert Path("/proc/self/ns/net").stat().st_ino == here


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        ("unshare", "unshare: Operation not permitted"),
        ("mount", "mount: Operation not permitted"),
        ("setns", "setns: Operation not permitted"),
    ],
)
def test_the_probe_tells_what_is_forbidden(start, refused, reason):
    with start(f"be_nobody(); refuse({refused!r}); print(enter_namespaces().missing)") as process:
        assert process.stdout.read().strip() == reason


def test_the_probe_tells_of_a_bound_on_namespaces_and_of_no_disk(start):
    bound = "seccomp.install(seccomp.refusing_filter(this_machine(), ['unshare'], error=errno.ENOSPC))"
    with start(f"be_nobody(); prctl(38, 1); {bound}; print(enter_namespaces().missing)") as process:
        assert process.stdout.read().startswith("unshare: no more of them are allowed (sysctl user.max_user_names")


def test_the_probe_tells_which_folder_is_not_there(start):
    place = "import runner.execution.namespaces as here; here.SCRATCH_PLACE = '/dev/nowhere'"
    with start(f"{place}\nbe_nobody(); print(enter_namespaces().missing)") as process:
        assert process.stdout.read().strip() == "/dev/nowhere: No such file or directory"


def test_a_child_goes_without_where_there_are_too_many(lines_of):
    program = f"{ENTER}child(namespaces)\nrefuse('unshare')\nchild(namespaces)"
    assert [seen["entered"] for seen in lines_of(program)] == [True, False]


def test_all_end_with_the_process_that_the_service_knows(start, gone):
    with start(f"{ENTER}child(namespaces, signal.pause)") as process:
        seen = json.loads(process.stdout.readline())
        if isinstance(seen, str):
            pytest.skip(f"no namespaces here: {seen}")
        process.send_signal(signal.SIGKILL)
        assert gone(seen["outside"])
