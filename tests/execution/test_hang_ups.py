import socket
import subprocess
import sys

import pytest

WATCHES = """
import os, socket, sys, time
from runner.execution.hang_ups import end_on_hang_up, leave_hang_ups
descriptor, leaves = int(sys.argv[1]), sys.argv[2] == "leaves"
end_on_hang_up(descriptor)
if leaves:
    leave_hang_ups(descriptor)
print("up", flush=True)
while leaves and os.read(descriptor, 1):
    pass
if leaves:
    os._exit(7)
time.sleep(60)
"""


@pytest.fixture
def start():
    started = []

    def start(leaves, *, end_first=False):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            if end_first:
                ours.close()
            number = theirs.fileno()
            process = subprocess.Popen(
                [sys.executable, "-c", WATCHES, str(number), leaves], stdout=subprocess.PIPE, pass_fds=[number]
            )
        started.append((process, ours))
        return process, ours

    yield start
    for process, ours in started:
        process.kill()
        process.communicate(timeout=20)
        ours.close()


def test_a_busy_process_ends_with_the_other_end(start):
    process, ours = start("")
    assert process.stdout.readline() == b"up\n"
    ours.close()
    assert process.wait(20) == 0


def test_an_end_that_came_before_is_seen_too(start):
    process, _ = start("", end_first=True)
    assert process.wait(20) == 0
    assert process.stdout.read() == b""


def test_afterwards_what_is_sent_and_the_end_are_seen_as_ever(start):
    process, ours = start("leaves")
    assert process.stdout.readline() == b"up\n"
    ours.send(b"a")
    ours.close()
    assert process.wait(20) == 7


def test_a_zygote_ends_where_the_service_goes_while_it_loads_libraries(tmp_path):
    # A library that takes for ever to load, in the place of the first one that the zygote loads.
    (tmp_path / "duckdb.py").write_text("import os, time\nos.write(2, b'up\\n')\ntime.sleep(60)\n")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    boot = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from runner.execution import zygote_boot as boot; boot.main()"
    config = f'{{"control_fd": {theirs.fileno()}, "sandbox_mode": "best-effort", "waiting": 1, "read_roots": []}}'
    process = subprocess.Popen(
        [sys.executable, "-c", boot, config], stderr=subprocess.PIPE, pass_fds=[theirs.fileno()]
    )
    theirs.close()
    try:
        assert process.stderr.readline() == b"up\n"
        ours.close()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate(timeout=20)
